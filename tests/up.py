"""A `darkroom up` of a test's own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx

from embedded.ports import free_port
from embedded.stack import WORKERS
from tests.cli.command import darkroom
from tests.deadlines import HANG_SECONDS
from tests.parts import ROOT

DARKROOM = Path(sys.executable).parent / "darkroom"
T = TypeVar("T")


class Up:
    """A `darkroom up` process; `settings` go before those of the test run. `model`: one that lies in `data`."""

    def __init__(self, data: Path, model: str | None = None, **settings: Any) -> None:
        self.data = data
        self._model = [] if model is None else ["--model", model]
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = {
            name: value
            for name, value in os.environ.items()
            if name not in {"KAFKA_BROKERS", "QDRANT_URL", "ML_INFERENCE_SERVICE_URL"}
        } | {"DARKROOM_URL": self.url, "DARKROOM_DATA": str(data), "COLUMNS": "80"}
        self._environment |= {name.upper(): str(value) for name, value in settings.items()}
        self.start()

    def start(self) -> None:
        self.data.mkdir(exist_ok=True)
        with (self.data / "up.log").open("ab") as output:
            self.process = subprocess.Popen(
                [DARKROOM, "up", "--data", str(self.data), "--port", str(self.port), *self._model],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            eventually(lambda: self.process.poll() is not None or self.is_ready(), "darkroom up to be ready")
        except BaseException:
            self.stop()  # nobody else would: the fixture has not got it yet
            raise
        assert self.process.poll() is None, self.said

    def is_ready(self) -> bool:
        try:
            answers = httpx.get(f"{self.url}/ready").status_code == 200
            return answers and all(f"{worker} ready" in self.said for worker in WORKERS)
        except httpx.TransportError:
            return False

    def darkroom(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return darkroom(*arguments, cwd=ROOT, **self._environment)

    def get(self, path: str, **arguments: Any) -> httpx.Response:
        return httpx.get(f"{self.url}/api/v1{path}", timeout=30, **arguments)

    def post(self, path: str, **arguments: Any) -> httpx.Response:
        return httpx.post(f"{self.url}/api/v1{path}", timeout=30, **arguments)

    def pid(self, part: str) -> int:
        pid: int = self._state["parts"][part]["pid"]
        return pid

    @property
    def addresses(self) -> dict[str, str]:
        found: dict[str, str] = self._state["addresses"]
        return found

    @property
    def _state(self) -> Any:
        return json.loads((self.data / "state.json").read_text())

    def was_restarted(self, part: str, before: int) -> bool:
        return self.pid(part) not in {0, before}

    @property
    def said(self) -> str:
        return (self.data / "up.log").read_text(errors="replace")

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(HANG_SECONDS)


def eventually(condition: Callable[[], T | None], what: str, seconds: float = HANG_SECONDS) -> T:
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.1)
    return result
