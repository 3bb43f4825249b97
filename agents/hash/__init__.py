"""Hash: names a file by its content."""
