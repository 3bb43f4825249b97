"""The whole pipeline: real Kafka, real Qdrant API, the ML stub, and one worker for a module."""

import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.settings import Settings
from gateways.qdrant import Qdrant
from tests.bus import Bus, skip_backlog
from tests.parts import Part
from tests.worker import Worker
from topics.admin import create_topics
from topics.topology import NAMES


@dataclass
class Pipeline:
    """What a test needs to feed the pipeline and to see what comes of it."""

    bus: Bus
    qdrant: Qdrant
    ml: Part

    async def scan(self, *sources: Path, collection: str, **options: Any) -> str:
        """Publish a scan request; return the job's id."""
        job_id = f"job-{uuid.uuid4().hex[:12]}"
        request = {"job_id": job_id, "collection": collection, "sources": [str(path) for path in sources]}
        await self.bus.publish("scan-request", job_id, request | options)
        return job_id

    async def run(self, *sources: Path, collection: str, **options: Any) -> dict[str, Any]:
        """Scan, and wait for the end; the account must be exact."""
        job_id = await self.scan(*sources, collection=collection, **options)
        return account(await self.bus.finished(job_id))

    async def points(self, collection: str) -> dict[str, dict[str, Any]]:
        """Return the payloads of a collection by path."""
        found, cursor = await self.qdrant.page(collection, limit=1000, cursor=None, filters=None, sort=None)
        while cursor is not None:
            more, cursor = await self.qdrant.page(collection, limit=1000, cursor=cursor, filters=None, sort=None)
            found = [*found, *more]
        return {path: point.payload for point in found for path in point.payload["paths"]}

    def ml_batches(self) -> list[list[str]]:
        """Return the file names of each batch that ML got since `forget_ml`."""
        batches: list[dict[str, Any]] = httpx.get(f"{self.ml.url}/log").json()
        return [[image["filename"] for image in batch["images"]] for batch in batches]

    def forget_ml(self) -> None:
        httpx.delete(f"{self.ml.url}/log").raise_for_status()


def account(status: dict[str, Any]) -> dict[str, Any]:
    """Check that the six outcomes sum to the total."""
    assert set(status["outcomes"]) == {"stored", "cached", "duplicate", "unchanged", "skipped", "failed"}
    assert sum(status["outcomes"].values()) == status["total_files"] == status["processed_files"]
    return status


@pytest.fixture(scope="module")
def worker_settings() -> dict[str, Any]:
    """Settings of the module's worker; a module overrides this."""
    return {}


@pytest.fixture(scope="module")
def worker(
    kafka: Part, qdrant: Part, ml: Part, tmp_path_factory: pytest.TempPathFactory, worker_settings: dict[str, Any]
) -> Iterator[Worker]:
    skip_backlog(kafka.address)
    with Worker(kafka, qdrant, ml, tmp_path_factory.mktemp("worker"), **worker_settings) as running:
        yield running


@pytest.fixture
def collection() -> str:
    return f"c-{uuid.uuid4().hex[:12]}"


@pytest.fixture
async def idle_pipeline(kafka: Part, qdrant: Part, ml: Part) -> AsyncIterator[Pipeline]:
    """The pipeline without a worker: the test runs its own."""
    await create_topics(Settings(), kafka.address)
    store = Qdrant(qdrant.url, api_key=None, timeout=30)
    httpx.post(f"{ml.url}/control", json={}).raise_for_status()
    httpx.delete(f"{ml.url}/log").raise_for_status()
    async with Bus(kafka.address, *NAMES) as bus:
        yield Pipeline(bus, store, ml)
    await store.close()


@pytest.fixture
def pipeline(idle_pipeline: Pipeline, worker: Worker) -> Pipeline:
    """The pipeline with the module's worker."""
    return idle_pipeline
