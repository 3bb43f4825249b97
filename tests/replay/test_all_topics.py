"""Replaying topics: nothing changes that shows, and a wiped collection comes back without ML.

First of its folder, as it replays all that other tests have left in the topics.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from tests import pictures
from tests.api.service import Service
from tests.pipeline import Pipeline
from tests.replay.conftest import Quiet, run_to_its_end
from topics.topology import INPUTS

COPIES = "copies that an earlier replay made"


async def points(pipeline: Pipeline, collections: Iterable[str]) -> dict[str, Any]:
    """Return whole points by collection and id."""
    found = {}
    for name in collections:
        page, cursor = await pipeline.qdrant.page(name, limit=1000)
        assert cursor is None
        found[name] = {point.id: point for point in await pipeline.qdrant.points(name, [p.id for p in page])}
    return found


async def documents(service: Service, jobs: Iterable[str]) -> dict[str, Any]:
    """Return what the status of each job says of its files."""
    told = ("status", "total_files", "processed_files", "progress", "outcomes", "stages", "start_time", "stalled")
    found = {job: await service.get(f"ingest/status/{job}") for job in jobs}
    return {job: {name: document[name] for name in told} for job, document in found.items()}


async def test_replaying_whole_topics_changes_no_count_and_no_point(
    pipeline: Pipeline, service: Service, quiet: Quiet, collection: str, tmp_path: Path
) -> None:
    known, elsewhere, mixed = tmp_path / "known", tmp_path / "elsewhere", tmp_path / "mixed"
    pictures.write(known, range(7000, 7002))
    pictures.write(elsewhere, range(7010, 7011))
    pictures.write(mixed, range(7020, 7024))
    for number in range(2):
        (mixed / f"copy-{number}.jpg").write_bytes(pictures.jpeg(7020))
        (mixed / f"cut-{number}.jpg").write_bytes(pictures.jpeg(7030)[:2000])
    (mixed / "cached.jpg").write_bytes(pictures.jpeg(7010))
    (mixed / "known").symlink_to(known)
    (mixed / "notes.txt").write_text("no photograph")
    (mixed / "text.jpg").write_text("no picture")
    (mixed / "nowhere.jpg").symlink_to(mixed / "gone.jpg")
    other = f"{collection}-other"
    first = await pipeline.run(elsewhere, collection=other)
    # As `mixed/known` is how the second job sees these two, so must the first.
    second = await pipeline.run(mixed / "known", collection=collection)
    third = await pipeline.run(mixed, collection=collection)
    assert third["outcomes"] == {"stored": 4, "cached": 1, "duplicate": 2, "unchanged": 2, "skipped": 1, "failed": 4}
    jobs = [job["job_id"] for job in (first, second, third)]
    await quiet()
    before = await documents(service, jobs), await points(pipeline, [collection, other])

    published, earlier = {}, {}
    for topic in INPUTS:
        planned = await run_to_its_end(service, "replay", topic=topic, dry_run=True)
        earlier[topic] = planned["left_out"].get(COPIES, 0)  # other tests of this broker replay too
        done = await run_to_its_end(service, "replay", topic=topic)
        assert done["published"] == planned["published"] > 0, topic
        published[topic] = done["published"]
        await quiet()
        after = await documents(service, jobs), await points(pipeline, [collection, other])
        assert after == before, topic
    # What the replays themselves have left behind is not repeated.
    for topic in ("scan-request", "ml-request"):
        again = await run_to_its_end(service, "replay", topic=topic, dry_run=True)
        assert again["published"] == published[topic]
        assert again["left_out"][COPIES] == earlier[topic] + published[topic]
    sent = (await service.get(f"ingest/status/{third['job_id']}"))["ml_images_sent"]
    assert sent == third["ml_images_sent"] == 4, (
        "embed still knows what ML answered: a replay of ml-request asks nothing"
    )


async def test_a_wiped_collection_comes_back_from_each_topic_without_ml(
    pipeline: Pipeline, service: Service, quiet: Quiet, collection: str, tmp_path: Path
) -> None:
    pictures.write(tmp_path, range(7100, 7104))
    (tmp_path / "copy.jpg").write_bytes(pictures.jpeg(7100))
    job = await pipeline.run(tmp_path, collection=collection)
    await quiet()
    before = await points(pipeline, [collection])
    outcomes = (await service.get(f"ingest/status/{job['job_id']}"))["outcomes"]
    pipeline.forget_ml()
    httpx.post(f"{pipeline.ml.url}/control", json={"status": 503}).raise_for_status()
    for topic in ("raw-path", "hashed-file", "db-write"):
        await pipeline.qdrant.delete_collection(collection)
        run = await run_to_its_end(service, "replay", topic=topic, job_id=job["job_id"])
        assert run["published"] >= 5
        await quiet()
        after = await points(pipeline, [collection])
        assert after[collection].keys() == before[collection].keys(), topic
        for name, point in after[collection].items():
            old = before[collection][name]
            assert point.vector == old.vector
            # Whichever path of a content comes first names it.
            by_path = {"ingested_at": 0, "full_path": 0, "filename": 0, "name_key": 0}
            assert point.payload | by_path == old.payload | by_path
        assert (await service.get(f"ingest/status/{job['job_id']}"))["outcomes"] == outcomes
    assert pipeline.ml_batches() == []


async def test_a_part_of_a_topic_is_chosen_by_job_time_and_offsets(
    pipeline: Pipeline, service: Service, quiet: Quiet, collection: str, tmp_path: Path
) -> None:
    begun = datetime.now(UTC)
    pictures.write(tmp_path, range(7200, 7203))
    job = await pipeline.run(tmp_path, collection=collection)
    await quiet()

    async def count(**part: Any) -> int:
        run = await run_to_its_end(service, "replay", topic="raw-path", dry_run=True, **part)
        return int(run["published"])

    assert await count(job_id=job["job_id"]) == 3
    assert await count(job_id="no-such-job") == 0
    assert await count(since=begun.isoformat()) == 3
    assert await count(since=(begun + timedelta(hours=1)).isoformat()) == 0
    records = [r for r in pipeline.bus.records if r.topic == "raw-path" and r.value is not None]
    last = max((r for r in records if r.partition == records[0].partition), key=lambda r: r.offset)
    files = [r for r in records if (r.partition, r.offset) == (last.partition, last.offset)]
    assert await count(from_offsets={last.partition: last.offset}) == len(files)  # one message may be about several


async def test_a_collection_of_another_model_gets_nothing(
    pipeline: Pipeline, service: Service, quiet: Quiet, collection: str, tmp_path: Path
) -> None:
    pictures.write(tmp_path, range(7300, 7302))
    job = await pipeline.run(tmp_path, collection=collection)
    await quiet()
    await pipeline.qdrant.delete_collection(collection)
    await pipeline.qdrant.ensure_collection(collection, model_id="other", dimension=512, distance="Cosine")
    run = await run_to_its_end(service, "replay", topic="db-write", job_id=job["job_id"])
    assert run["published"] == 0
    [reason] = [reason for reason in run["left_out"] if "model" in reason]
    assert run["left_out"][reason] == 2
    assert await pipeline.points(collection) == {}


async def test_what_cannot_be_replayed_is_refused_with_a_reason(service: Service) -> None:
    for topic, words in {
        "job-status": "job-event",
        "dead-letter": "dead-letters replay",
        "nonsense": "raw-path",
    }.items():
        response = await service.http.post("replay", json={"topic": topic})
        assert response.status_code == 422
        assert words in response.json()["detail"]
    for body in ({"from_offsets": {"8": 0}}, {"from_offsets": {"0": 1 << 63}}, {"since": "2026-01-01T00:00:00"}):
        assert (await service.http.post("replay", json={"topic": "raw-path"} | body)).status_code == 422
    assert (await service.http.get("runs/unknown")).status_code == 404
