"""What is on disk when a call returns."""

import os
from pathlib import Path


def sync_files(folder: Path) -> None:
    """Make the files in `folder`, and what is in them, survive a power cut."""
    for file in folder.iterdir():
        _sync(file)
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Make the creation, renaming and removal of files in `folder` survive a power cut."""
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
