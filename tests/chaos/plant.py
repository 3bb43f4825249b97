"""All parts as processes of their own, each of which can be killed, frozen and brought back."""

import asyncio
import contextlib
import json
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psutil

from core.settings import STAGES, Stage
from embedded.ports import free_port, is_open
from tests import forked, parts
from tests.chaos import lag

SESSION_SECONDS = 3
START_SECONDS = 300  # a broker that was killed reads its logs again
BATCH_SIZE = 8
BATCHES_IN_FLIGHT = 2


class Plant:
    """Kafka, Qdrant, the ML stub, the API, and workers: one for each stage and one with all, or two with all."""

    def __init__(self, folder: Path, *, worker_for_each_stage: bool, ml_seconds_per_image: float) -> None:
        self._folder = folder
        self._ml_seconds_per_image = ml_seconds_per_image
        ports = {name: free_port() for name in ("kafka", "qdrant", "ml", "api")}
        self.brokers = f"127.0.0.1:{ports['kafka']}"
        self.qdrant_url = f"http://127.0.0.1:{ports['qdrant']}"
        self._ml_url = f"http://127.0.0.1:{ports['ml']}"
        self._ml_log = folder / "ml-requests"
        self._ports = ports
        self._environment = {
            "TRUST_KAFKA": "1",
            "KAFKA_BROKERS": self.brokers,
            "QDRANT_URL": self.qdrant_url,
            "ML_INFERENCE_SERVICE_URL": self._ml_url,
            "ML_INFERENCE_BATCH_SIZE": str(BATCH_SIZE),
            "ML_BATCHES_IN_FLIGHT": str(BATCHES_IN_FLIGHT),
            "KAFKA_SESSION_TIMEOUT_SECONDS": str(SESSION_SECONDS),
            "CPU_PROCESSES": "1",
            "LOG_FORMAT": "json",
        }
        services = {
            "kafka": parts.kafka_arguments(folder / "kafka", ports["kafka"]),
            "qdrant": parts.qdrant_arguments(folder / "qdrant", ports["qdrant"]),
            "ml": [*parts.ml_stub_arguments(ports["ml"]), "--log", str(self._ml_log)],
            "api": ["-m", "api", "--host", "127.0.0.1", "--port", str(ports["api"])],
        }
        everything = ",".join(STAGES)
        workers = {"worker": everything} | ({name: name for name in STAGES} if worker_for_each_stage else {})
        self._commands = services | {name: ["-m", "agents", stages] for name, stages in workers.items()}
        self._stages = {name: set(stages.split(",")) for name, stages in workers.items()}
        self._running: dict[str, forked.Process] = {}
        self.gave_up: list[str] = []  # what ended by itself

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Start everything, and end everything."""
        try:
            for name in self._commands:
                await self.start(name)
            keeping = asyncio.create_task(self._keep_running())
            yield
            keeping.cancel()
        finally:
            for process in self._running.values():
                process.kill()
                process.wait()

    async def start(self, name: str) -> None:
        """Start a part; a service is waited for until its port is open."""
        environment = os.environ | self._environment | {"DARKROOM_DATA": str(self._folder / f"data-{name}")}
        with (self._folder / f"{name}.log").open("ab") as output:
            self._running[name] = forked.Process(
                self._commands[name], cwd=parts.ROOT, environment=environment, output=output, errors=output
            )
        if name in self._ports:
            async with asyncio.timeout(START_SECONDS):
                while not is_open(self._ports[name]):
                    await asyncio.sleep(0.05)
        if name == "ml":
            await self.slow_ml(self._ml_seconds_per_image)

    async def _keep_running(self) -> None:
        """Start again what ends by itself, as a supervisor does: a worker gives up when the broker is away too long."""
        while True:
            await asyncio.sleep(1)
            for name, process in list(self._running.items()):
                if process.poll() is not None and self._running[name] is process:
                    self.gave_up.append(name)
                    await self.start(name)

    async def slow_ml(self, seconds_per_image: float) -> None:
        """Let ML take this long for an image, also after a restart."""
        self._ml_seconds_per_image = seconds_per_image
        slow = {"delay_per_image": seconds_per_image}
        async with httpx.AsyncClient() as http:
            (await http.post(f"{self._ml_url}/control", json=slow)).raise_for_status()

    def part(self, name: str) -> parts.Part:
        """Return a service as the fixtures of other tests give it."""
        return parts.Part(name, self._running[name], self._ports[name], self._folder / f"{name}.log")

    @property
    def in_flight(self) -> int:
        """How many images can be with ML at a time, over all workers."""
        return sum("embed" in stages for stages in self._stages.values()) * BATCHES_IN_FLIGHT * BATCH_SIZE

    def pid(self, name: str) -> int:
        return self._running[name].pid

    def runs(self, name: str, stage: Stage) -> bool:
        """Tell whether a part is a worker with this stage."""
        return stage in self._stages.get(name, ())

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

    def kill_a_decode_process(self, choose: random.Random) -> int | None:
        """Kill -9 one of the processes that hash and decode, and return its id; None where none runs now."""
        found = []
        for name in self._stages:
            with contextlib.suppress(psutil.NoSuchProcess):
                for server in psutil.Process(self.pid(name)).children():
                    found.extend(server.children())
        if not found:
            return None
        victim = choose.choice(found)
        with contextlib.suppress(psutil.NoSuchProcess):
            victim.kill()
        return victim.pid

    async def lag(self, stage: Stage) -> int:
        """Return how many messages a stage has before it that it has not committed."""
        return await lag.of_stage(self.brokers, stage)

    async def lag_of_workers(self, stage: Stage) -> dict[str, int]:
        """Return the same by worker: what lies in the partitions that it has now."""
        found = await lag.of_processes(self.brokers, stage)
        return {name: found.get(self.pid(name), 0) for name in self._stages if self.runs(name, stage)}

    def sent_to_ml(self) -> Counter[str]:
        """Return how often each image was sent to ML, also in requests that were never answered."""
        return Counter(image for line in self._ml_log.read_text().splitlines() for image in json.loads(line))
