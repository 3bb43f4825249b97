"""Embed: asks ML."""
