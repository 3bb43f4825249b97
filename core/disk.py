"""What is said when the data folder cannot be written: the same by every process."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from core.errors import FatalError

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


def close_to_others(folder: Path) -> None:
    """Make a folder, if it is new, and let nobody but its owner look into it. Where it is not ours, leave it so."""
    folder.mkdir(parents=True, exist_ok=True)
    with suppress(PermissionError):
        folder.chmod(0o700)


def write_private(file: Path, text: str) -> None:
    """Replace a file by one that only its owner can read, whole or not at all. A link at its name is not followed."""
    draft = file.with_name(f"{file.name}.new")
    draft.unlink(missing_ok=True)
    # Never readable for others, not even for a moment.
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w") as opened:
        opened.write(text)
    draft.replace(file)
