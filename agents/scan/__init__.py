"""Scan: finds the files."""
