"""A kill at each point where the design closes a hole: the account is exact all the same."""

import asyncio
import json
import signal
from collections.abc import Collection
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest

from agents.scan.throttle import nothing_is_on_its_way
from core import failpoints
from core.settings import Settings
from tests import pictures
from tests.bus import PARTITIONS, Bus
from tests.parts import Part
from tests.pipeline import Pipeline, account
from tests.worker import Worker

PHOTOS = 12
COPIES = 4
QUICK: dict[str, Any] = {"kafka_session_timeout_seconds": 2}
FIRST_SEEDS = {name: 7000 + 100 * number for number, name in enumerate(get_args(failpoints.Point))}
# Reached once a walk, or once for many files. The others are reached for each, and the kill comes between two of them.
ONCE = {"scan-walked", "embed-answered", "embed-written", "unchanged-told"}
# A file that vanishes while it owns a claim brings these.
OF_A_VANISHED_OWNER = {"waiter-promoted"}
# Files that have not changed bring these.
OF_UNCHANGED_FILES = {"unchanged-told"}
# See tests/replay/test_reembed.py.
OF_A_REEMBEDDING = {"reembed-filled", "reembed-switched"}
# Syncs bring these; see tests.chaos.test_syncs.
OF_SYNCS = {
    "known-told",
    "edit-passed-on",
    "edit-written",
    "sync-asked",
    "sweep-step",
    "sweep-sent",
    "left-kept",
    "store-left",
}
# See tests.chaos.test_watching.
OF_A_WATCHER = {"watch-news"}
# What is forgotten brings these; see tests.chaos.test_forgetting.
OF_FORGETTING = {"forget-told", "erase-noted", "store-erased", "erase-concluded"}
ELSEWHERE = OF_A_VANISHED_OWNER | OF_UNCHANGED_FILES | OF_A_REEMBEDDING | OF_SYNCS | OF_A_WATCHER | OF_FORGETTING


def fill(folder: Path, seed: int) -> None:
    """Write photographs, copies of some, and broken files."""
    pictures.write(folder, range(seed, seed + PHOTOS))
    for number in range(COPIES):
        (folder / f"copy-{number}.jpg").write_bytes(pictures.jpeg(seed + number))
        (folder / f"broken-{number}.jpg").write_bytes(b"no picture %d %d" % (seed, number))


@pytest.mark.chaos
@pytest.mark.timeout(600)
@pytest.mark.parametrize("point", sorted(set(get_args(failpoints.Point)) - ELSEWHERE))
async def test_a_kill_here_is_harmless(
    point: str, idle_pipeline: Pipeline, kafka: Part, qdrant: Part, ml: Part, collection: str, tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    fill(photos, FIRST_SEEDS[point])
    # Slow enough that copies are waiting while their original is with ML.
    httpx.post(f"{ml.url}/control", json={"delay_per_image": 0.1}).raise_for_status()
    data = tmp_path / "data"
    armed = f"{point}:{1 if point in ONCE else 2}"
    job_id = await idle_pipeline.scan(photos, collection=collection)
    await killed_at(armed, idle_pipeline.bus, Worker(kafka, qdrant, ml, data, darkroom_failpoint=armed, **QUICK))
    with Worker(kafka, qdrant, ml, data, **QUICK):
        status = account(await idle_pipeline.bus.finished(job_id))
    broken = {str(photos / f"broken-{number}.jpg") for number in range(4)}
    await check(idle_pipeline, collection, status, stored=PHOTOS, duplicate=COPIES, failed=broken)


@pytest.mark.chaos
@pytest.mark.timeout(600)
@pytest.mark.parametrize("point", ["dead-lettered", "failure-reported", "waiter-promoted", "claim-ended"])
async def test_a_kill_while_a_claim_passes_on_is_harmless(
    point: str, idle_pipeline: Pipeline, kafka: Part, qdrant: Part, ml: Part, collection: str, tmp_path: Path
) -> None:
    """The files that own claims vanish after they were hashed; their copies take over."""
    photos, bus = tmp_path / "photos", idle_pipeline.bus
    seed = 20_000 + FIRST_SEEDS[point]
    pictures.write(photos, range(seed, seed + COPIES))
    for number in range(COPIES):
        (photos / f"copy-{number}.jpg").write_bytes(pictures.jpeg(seed + number))
    data = tmp_path / "data"
    with Worker(kafka, qdrant, ml, data, "scan,hash", **QUICK):
        job_id = await idle_pipeline.scan(photos, collection=collection)

        def hashed() -> list[dict[str, Any]]:
            return [json.loads(record.value) for record in bus.of_job("hashed-file", job_id) if record.value]

        await bus.until(lambda: len({file["path"] for file in hashed()}) == 2 * COPIES, "all files hashed")
    owners = {file["sha256"]: file["path"] for file in reversed(hashed())}
    for path in owners.values():
        await asyncio.to_thread(Path(path).unlink)
    armed = f"{point}:2"
    await killed_at(armed, bus, Worker(kafka, qdrant, ml, data, darkroom_failpoint=armed, **QUICK))
    with Worker(kafka, qdrant, ml, data, **QUICK):
        await bus.finished(job_id)
        # One that comes again after its claim has passed on is a duplicate of a content that is known: that lifts its
        # failure, maybe when the job has ended.
        await until_all_is_read(bus)
        status = account(await bus.finished(job_id))
    outcomes = status["outcomes"]
    assert (outcomes["stored"], outcomes["duplicate"] + outcomes["failed"]) == (COPIES, COPIES)
    letters = {value["path"] for value in bus.values("dead-letter", job_id=job_id)}
    assert letters == set(owners.values())
    points = await idle_pipeline.points(collection)
    assert len({point["file_hash"] for point in points.values()}) == COPIES
    assert len(points) == COPIES + outcomes["duplicate"]


async def until_all_is_read(bus: Bus) -> None:
    """Wait until no stage has a message left."""
    settings = Settings(kafka_brokers=bus.brokers, kafka_partitions=PARTITIONS)
    while not await nothing_is_on_its_way(settings):
        await bus.quiet(0.5)
    await bus.quiet(1.0)  # what track makes of it


async def killed_at(point: str, bus: Bus, worker: Worker) -> None:
    """Run a worker until it kills itself."""
    worker.launch()
    try:
        await bus.until(worker.has_ended, f"a kill at {point}")
        assert worker.exit_code == -signal.SIGKILL, worker.log[-4000:]
    finally:
        worker.kill()


async def check(
    pipeline: Pipeline, name: str, status: dict[str, Any], *, stored: int, duplicate: int, failed: Collection[str]
) -> None:
    assert status["outcomes"] == {
        "stored": stored, "cached": 0, "duplicate": duplicate, "unchanged": 0, "skipped": 0, "failed": len(failed),
    }  # fmt: skip
    points = await pipeline.points(name)
    assert len(points) == stored + duplicate
    assert len({point["file_hash"] for point in points.values()}) == stored
    letters = {value["path"] for value in pipeline.bus.values("dead-letter", job_id=status["job_id"])}
    assert letters == set(failed)
