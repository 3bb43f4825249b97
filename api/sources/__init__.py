"""Sources: folders that are kept in step."""
