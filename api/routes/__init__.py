"""The routes, one file a resource. They are thin: read the request, call a part, shape the answer."""
