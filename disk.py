"""What is said when the data folder cannot be written: the same by every process."""

import os
import tempfile
from pathlib import Path

from errors import FatalError

MEND = "Free space on its disk, or make it writable (DARKROOM_DATA names the folder). Nothing is lost meanwhile."


def check_writable(folder: Path) -> None:
    """Make a folder, and write into it. Raises FatalError that says why not, and what to do."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise FatalError(f"The data folder {folder} cannot be written: {error.strerror}. {MEND}") from error
