"""Runs the `darkroom` command in a pseudo-terminal, as a person sees it."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

from tests.cli.command import ROOT, SETTINGS
from tests.deadlines import HANG_SECONDS

TERMINALS = ("TERM", "TERM_PROGRAM", "KITTY_WINDOW_ID", "LC_TERMINAL", "TMUX", "COLUMNS", "NO_COLOR")


def in_terminal(*arguments: str, columns: int, cwd: Path, **environment: str) -> tuple[int, str]:
    """Return the exit code and all that was written, with its control sequences."""
    inherited = {name: value for name, value in os.environ.items() if name not in {*SETTINGS, *TERMINALS}}
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.argv[0] = 'darkroom'; from cli.main import main; main()", *arguments],
        cwd=cwd,
        env=inherited | {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1", "TERM": "xterm-256color"} | environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    written = b""
    try:
        while chunk := os.read(ours, 65536):
            written += chunk
    except OSError:  # Linux says so when the other end is closed
        pass
    finally:
        os.close(ours)
    return process.wait(HANG_SECONDS), written.decode()


def lines(written: str) -> list[str]:
    """Return the lines as they stand on the screen in the end: what was written over is gone, colours too."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written)
    return [line.rpartition("\r")[2].rstrip() for line in plain.replace("\r\n", "\n").split("\n")]
