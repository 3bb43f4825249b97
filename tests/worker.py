"""Worker processes for tests."""

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Self

from tests import forked
from tests.deadlines import HANG_SECONDS
from tests.parts import ROOT, Part


class Worker:
    """A `darkroom worker` process with its own log; use as a context manager."""

    def __init__(self, kafka: Part, qdrant: Part, ml: Part, data: Path, stages: str = "", **settings: Any) -> None:
        self.environment = os.environ | {
            "KAFKA_BROKERS": kafka.address,
            "QDRANT_URL": qdrant.url,
            "ML_INFERENCE_SERVICE_URL": ml.url,
            "DARKROOM_DATA": str(data),
            "LOG_FORMAT": "json",
            "TRUST_KAFKA": "1",
            **{name.upper(): str(value) for name, value in settings.items()},
        }
        self._stages = [stages] if stages else []
        self.data = data
        self._log = data / f"worker-{stages or 'all'}.log"
        data.mkdir(parents=True, exist_ok=True)
        self.process: forked.Process | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop in order where that is quick: a killed worker stays in its groups for a session (10 s)."""
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.stop(15)
        self.kill()

    def launch(self) -> None:
        """Start, and wait for nothing: a worker with a failpoint may end before it has started."""
        with self._log.open("ab") as output:
            self.process = forked.Process(
                ["-m", "agents", *self._stages],
                cwd=ROOT,
                environment=self.environment,
                output=output,
                errors=output,
                obeys_permissions=True,
            )

    def start(self) -> None:
        """Start, and wait until the stages have started."""
        begin = self._log.stat().st_size if self._log.exists() else 0
        self.launch()
        assert self.process is not None
        deadline = time.monotonic() + HANG_SECONDS
        while b"worker-started" not in self._log.read_bytes()[begin:]:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"The worker does not start:\n{self.log[-4000:]}")
            time.sleep(0.05)

    def has_ended(self) -> bool:
        """Tell whether the process is gone."""
        return self.process is None or self.process.poll() is not None

    @property
    def exit_code(self) -> int | None:
        return None if self.process is None else self.process.returncode

    def kill(self) -> None:
        """Kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(HANG_SECONDS)

    def stop(self, seconds: float = HANG_SECONDS) -> int:
        """Stop in order; return the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def lines(self) -> list[dict[str, Any]]:
        """Return the lines of the log; each must be JSON."""
        return [json.loads(line) for line in self.log.splitlines()]

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")
