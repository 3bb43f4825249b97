"""All parts as processes of their own, each of which can be killed, frozen and brought back."""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psutil

from embedded.ports import free_port, is_open
from gateways import groups
from settings import STAGES, Stage
from tests import parts

SESSION_SECONDS = 3
ML_SECONDS_PER_IMAGE = 0.05


class Plant:
    """Kafka, Qdrant, the ML stub, the API, a worker for each stage and one with all of them."""

    def __init__(self, folder: Path, *, worker_for_each_stage: bool) -> None:
        self._folder = folder
        ports = {name: free_port() for name in ("kafka", "qdrant", "ml", "api")}
        self.brokers = f"127.0.0.1:{ports['kafka']}"
        self.qdrant_url = f"http://127.0.0.1:{ports['qdrant']}"
        self._ml_url = f"http://127.0.0.1:{ports['ml']}"
        self._ports = ports
        self._environment = {
            "KAFKA_BROKERS": self.brokers,
            "QDRANT_URL": self.qdrant_url,
            "ML_INFERENCE_SERVICE_URL": self._ml_url,
            "KAFKA_SESSION_TIMEOUT_SECONDS": str(SESSION_SECONDS),
            "CPU_PROCESSES": "1",
            "LOG_FORMAT": "json",
        }
        services = {
            "kafka": parts.kafka_arguments(folder / "kafka", ports["kafka"]),
            "qdrant": parts.qdrant_arguments(folder / "qdrant", ports["qdrant"]),
            "ml": parts.ml_stub_arguments(ports["ml"]),
            "api": ["-m", "api", "--host", "127.0.0.1", "--port", str(ports["api"])],
        }
        sets: tuple[str, ...] = (*(STAGES if worker_for_each_stage else ()), ",".join(STAGES))
        self._commands = services | {stages: ["-m", "agents.worker", stages] for stages in sets}
        self.workers = sets
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Start everything, and end everything."""
        try:
            for name in self._commands:
                await self.start(name)
            yield
        finally:
            for process in self._running.values():
                process.kill()
                process.wait()

    async def start(self, name: str) -> None:
        """Start a part; a service is waited for until its port is open."""
        environment = os.environ | self._environment | {"DARKROOM_DATA": str(self._folder / f"data-{name[:12]}")}
        with (self._folder / f"{name[:12]}.log").open("ab") as output:
            self._running[name] = subprocess.Popen(
                [sys.executable, *self._commands[name]],
                cwd=parts.ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        if name in self._ports:
            async with asyncio.timeout(60):
                while not is_open(self._ports[name]):
                    await asyncio.sleep(0.05)
        if name == "ml":
            slow = {"delay_per_image": ML_SECONDS_PER_IMAGE}
            async with httpx.AsyncClient() as http:
                (await http.post(f"{self._ml_url}/control", json=slow)).raise_for_status()

    def part(self, name: str) -> parts.Part:
        """Return a service as the fixtures of other tests give it."""
        return parts.Part(name, self._running[name], self._ports[name], self._folder / f"{name}.log")

    async def kill(self, name: str) -> None:
        """Kill -9, and start again."""
        self._running[name].kill()
        self._running[name].wait()
        await self.start(name)

    async def freeze(self, name: str, seconds: float) -> None:
        """Stop a part with SIGSTOP for a time."""
        process = self._running[name]
        process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        process.send_signal(signal.SIGCONT)

    def kill_a_decode_process(self, choose: random.Random) -> bool:
        """Kill -9 one of the processes that hash and decode; False where none runs now."""
        found = []
        for name in self.workers:
            with contextlib.suppress(psutil.NoSuchProcess):
                for server in psutil.Process(self._running[name].pid).children():
                    found.extend(server.children())
        if not found:
            return False
        with contextlib.suppress(psutil.NoSuchProcess):
            choose.choice(found).kill()
        return True

    async def lag(self, stage: Stage) -> int:
        """Return how many messages a stage has before it that it has not committed."""
        return await groups.lag({"bootstrap_servers": self.brokers}, f"darkroom-{stage}")
