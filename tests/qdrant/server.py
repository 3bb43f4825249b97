"""The embedded Qdrant as a process of its own, as `darkroom up` runs it."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

from tests import forked
from tests.deadlines import HANG_SECONDS

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


class EmbeddedQdrant:
    """A server on a free port; the port stays the same over restarts."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: forked.Process | None = None

    def start(self) -> None:
        with open(1, "wb", closefd=False) as output, open(2, "wb", closefd=False) as errors:
            self._process = forked.Process(
                self._arguments(self.port), cwd=ROOT, environment=os.environ, output=output, errors=errors
            )
        deadline = time.monotonic() + HANG_SECONDS
        while time.monotonic() < deadline:
            assert self._process.poll() is None, "the embedded Qdrant ended at its start"
            try:
                if httpx.get(f"{self.url}/readyz").is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.02)
        self.kill()
        raise AssertionError(f"the embedded Qdrant was not ready after {HANG_SECONDS} s")

    def run_to_end(self, port: int) -> "subprocess.CompletedProcess[str]":
        """Run a server that is expected to refuse to start."""
        return subprocess.run(
            [sys.executable, *self._arguments(port)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=HANG_SECONDS,
        )

    def stop(self) -> int:
        """End it as the supervisor does; the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=HANG_SECONDS)

    def kill(self) -> None:
        """`kill -9`."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def _arguments(self, port: int) -> list[str]:
        return ["-W", "error", "-m", "embedded.qdrant", "--data", os.fspath(self.data), "--port", str(port)]
