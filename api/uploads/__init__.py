"""Files that are sent over HTTP: received, given room, removed when nothing needs them."""
