"""Pictures that are gone, and those that are to be forgotten."""
