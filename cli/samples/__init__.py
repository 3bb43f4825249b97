"""Invented photographs for a first run: `make_samples` fills a folder with an album, `make_few` one with a few."""

from cli.samples.album import change_few, make_few, make_samples

__all__ = ["change_few", "make_few", "make_samples"]
