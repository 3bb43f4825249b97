"""All of Darkroom as `darkroom up` runs it, with the ML stub or a model: fed over HTTP, watched from outside."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx
import psutil

from embedded import ports, state

ROOT = Path(__file__).resolve().parents[1]
FINISHED = {"completed", "completed_with_errors", "failed", "cancelled"}
DECIDED = {"none", "removed", "held", "kept", "guarded"}
START_SECONDS = 120.0
LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Timed:
    """A job that has ended: seconds from its submit to its end, and its status document."""

    job_id: str
    seconds: float
    status: dict[str, Any]


class Darkroom:
    """Everything in its own data folder; use as an asynchronous context manager.

    `model`: one that lies in the folder, as `darkroom models` keeps it, in place of the stub.
    """

    def __init__(self, data: Path, *, model: str | None = None, **settings: object) -> None:
        self.data = data
        self._port, self._ml_port = ports.free_ports(2)
        self.url = f"http://127.0.0.1:{self._port}"
        self.ml_url = f"http://127.0.0.1:{self._ml_port}"
        self._model = model
        self._environment = os.environ | {
            "TRUST_KAFKA": "1",
            "ML_INFERENCE_SERVICE_URL": "" if model else self.ml_url,
            "INGEST_ROOTS": str(data),
            "DARKROOM_URL": self.url,
            "LOG_LEVEL": "WARNING",
            **{name.upper(): str(value) for name, value in settings.items()},
        }
        self.start_seconds = 0.0
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.http = httpx.AsyncClient(base_url=self.url, timeout=60)
        self.ml = httpx.AsyncClient(base_url=self.ml_url, timeout=60)

    async def __aenter__(self) -> Self:
        """Start, and wait for `/ready`."""
        self.data.mkdir(parents=True, exist_ok=True)
        if self._model is None:
            self._run("ml stub", [sys.executable, "-m", "benchmarks.ml_stub", "--port", str(self._ml_port)])
            await until_answers(self.ml_url + "/health", self._check_running)
        begin = time.perf_counter()
        command = [str(Path(sys.executable).with_name("darkroom")), "up", "--data", str(self.data / "darkroom")]
        command += ["--port", str(self._port), *(["--model", self._model] if self._model else [])]
        self._run("supervisor", command)
        await until_answers(self.url + "/ready", self._check_running)
        self.start_seconds = time.perf_counter() - begin
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop in order."""
        await self.http.aclose()
        await self.ml.aclose()
        for process in reversed(self._processes.values()):
            process.send_signal(signal.SIGTERM)
            process.wait(60)

    async def ingest(self, folder: Path, collection: str = "bench") -> Timed:
        """Submit a folder and wait for the end. The account is checked."""
        begin = time.perf_counter()
        job_id = await self.submit(folder, collection)
        status = await self.finished(job_id)
        return Timed(job_id, time.perf_counter() - begin, status)

    async def submit(self, folder: Path, collection: str = "bench") -> str:
        """Submit a folder; return the id of the job."""
        body = {"directory_path": str(folder), "collection": collection}
        answer = await self.http.post("/api/v1/ingest/scan", json=body)
        job_id: str = answer.raise_for_status().json()["job_id"]
        return job_id

    async def finished(self, job_id: str) -> dict[str, Any]:
        """Follow a job's events to its end, and check that its outcomes sum to its total."""
        status: dict[str, Any] = {}
        async with self.http.stream("GET", f"/api/v1/ingest/{job_id}/events", timeout=1200) as events:
            async for line in events.aiter_lines():
                if line.startswith("data:"):
                    status = json.loads(line.removeprefix("data:"))
                    if status["status"] in FINISHED:
                        break
        if sum(status["outcomes"].values()) != status["total_files"]:
            raise RuntimeError(f"The account of job {job_id} is wrong: {status['outcomes']}")
        return status

    async def add_source(self, folder: Path, name: str, collection: str = "bench") -> str:
        """Keep a folder in step with a collection; return the id of the job that looks at it first."""
        body = {"folder": str(folder), "name": name, "collection": collection}
        (await self.http.post("/api/v1/sources", json=body)).raise_for_status()
        while True:
            source = (await self.http.get(f"/api/v1/sources/{name}")).raise_for_status().json()
            if source["last_job"] is not None:
                job_id: str = source["last_job"]["job_id"]
                return job_id
            await asyncio.sleep(LOOK_SECONDS)

    async def begin_sync(self, name: str) -> str:
        """Look at a source now; return the id of the job."""
        job_id: str = (await self.http.post(f"/api/v1/sources/{name}/sync")).raise_for_status().json()["job_id"]
        return job_id

    async def sync(self, name: str) -> Timed:
        """Look at a source now; wait until what has left is known, and removed."""
        begin = time.perf_counter()
        job_id = await self.begin_sync(name)
        await self.finished(job_id)
        return await self.removed(job_id, begin)

    async def removed(self, job_id: str, begin: float) -> Timed:
        """Wait, after the end of a sync's job, until what has left is known, and removed."""
        while True:
            status = (await self.http.get(f"/api/v1/ingest/status/{job_id}")).raise_for_status().json()
            if (status.get("removals") or {}).get("state") in DECIDED:
                return Timed(job_id, time.perf_counter() - begin, status)
            await asyncio.sleep(LOOK_SECONDS)

    async def forget_ml(self) -> None:
        """Let the ML stub begin its log anew."""
        await self.ml.delete("/log")

    async def ml_log(self) -> dict[str, Any]:
        """Return what ML was sent since its log began."""
        log: dict[str, Any] = (await self.ml.get("/log")).json()
        return log

    def address(self, setting: str) -> str:
        """Return where a part runs, by the name of the setting that leads there."""
        running = state.read(self.data / "darkroom")
        if running is None:
            raise RuntimeError("Darkroom does not run.")
        return running.addresses[setting]

    async def payloads(self, collection: str, *fields: str) -> list[dict[str, Any]]:
        """Return these fields of all points of a collection."""
        found: list[dict[str, Any]] = []
        offset = None
        async with httpx.AsyncClient(base_url=self.address("QDRANT_URL"), timeout=60) as qdrant:
            while True:
                body = {"limit": 1000, "offset": offset, "with_payload": list(fields)}
                answer = await qdrant.post(f"/collections/{collection}/points/scroll", json=body)
                page = answer.raise_for_status().json()["result"]
                found.extend(point["payload"] for point in page["points"])
                offset = page.get("next_page_offset")
                if offset is None:
                    return found

    def processes(self) -> dict[str, list[psutil.Process]]:
        """Return the running processes by the part that they belong to."""
        found: dict[str, list[psutil.Process]] = defaultdict(list)
        running = state.read(self.data / "darkroom")
        for name, part in (running.parts if running else {}).items():
            if part.pid is not None:
                own, children = family(part.pid)
                found[name] += own
                found["decode" if name.startswith("worker") else name] += children
        for name, started in self._processes.items():
            found[name] += family(started.pid)[0]
        return dict(found)

    def cpu_seconds(self) -> dict[str, float]:
        """Return the CPU time of each part so far."""
        return {name: sum(_cpu(process) for process in found) for name, found in self.processes().items()}

    def rss(self) -> dict[str, int]:
        """Return the resident bytes of each part. Pages that processes share count in each of them."""
        return {name: sum(_rss(process) for process in found) for name, found in self.processes().items()}

    @asynccontextmanager
    async def watching_memory(self) -> AsyncIterator[dict[str, int]]:
        """Give the peak of each part, and of their `sum`, while the block runs; looked at four times a second."""
        peaks: dict[str, int] = {}

        async def watch() -> None:
            while True:
                now = await asyncio.to_thread(self.rss)
                now["sum"] = sum(now.values())
                for name, value in now.items():
                    peaks[name] = max(value, peaks.get(name, 0))
                await asyncio.sleep(0.25)

        watching = asyncio.create_task(watch())
        try:
            yield peaks
        finally:
            watching.cancel()

    def _run(self, name: str, command: list[str]) -> None:
        with (self.data / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command, cwd=ROOT, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._processes[name] = process

    def _check_running(self) -> None:
        if any(process.poll() is not None for process in self._processes.values()):
            raise RuntimeError(f"A part has ended; see the logs in {self.data}.")


async def until_answers(url: str, check: Callable[[], None] = lambda: None) -> None:
    """Wait until a URL answers 200; `check` is called before each try."""
    async with asyncio.timeout(START_SECONDS):
        while True:
            check()
            if await asyncio.to_thread(_answers, url):
                return
            await asyncio.sleep(0.05)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def family(pid: int) -> tuple[list[psutil.Process], list[psutil.Process]]:
    """Return a process and those that it has started; what has ended, or ends meanwhile, is left out."""
    try:
        process = psutil.Process(pid)
        return [process], process.children(recursive=True)
    except psutil.NoSuchProcess:
        return [], []


def _cpu(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def _rss(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
