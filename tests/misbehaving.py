"""A file system that misbehaves as network folders do: a folder that is shown, read-only, by a program (FUSE).

`python -m tests.misbehaving FOLDER AT FAULTS` serves it until it is ended, in a process of its own: a process that
waits for itself would wait for ever.
"""

import errno
import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.deadlines import HANG_SECONDS

Fault = Literal["look", "enter", "list", "list-late", "hide", "read", "named"]
"""What goes wrong with a path: a look at it, to open it as a folder, its listing (`late`: in the middle), that its
folder lists it, a read; or `named`: it is another one as well, as on a disk that tells no case."""
HANGS = "hangs"


class Misbehaving:
    """A folder (`behind`) as it is shown `at` another place."""

    def __init__(self, behind: Path, at: Path, faults: Path, server: "subprocess.Popen[bytes]") -> None:
        self.behind = behind
        self.at = at
        self._faults = faults
        self._server = server

    def fails(self, how: dict[tuple[Fault, str], str]) -> None:
        """Have these things go wrong from now on, and no others; by the name of an error, or `HANGS`."""
        beside = self._faults.with_suffix(".new")
        beside.write_text(json.dumps({f"{fault} /{path}".rstrip("/"): error for (fault, path), error in how.items()}))
        beside.rename(self._faults)

    def disconnect(self) -> None:
        """End the program: all that is asked is answered with ENOTCONN from now on."""
        self._server.kill()
        self._server.wait()


@contextmanager
def misbehaving(behind: Path, at: Path) -> Iterator[Misbehaving]:
    """Show a folder elsewhere; the test is skipped where this machine does not let us."""
    if not os.access("/dev/fuse", os.W_OK):
        pytest.skip("this machine has no FUSE for us")
    behind.mkdir(parents=True, exist_ok=True)
    at.mkdir(parents=True)
    faults = at.with_name(f"{at.name}-faults.json")
    faults.write_text("{}")
    server = subprocess.Popen([sys.executable, "-m", __name__, str(behind), str(at), str(faults)])
    shown = Misbehaving(behind, at, faults, server)
    try:
        end = time.monotonic() + HANG_SECONDS
        while not at.is_mount():
            if server.poll() is not None:
                pytest.fail("It cannot be mounted, as it has written.")
            assert time.monotonic() < end, "it is mounted"
            time.sleep(0.01)
        yield shown
    finally:
        # Whatever hangs goes on, with an error.
        shown.disconnect()
        subprocess.run(["umount", "--lazy", str(at)], check=False, capture_output=True)


def _serve(behind: str, at: str, faults: str) -> None:
    from mfusepy import FUSE, FuseOSError, Operations

    def here(path: str) -> str:
        return behind + (fault("named", path) or path).rstrip("/")

    def fault(kind: Fault, path: str) -> str | None:
        found: str | None = json.loads(Path(faults).read_bytes()).get(f"{kind} {path}".rstrip("/"))
        return found

    def fail(kind: Fault, path: str) -> None:
        while (error := fault(kind, path)) == HANGS:
            time.sleep(0.02)
        if error is not None:
            raise FuseOSError(getattr(errno, error))

    class Shown(Operations):  # type: ignore[misc] # it says nothing of its types
        use_ns = True

        def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
            fail("look", path)
            found = os.lstat(here(path))
            return {name: getattr(found, name) for name in dir(found) if name.startswith("st_")}

        def readlink(self, path: str) -> str:
            return str(Path(here(path)).readlink())

        def opendir(self, path: str) -> int:
            fail("enter", path)
            return 0

        def readdir_with_offset(self, path: str, offset: int, fh: int) -> Iterator[tuple[str, dict[str, Any], int]]:
            fail("list", path)
            names = [".", "..", *sorted(one.name for one in Path(here(path)).iterdir())]
            for number, name in enumerate(names[offset:], offset + 1):
                if number > 3 and fault("list-late", path):
                    if number == offset + 1:
                        fail("list-late", path)
                    return
                if not fault("hide", f"{path.rstrip('/')}/{name}"):
                    yield name, {"st_mode": _mode(here(path), name)}, number

        def open(self, path: str, flags: int) -> int:
            fail("read", path)
            return os.open(here(path), os.O_RDONLY)

        def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
            fail("read", path)
            return os.pread(fh, size, offset)

        def release(self, path: str, fh: int) -> int:
            os.close(fh)
            return 0

    FUSE(Shown(), at, foreground=True, fsname="misbehaving", attr_timeout=0, entry_timeout=0, default_permissions=True)


def _mode(folder: str, name: str) -> int:
    return stat.S_IFMT(os.lstat(f"{folder}/{name}").st_mode)


if __name__ == "__main__":
    _serve(*sys.argv[1:])
