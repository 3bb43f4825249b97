"""The real parts as processes, each with its own data folder and a free port."""

import atexit
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from embedded import kafka, ports
from tests import forked
from tests.deadlines import HANG_SECONDS

ROOT = Path(__file__).resolve().parents[1]


class Part:
    """A running process that listens on `port` of 127.0.0.1."""

    def __init__(self, name: str, process: forked.Process, port: int, log: Path) -> None:
        self.name = name
        self.process = process
        self.port = port
        self.log = log

    @property
    def address(self) -> str:
        """Return `host:port`, as Kafka's clients want it."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End the process and wait until it is gone."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        self.process.wait(HANG_SECONDS)


def start(name: str, arguments: Sequence[str], port: int, log: Path, environment: dict[str, str] | None = None) -> Part:
    """Run `python ARGUMENTS` and wait until its port is open; an AssertionError with its log when it does not come."""
    with log.open("ab") as output:
        process = forked.Process(
            arguments, cwd=ROOT, environment=os.environ | (environment or {}), output=output, errors=output
        )
    deadline = time.monotonic() + HANG_SECONDS
    while not ports.is_open(port):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            process.wait()
            raise AssertionError(f"{name} does not start on port {port}:\n{log.read_text(errors='replace')[-4000:]}")
        time.sleep(0.02)
    return Part(name, process, port, log)


@contextmanager
def running(name: str, arguments: Sequence[str], port: int, log: Path) -> Iterator[Part]:
    """Run a part until the block ends."""
    part = start(name, arguments, port, log)
    try:
        yield part
    finally:
        part.kill()


@contextmanager
def running_kafka(folder: Path) -> Iterator[Part]:
    """Run a broker with its data in a folder until the block ends."""
    port = ports.free_port()
    shutil.copytree(formatted(), folder / "data")  # which makes the folder, too
    with running("Kafka", kafka_arguments(folder / "data", port), port, folder / "log") as part:
        yield part


@contextmanager
def running_qdrant(folder: Path) -> Iterator[Part]:
    """Run a vector store with its data in a folder until the block ends."""
    port = ports.free_port()
    with running("Qdrant", qdrant_arguments(folder / "data", port), port, folder / "log") as part:
        yield part
    shutil.rmtree(folder / "data")  # 50 MiB a collection, which may lie in memory


@cache
def formatted() -> Path:
    """Return the data folder of a broker that has never run; to format one for each would take a second of CPU."""
    data = Path(tempfile.mkdtemp(prefix="darkroom-kafka-"))
    atexit.register(shutil.rmtree, data)
    kafka.prepare(data, ports.free_port())
    return data


def kafka_arguments(data: Path, port: int) -> list[str]:
    return ["-m", "embedded.kafka", "--data", str(data), "--port", str(port)]


def qdrant_arguments(data: Path, port: int) -> list[str]:
    return ["-m", "embedded.qdrant", "--data", str(data), "--port", str(port)]


def ml_stub_arguments(port: int) -> list[str]:
    return ["-m", "tests.ml.stub", "--port", str(port)]
