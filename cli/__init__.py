"""The `darkroom` command: one module a group of commands."""
