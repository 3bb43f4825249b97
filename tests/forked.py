"""Python programs as processes of their own, which need not read the packages of others anew.

To read Faust, Qdrant's client or FastAPI takes a program more than a second of CPU, and the tests start some hundred.
Here one process has read them, and forks. All else is as with `python -m MODULE`: Darkroom's own modules are read by
the new process. What no test starts itself, such as the parts of `darkroom up`, starts as everybody's does.
"""

import atexit
import contextlib
import ctypes
import gc
import importlib
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import types
import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = (
    "aiokafka", "fastapi", "faust", "faust.transport.drivers.aiokafka", "httpx", "numpy", "pathspec", "PIL.Image",
    "prometheus_client", "pydantic_settings", "qdrant_client", "rich.console", "rich.table", "structlog", "tifffile",
    "typer", "uvicorn", "uvloop",
)  # fmt: skip
ANSWER_BYTES = 100
# linux/prctl.h and linux/capability.h
LINUX_CAPABILITY_VERSION_3, PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 0x20080522, 24, 1, 2


def obey_permissions() -> None:
    """Let a process that root starts be bound by the permissions of files, as everybody is."""
    libc = ctypes.CDLL(None)
    header = (ctypes.c_uint32 * 2)(LINUX_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; and those from 32 on
    libc.capget(header, sets)
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        libc.prctl(PR_CAPBSET_DROP, capability)  # of what it starts
        for number in range(3):
            sets[number] &= ~(1 << capability)
    libc.capset(header, sets)


class Process:
    """`python ARGUMENTS`, which begin with `-m`, `-c` or `-W`, with what tests use of `subprocess.Popen`."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        output: IO[Any],
        errors: IO[Any],
        obeys_permissions: bool = False,
    ) -> None:
        # By whom the process is forked and waited for: it tells the id, and the exit status.
        self._parent = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._parent.connect(str(_server()))
        request = {
            "arguments": list(arguments),
            "cwd": str(cwd),
            "environment": dict(environment),
            "obeys_permissions": obeys_permissions,
        }
        with tempfile.TemporaryFile() as file:
            file.write(json.dumps(request).encode())
            file.flush()
            socket.send_fds(self._parent, [b"1"], [file.fileno(), output.fileno(), errors.fileno()])
            self.pid = int(self._parent.recv(ANSWER_BYTES))
        self.returncode: int | None = None
        self._asking = threading.Lock()

    def poll(self) -> int | None:
        """Return the exit code of one that has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end, and return the exit code. Raises subprocess.TimeoutExpired."""
        with self._asking:
            if self.returncode is None:
                if not select.select([self._parent], [], [], timeout)[0]:
                    raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
                self.returncode = os.waitstatus_to_exitcode(int(self._parent.recv(ANSWER_BYTES)))
                self._parent.close()
            return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal to one that has not ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill -9."""
        self.send_signal(signal.SIGKILL)


@cache
def _server() -> Path:
    """Start the process that forks; return where it listens."""
    folder = Path(tempfile.mkdtemp(prefix="darkroom-forked-"))
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.forked", str(folder / "socket")],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    assert server.stdin is not None
    assert server.stdout is not None
    if not server.stdout.readline():
        raise AssertionError(f"The process that forks does not start:\n{(folder / 'log').read_text()}")

    def stop() -> None:
        server.stdin.close()  # type: ignore[union-attr]  # see above
        server.wait()
        shutil.rmtree(folder)

    atexit.register(stop)
    return folder / "socket"


def _serve(place: str) -> dict[str, Any]:
    """Fork for each request until standard input ends. Returns in the new process, with its request."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(place)
    listener.listen()
    os.write(1, b"ready\n")
    while True:
        watched: list[Any] = [0, listener]
        ready, _, _ = select.select(watched, [], [], 1.0)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if 0 in ready:
            os._exit(0)
        if listener in ready:
            asking, _ = listener.accept()
            if os.fork() == 0:
                return _fork(asking)
            asking.close()


def _fork(asking: socket.socket) -> dict[str, Any]:
    """Fork, tell the id, wait for the end, tell the exit status. Returns in the new process."""
    _, (file, output, errors), _, _ = socket.recv_fds(asking, 1, 3)
    if pid := os.fork():
        for number in (signal.SIGINT, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)
        for open_file in (file, output, errors):
            os.close(open_file)
        asking.send(b"%d" % pid)
        _, status = os.waitpid(pid, 0)
        with contextlib.suppress(OSError):  # nobody asks any more
            asking.send(b"%d" % status)
        os._exit(0)
    request: dict[str, Any] = json.loads(os.pread(file, os.fstat(file).st_size, 0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(errors, 2)
    os.closerange(3, 1024)
    return request


def _run(request: dict[str, Any]) -> None:
    """Be `python ARGUMENTS`."""
    if request["obeys_permissions"]:
        obey_permissions()
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    how, what, *sys.argv[1:] = request["arguments"]
    if how == "-W":
        warnings.simplefilter(what)
        how, what, *sys.argv[1:] = sys.argv[1:]
    if how == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        sys.argv[0] = "-c"
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(what, "<string>", "exec"), vars(main))


def _read_packages() -> None:
    """Read what Darkroom reads, as it does: Qdrant's client without fastembed (gateways/qdrant/lean.py)."""
    sys.modules["fastembed"] = None  # type: ignore[assignment]
    for name in PACKAGES:
        importlib.import_module(name)
    del sys.modules["fastembed"]
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    _read_packages()
    _run(_serve(sys.argv[1]))
