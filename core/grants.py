"""Which folders the API may read, told to the workers that share its data folder: a message cannot name others.

The API writes the file at its start and whenever a folder is allowed; its folder is closed to other users.
"""

import json
import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from core.disk import write_private

FILE = "readable-roots"


def tell(data: Path, roots: Iterable[bytes]) -> None:
    """Write down the folders, absolute and without links. `data`: DARKROOM_DATA."""
    write_private(data / "api" / FILE, json.dumps(sorted({os.fsdecode(root) for root in roots})))


def told(data: Path) -> tuple[bytes, ...] | None:
    """Return the folders that the API of this data folder may read; None where no API has one here that we may ask."""
    file = data / "api" / FILE
    try:
        status = file.stat()
        return _read(file, status.st_ino, status.st_mtime_ns)
    except (FileNotFoundError, PermissionError):
        return None


# Asked for each file of a job: read once for each version of it.
@lru_cache(maxsize=8)
def _read(file: Path, _inode: int, _mtime_ns: int) -> tuple[bytes, ...]:
    return tuple(os.fsencode(root) for root in json.loads(file.read_text()))
