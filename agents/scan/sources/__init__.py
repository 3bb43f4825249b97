"""Folders that are kept in step: when they are looked at, watched, and purged."""
