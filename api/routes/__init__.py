"""The routes, one file a resource. They are thin: read the request, call a service, shape the answer."""
