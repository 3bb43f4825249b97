"""track alone: job-event → one status document a job on job-status, and rows that outlive the process."""

import asyncio
import shutil
from typing import Any

from tests.agents.messages import partition_of
from tests.bus import PARTITIONS, Bus
from tests.worker import Worker

STAGE = "track"
COLLECTION = "somewhere"
Event = dict[str, Any]


def event(job: str, kind: str, at: float = 1000.0, **fields: object) -> Event:
    return {"job_id": job, "type": kind, "at": at} | fields


def seen(job: str, *names: str) -> Event:
    files = [{"file_id": f"id-{name}", "path": f"/{name}.jpg"} for name in names]
    return event(job, "seen", collection=COLLECTION, files=files)


def outcomes(job: str, *, replay: bool = False, **files: str) -> Event:
    return outcomes_of(job, files, replay=replay)


def outcomes_of(job: str, files: dict[str, str], *, replay: bool = False) -> Event:
    told = [{"file_id": f"id-{name}", "path": f"/{name}.jpg", "outcome": outcome} for name, outcome in files.items()]
    return event(job, "outcomes", collection=COLLECTION, files=told, replay=replay)


def seals(job: str, walk_id: str = "walk") -> list[Event]:
    numbers = range(PARTITIONS)
    return [event(job, "sealed", walk_id=walk_id, partitions=PARTITIONS, partition=number) for number in numbers]


async def send(bus: Bus, *events: Event) -> dict[str, Any]:
    """Publish events of one job, and return the status document that includes them all."""
    job = events[0]["job_id"]
    before = len(bus.of_job("job-event", job))
    for each in events:
        await bus.publish("job-event", job, each, [("job_id", job.encode())])
    await bus.until(lambda: len(bus.of_job("job-event", job)) == before + len(events), "the events themselves")
    last = bus.of_job("job-event", job)[-1].offset

    def newest() -> dict[str, Any] | None:
        return next((s for s in bus.values("job-status", job_id=job) if s["offset"] == last), None)

    status: dict[str, Any] = await bus.until(newest, "a status with the last event")
    return status


def counts(status: dict[str, Any]) -> dict[str, int]:
    assert set(status["outcomes"]) == {"stored", "cached", "duplicate", "unchanged", "skipped", "failed"}
    assert sum(status["outcomes"].values()) == status["processed_files"]
    return {outcome: count for outcome, count in status["outcomes"].items() if count}


async def test_a_job_from_its_submit_to_its_end(bus: Bus, job: str) -> None:
    queued = event(job, "queued", 990, collection=COLLECTION, sources=["/a"], model_id="stub-1")
    status = await send(bus, queued)
    assert (status["status"], status["collection"], status["model_id"]) == ("queued", COLLECTION, "stub-1")
    (record,) = bus.of_job("job-status", job)
    assert (record.key, record.partition) == (job.encode(), partition_of(job.encode()))

    scanning = event(
        job, "scanning", 991, collection=COLLECTION, sources=["/a"], caption=False, model_id="stub-1", walk_id="walk"
    )
    status = await send(bus, scanning, seen(job, "a", "b", "c"))
    assert (status["status"], status["total_files"], status["processed_files"]) == ("scanning", 3, 0)
    assert status["start_time"] == "1970-01-01T00:16:31.000+00:00"

    status = await send(bus, outcomes(job, a="stored"), *seals(job), event(job, "waiting", stage="embed", target="ml"))
    assert (status["status"], status["total_known"], status["waiting_for"]) == ("running", True, "ml")
    status = await send(bus, outcomes(job, b="duplicate", c="failed"), event(job, "ml-sent", images=2))
    assert (status["status"], status["progress"]) == ("completed_with_errors", 100.0)
    assert counts(status) == {"stored": 1, "duplicate": 1, "failed": 1}
    assert (status["ml_images_sent"], status.get("waiting_for")) == (2, None)
    assert any("/c.jpg: failed" in line for line in status["logs"])

    status = await send(bus, outcomes(job, replay=True, c="cached", a="cached"))
    assert status["status"] == "completed"
    assert counts(status) == {"stored": 1, "duplicate": 1, "cached": 1}


async def test_the_account_depends_on_no_order_and_on_no_repeat(bus: Bus, job: str) -> None:
    events = [seen(job, "a", "b"), outcomes(job, a="stored", b="cached"), outcomes(job, a="duplicate"), *seals(job)]
    status = await send(bus, *reversed(events))
    assert (status["status"], status["total_files"]) == ("completed", 2)
    assert counts(status) == {"stored": 1, "cached": 1}
    again = await send(bus, *events)
    assert (counts(again), again["total_files"], again["status"]) == (counts(status), 2, "completed")


async def test_many_events_make_few_documents(bus: Bus, job: str) -> None:
    names = [f"n{number}" for number in range(500)]
    events = [seen(job, name) for name in names] + [outcomes_of(job, {name: "stored"}) for name in names]
    status = await send(bus, *events)
    assert (status["total_files"], counts(status)) == (500, {"stored": 500})
    documents = bus.values("job-status", job_id=job)
    assert len(documents) < 100
    offsets = [document["offset"] for document in documents]
    assert offsets == sorted(offsets)


async def test_half_sealed_is_not_finished_and_another_walk_does_not_help(bus: Bus, job: str) -> None:
    first, second = seals(job, "one"), seals(job, "two")
    status = await send(bus, seen(job, "a"), outcomes(job, a="stored"), *first[:2], *second[2:])
    assert (status["status"], status["total_known"]) == ("running", False)
    status = await send(bus, *first[2:])
    assert status["status"] == "completed"


async def test_what_does_not_validate_leaves_and_its_neighbours_go_on(bus: Bus, job: str) -> None:
    await bus.publish("job-event", job, b'{"type": "strange"}', [("job_id", job.encode())])
    await bus.until(lambda: bus.of_job("dead-letter", job), "a dead letter")
    status = await send(bus, seen(job, "a"))
    assert status["total_files"] == 1
    (letter,) = bus.of_job("dead-letter", job)
    assert letter.value == b'{"type": "strange"}'


async def test_an_event_under_another_key_leaves(bus: Bus, job: str) -> None:
    """It stands on another partition, where offsets are others: the job's own events would look old behind it."""
    stray = {"type": "cancel", "job_id": job, "at": 1}
    for key in ("another", "a third", "and more"):
        await bus.publish("job-event", key, stray, [("job_id", job.encode())])
    await bus.until(lambda: len(bus.of_job("dead-letter", job)) == 3, "the dead letters")
    status = await send(bus, seen(job, "a"), outcomes(job, a="stored"), *seals(job))
    assert (status["status"], status["cancelling"]) == ("completed", False)


async def test_counts_outlive_the_process_and_its_files(bus: Bus, job: str, worker: Worker) -> None:
    await send(bus, seen(job, "a", "b", "c", "d"), outcomes(job, a="stored", b="failed"), *seals(job)[:5])
    for lost in (False, True):
        assert worker.stop() == 0
        if lost:
            shutil.rmtree(worker.data / "worker")
        await asyncio.to_thread(worker.start)
        status = await send(bus, seen(job, "a"))
        assert (status["status"], status["total_files"], counts(status)) == ("running", 4, {"stored": 1, "failed": 1})
    status = await send(bus, outcomes(job, b="duplicate", c="cached", d="unchanged"), *seals(job)[5:])
    assert (status["status"], status["total_files"]) == ("completed", 4)
    assert counts(status) == {"stored": 1, "duplicate": 1, "cached": 1, "unchanged": 1}
