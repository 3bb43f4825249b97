"""Random lives of libraries with real processes, which are killed at each step of a sync, and at any other time.

What is kept in step ends as a fresh ingest gives it, and what was on a disk that was away has not left meanwhile. One
seed alone: pytest -m chaos tests/chaos/test_sequences.py -k 'gives_it and 7-'. Many more lives, without processes:
tests/unit/test_sync_sequences.py.
"""

import random
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from core.errors import CollectionMissingError
from tests import pictures
from tests.chaos.test_failpoints import OF_SYNCS, QUICK, until_all_is_read
from tests.inside.life import Life
from tests.parts import Part
from tests.pipeline import Pipeline, account
from tests.worker import Worker
from topics.job_status import FINISHED, REMOVALS_SETTLED

SEEDS = 20
STEPS = 16
POINTS = sorted(OF_SYNCS | {"hash-sent", "hash-sealed", "fingerprints-row-written", "known_images-row-written",
                            "prepare-claimed", "edit-written", "store-upserted", "store-concluded", "jobs-row-written",
                            "track-checkpoint"})  # fmt: skip


class Kept:
    """A Darkroom of real processes, as a library needs it. What ends by itself, at its failpoint, is started again."""

    def __init__(self, pipeline: Pipeline, worker: Callable[[str], Worker], point: str) -> None:
        self._pipeline = pipeline
        self._bus = pipeline.bus
        self._new_worker = worker
        self._worker = worker(point)
        self._worker.launch()
        self._own = f"s{uuid.uuid4().hex[:10]}"
        self._sources: dict[str, dict[str, Any]] = {}
        self.kills = 0

    def stop(self) -> None:
        self._worker.kill()

    async def keep(self, name: str, folder: Path, collection: str, exclude: Sequence[str] = ()) -> None:
        source = {"name": self._name(name), "folder": str(folder), "collection": self._name(collection)}
        self._sources[name] = source | {"exclude": [*exclude]}
        await self._bus.publish("source", source["name"], self._sources[name])

    async def sync(self, name: str) -> str:
        """Look at a source as it is wanted now, beside what its schedule does."""
        source = self._sources[name]
        return await self._scan(source["collection"], [source["folder"]], source["exclude"], source["name"])

    async def ingest(self, folder: Path, collection: str, exclude: Sequence[str] = ()) -> str:
        return await self._scan(self._name(collection), [str(folder)], exclude, None)

    async def decide(self, job_id: str, word: Literal["confirm", "keep"]) -> None:
        await self._bus.publish("job-event", job_id, {"job_id": job_id, "at": 0.0, "type": word})

    def is_held(self, job_id: str) -> bool:
        status = self._status(job_id)
        return bool(status and (status.get("removals") or {}).get("state") == "held")

    async def settled(self, job_id: str) -> dict[str, Any]:
        await self._until(lambda: self._is_settled(job_id), f"the end of {job_id}")
        status = self._status(job_id)
        assert status is not None
        return account(status)

    async def until_removed(self, job_id: str) -> None:
        def is_removed() -> bool:
            status = self._status(job_id)
            return bool(status and status["removals"]["state"] in {"removed", "guarded"})

        await self._until(is_removed, f"the removals of {job_id}")

    async def at_rest(self) -> None:
        """Wait also for what the schedule has begun."""

        def is_settled() -> bool:
            mine = {one["job_id"] for one in self._bus.values("job-status") if one["collection"].startswith(self._own)}
            return all(map(self._is_settled, mine))

        await self._until(is_settled, "the end of all jobs")
        await until_all_is_read(self._bus)

    async def kill(self) -> None:
        self._worker.kill()

    async def live(self, collection: str) -> list[dict[str, Any]]:
        name = self._name(collection)
        try:
            found, _ = await self._pipeline.qdrant.page(name, limit=1000)
        except CollectionMissingError:
            return []
        return [point.payload for point in found]

    def _name(self, name: str) -> str:
        return f"{self._own}-{name}"

    async def _scan(self, collection: str, folders: list[str], exclude: Sequence[str], source: str | None) -> str:
        job_id = f"{self._own}-{uuid.uuid4().hex[:8]}"
        request = {"job_id": job_id, "collection": collection, "sources": folders, "exclude": [*exclude]}
        await self._bus.publish("scan-request", source or job_id, request | {"source": source})
        return job_id

    def _status(self, job_id: str) -> dict[str, Any] | None:
        found = self._bus.values("job-status", job_id=job_id)
        return max(found, key=lambda status: status["offset"]) if found else None

    def _is_settled(self, job_id: str) -> bool:
        status = self._status(job_id)
        if status is None or status["status"] not in FINISHED:
            return False
        return (removals := status.get("removals")) is None or removals["state"] in REMOVALS_SETTLED

    async def _until(self, condition: Callable[[], bool], what: str) -> None:
        def look() -> bool:
            if self._worker.has_ended():
                self.kills += 1
                self._worker = self._new_worker("")
                self._worker.launch()
            return condition()

        await self._bus.until(look, what)


@pytest.mark.chaos
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("seed", "point"),
    [pytest.param(n, POINTS[n % len(POINTS)], id=f"{n}-{POINTS[n % len(POINTS)]}") for n in range(SEEDS)],
)
async def test_a_library_ends_as_a_fresh_ingest_gives_it(
    seed: int, point: str, idle_pipeline: Pipeline, kafka: Part, qdrant: Part, ml: Part, tmp_path: Path
) -> None:
    chance = random.Random(seed)
    armed = f"{point}:{chance.randint(1, 4)}"
    first = chance.randrange(1 << 40)
    darkroom = Kept(
        idle_pipeline,
        lambda armed: Worker(kafka, qdrant, ml, tmp_path / "data", darkroom_failpoint=armed, **QUICK),
        armed,
    )
    life = Life(chance, darkroom, tmp_path / "photos", lambda pixels, metadata: picture(first + pixels, metadata))
    try:
        await life.begin()
        for _ in range(STEPS):
            await life.go_on()
        await life.end()
        sent = sum(map(len, idle_pipeline.ml_batches()))
        contents = life.contents().total()
        # A kill may have asked once more what was under way.
        assert sent <= contents * (1 + darkroom.kills)
        idle_pipeline.forget_ml()
        await life.is_as_a_fresh_ingest_gives_it()
        assert idle_pipeline.ml_batches() == []
    except Exception as error:
        error.add_note("\n".join([f"Seed {seed}, armed {armed}, {darkroom.kills} kills:", *life.story]))
        raise
    finally:
        darkroom.stop()


def picture(pixels: int, metadata: int) -> bytes:
    return pictures.described(pictures.jpeg(pixels), f"Number {metadata}")
