"""Darkroom's HTTP service: the API on port 8002."""
