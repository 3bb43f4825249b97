"""Invented photographs for a first run: `make_samples` fills a folder with an album."""

from cli.samples.album import make_samples

__all__ = ["make_samples"]
