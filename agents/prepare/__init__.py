"""Prepare: decides what a content needs, and decodes it."""
