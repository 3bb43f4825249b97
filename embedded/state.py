"""What a running supervisor leaves in its data folder for other programs: a lock and `state.json`."""

import fcntl
import os
from pathlib import Path
from typing import IO

from pydantic import BaseModel, ValidationError

from core.errors import FatalError


class PartState(BaseModel):
    """One part as it runs now. `pid` is None between its death and its next start.

    `failed` says why it cannot stay up, from then on until it answers again.
    """

    address: str
    pid: int | None = None
    failed: str | None = None


class RunState(BaseModel):
    """A running supervisor: its process, the settings (by name) that lead to its parts, and the parts."""

    pid: int
    addresses: dict[str, str]
    parts: dict[str, PartState]


def lock(data: Path) -> IO[str]:
    """Take the data folder for this process, until the returned file is closed or the process ends.

    Raises FatalError when another process has it, or when the folder cannot be written.
    """
    try:
        data.mkdir(parents=True, exist_ok=True)
        file = (data / "lock").open("a+")
    except OSError as error:
        raise FatalError(f"The data folder {data} cannot be written: {error.strerror}. Choose another.") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise FatalError(
            f"The data folder {data} is in use by process {holder}. Stop that one, or choose another folder."
        ) from error
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def write(data: Path, state: RunState) -> None:
    """Replace `state.json` as a whole, so that no reader sees half of it."""
    draft = data / "state.json.new"
    draft.write_text(state.model_dump_json(indent=2))
    draft.replace(data / "state.json")


def remove(data: Path) -> None:
    """Take `state.json` away: nothing runs here any more."""
    (data / "state.json").unlink(missing_ok=True)


def read(data: Path) -> RunState | None:
    """Return what runs in a data folder; None when nothing does, also after a kill that left the file behind."""
    try:
        with (data / "lock").open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        try:
            return RunState.model_validate_json((data / "state.json").read_text())
        except (FileNotFoundError, ValidationError):
            return None
    except OSError:
        return None
    return None
