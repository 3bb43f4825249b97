"""Files that were sent go when nothing needs them any more, and not before."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from api.archive.points import give_back_path, take_path
from api.services import Services, open_services
from api.view.dead_letters import DeadLetterFilter
from api.view.feed import Feed
from core.settings import Settings
from gateways.kafka.reader import KafkaRecord
from gateways.qdrant import Point, Qdrant
from imaging.hashing import hash_file
from rules.identity import point_id
from rules.many_paths import MAX_PATHS
from rules.payload import REVISION
from tests.api.events import outcomes, queued, sealed, seen
from tests.api.service import Service, eventually, producing
from topics.admin import create_topics
from topics.dead_letter import DEAD_LETTER, DeadLetter, Decision, Failure, Mark
from topics.job_event import AnyJobEvent, Seen, SeenFile
from topics.raw_path import RAW_PATH, RawPath
from topics.record import Headers

pytestmark = pytest.mark.asyncio(loop_scope="module")

DAY = 24 * 3600.0
WEEK = 7 * DAY  # the default of KAFKA_RETENTION_HOURS
NOW = time.time()


@pytest_asyncio.fixture(loop_scope="module")
async def services(own: Settings) -> AsyncIterator[Services]:
    await create_topics(own, own.kafka_brokers)
    async with open_services(own, 1) as opened:
        await up_to_date(opened)
        yield opened


async def up_to_date(services: Services) -> None:
    async def is_up_to_date() -> bool:
        return await services.view.problem() is None

    await eventually(is_up_to_date)


def sent(settings: Settings, job_id: str, name: str = "one.jpg") -> Path:
    """Write a file as an upload does."""
    path = settings.uploads_folder.resolve() / job_id / "0" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\xff\xd8\xff" + f"{job_id}/{name}".encode())
    return path


async def stored(vectors: Qdrant, collection: str, path: Path, paths: list[str] | None = None) -> None:
    """Write a point of a file as store does."""
    await vectors.ensure_collection(collection, model_id="stub-1", dimension=512, distance="Cosine")
    sha256, _ = hash_file(bytes(path))
    payload = {"full_path": str(path), "paths": [str(path)] if paths is None else paths, "file_hash": sha256}
    await vectors.upsert(collection, [Point(point_id(sha256), [0.1] * 512, payload)])


async def revision(vectors: Qdrant, collection: str, sha256: str) -> dict[str, Any]:
    return (await vectors.payloads(collection, [point_id(sha256)], [REVISION]))[point_id(sha256)]


async def finish(services: Services, job_id: str, collection: str) -> None:
    """Let a job end, as the API sees it."""
    service = Service(None, services.settings)  # type: ignore[arg-type]
    events: list[AnyJobEvent] = [
        queued(job_id, collection),
        seen(job_id, ["one.jpg"]),
        outcomes(job_id, {"one.jpg": "stored"}),
    ]
    await service.publish(*events, *sealed(job_id, services.settings.kafka_partitions))

    async def ended() -> bool:
        status = await services.view.status(job_id)
        return status is not None and status.end_time is not None

    await eventually(ended)


async def clean(services: Services, *days: float) -> None:
    """Clean on these days from now."""
    for day in days:
        await services.upload_cleaner.clean(NOW + day * DAY)


async def test_a_file_that_no_point_names_any_more_goes_after_a_week(
    services: Services, vectors: Qdrant, job_id: str, collection: str
) -> None:
    path = sent(services.settings, job_id)
    kept = sent(services.settings, job_id, "kept.jpg")
    await stored(vectors, collection, path)
    await stored(vectors, collection, kept)
    await finish(services, job_id, collection)
    await clean(services, 1, 100, 1000)
    assert path.exists()
    await vectors.delete_collection(collection)
    await stored(vectors, f"{collection}-other", kept)  # as a merge leaves it
    await clean(services, 1001, 1007.9)
    assert path.exists()
    await clean(services, 1008)
    assert not path.exists()
    assert kept.exists()
    await vectors.delete_collection(f"{collection}-other")
    await clean(services, 1009, 1016)
    assert not path.parents[1].exists()
    assert services.settings.uploads_folder.exists()


async def test_a_file_that_one_of_very_many_paths_names_stays(
    services: Services, vectors: Qdrant, job_id: str, collection: str
) -> None:
    path = sent(services.settings, job_id)
    others = [f"/photos/{number:03}.jpg" for number in range(MAX_PATHS)]
    await stored(vectors, collection, path, others)
    await finish(services, job_id, collection)
    sha256, _ = hash_file(bytes(path))
    # Not in the point itself; and the folder above has moved since.
    await give_back_path(vectors, sha256, f"/moved{path}", {collection: False})
    found = await vectors.payloads(collection, [point_id(sha256)], ["paths"])
    assert found[point_id(sha256)]["paths"] == others
    await vectors.change(
        collection, point_id(sha256), {"full_path": others[0]}, await revision(vectors, collection, sha256)
    )
    await clean(services, 0, 100)
    assert path.exists()
    await take_path(vectors, sha256, f"/moved{path}", {collection: False})
    await clean(services, 101, 108)
    assert not path.exists()


async def test_what_comes_back_in_time_begins_anew(
    services: Services, vectors: Qdrant, job_id: str, collection: str
) -> None:
    path = sent(services.settings, job_id)
    await finish(services, job_id, collection)
    await clean(services, 0, 6)
    await stored(vectors, collection, path)  # `darkroom replay raw-path` after a deletion by mistake
    await clean(services, 7, 8)
    await vectors.delete_collection(collection)
    await clean(services, 9, 15)
    assert path.exists()
    await clean(services, 16)
    assert not path.exists()


async def test_a_file_of_a_job_that_is_not_finished_stays(services: Services, job_id: str, collection: str) -> None:
    path = sent(services.settings, job_id)
    service = Service(None, services.settings)  # type: ignore[arg-type]
    await service.publish(queued(job_id, collection=collection))
    await eventually(lambda: services.view.status(job_id))
    await clean(services, 0, 100, 200)
    assert path.exists()


async def test_a_file_that_is_on_its_way_stays(services: Services, job_id: str) -> None:
    arriving = services.settings.uploads_folder.resolve() / f".{job_id}" / "0" / "one.jpg"
    arriving.parent.mkdir(parents=True)
    arriving.write_bytes(b"\xff\xd8\xff")
    path = sent(services.settings, job_id)
    with services.uploads_under_way.only(job_id):
        await clean(services, 0, 100, 200)
    assert path.exists()
    assert arriving.exists()
    await clean(services, 201, 208)  # nobody ever queued it
    assert not path.exists()


async def letter_about(services: Services, path: Path, job_id: str, collection: str) -> None:
    """Let a file of another job wait as a dead letter."""
    file = RawPath(job_id=f"{job_id}-2", collection=collection, path=str(path))
    failure = Failure(
        topic="hashed-file", partition=0, offset=0, stage="prepare", error_class="ContentError", message="no",
        stack_trace="", restart_topic=RAW_PATH.name,
    )  # fmt: skip
    letter = DeadLetter.about(file.path_bytes, RAW_PATH.encode(file), Headers(job_id=file.job_id).encode(), failure)
    async with producing(services.settings.kafka_brokers) as producer:
        await producer.send_and_wait(DEAD_LETTER, letter.value, key=letter.key, headers=letter.headers)

    async def came() -> bool:
        letters, _ = await services.view.letters.find(DeadLetterFilter(job_id=file.job_id), limit=1, cursor=None)
        return bool(letters)

    await eventually(came)


async def decide(services: Services, job_id: str, decision: Decision) -> None:
    """Mark the letters of that job as replayed or dropped."""
    letters, _ = await services.view.letters.find(DeadLetterFilter(job_id=f"{job_id}-2"), limit=1, cursor=None)
    partition, _, offset = letters[0].id.partition("-")
    async with producing(services.settings.kafka_brokers) as producer:
        mark = Mark(decision, int(offset)).headers()
        await producer.send_and_wait(DEAD_LETTER, None, key=b"any", headers=mark, partition=int(partition))

    async def came() -> bool:
        letters, _ = await services.view.letters.find(DeadLetterFilter(job_id=f"{job_id}-2"), limit=1, cursor=None)
        return letters[0].state == decision

    await eventually(came)


async def test_a_file_that_a_dead_letter_waits_for_stays(services: Services, job_id: str, collection: str) -> None:
    path = sent(services.settings, job_id)
    await finish(services, job_id, collection)
    await letter_about(services, path, job_id, collection)
    await clean(services, 0, 100, 200)
    assert path.exists()
    await decide(services, job_id, "replayed")  # it may be on its way, and its job has ended before
    await clean(services, 300, 400)
    assert path.exists()
    await decide(services, job_id, "dropped")
    await clean(services, 500, 600)
    assert not path.exists()


async def test_a_file_that_another_job_has_yet_to_read_stays(
    services: Services, job_id: str, collection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the job that takes over what is replayed from one that was forgotten, even if it has come just now."""
    path = sent(services.settings, job_id)
    await finish(services, job_id, collection)
    later = f"{job_id}-later"
    service = Service(None, services.settings)  # type: ignore[arg-type]
    file = SeenFile(file_id="one", path=str(path))
    write, is_late = Feed._write, asyncio.Event()

    async def write_late(feed: Feed, records: list[KafkaRecord]) -> None:
        await is_late.wait()
        await write(feed, records)

    monkeypatch.setattr(Feed, "_write", write_late)
    await service.publish(queued(later, collection), Seen(job_id=later, at=1.0, collection=collection, files=[file]))
    cleaning = asyncio.create_task(clean(services, 0, 100, 200))
    await asyncio.wait({cleaning}, timeout=1)
    assert path.exists()
    is_late.set()
    await cleaning
    assert path.exists()


async def test_a_folder_that_moved_and_left_a_link_loses_nothing(
    services: Services, vectors: Qdrant, job_id: str, collection: str, tmp_path: Path
) -> None:
    """Points and dead letters name the place that was, and lead to the file by the link."""
    (tmp_path / "before").symlink_to(services.settings.uploads_folder.resolve())
    path = sent(services.settings, job_id)
    failed = sent(services.settings, job_id, "failed.jpg")
    gone = sent(services.settings, job_id, "gone.jpg")
    await stored(vectors, collection, tmp_path / "before" / job_id / "0" / "one.jpg")
    await letter_about(services, tmp_path / "before" / job_id / "0" / "failed.jpg", job_id, collection)
    await finish(services, job_id, collection)
    await clean(services, 0, 8)
    assert (path.exists(), failed.exists(), gone.exists()) == (True, True, False)


async def test_what_was_archived_stays(services: Services, vectors: Qdrant, job_id: str, collection: str) -> None:
    path = sent(services.settings, job_id)
    await stored(vectors, collection, path, [])
    archived = services.settings.uploads_folder.resolve() / ".darkroom-archive" / "some" / job_id / "0" / "one.jpg"
    archived.parent.mkdir(parents=True)
    path.rename(archived)
    await clean(services, 0, 100)
    assert archived.exists()


async def test_nothing_goes_while_qdrant_is_away(own: Settings, job_id: str) -> None:
    settings = own.model_copy(update={"qdrant_url": "http://127.0.0.1:9", "qdrant_timeout_seconds": 1.0})
    path = sent(settings, job_id)
    async with open_services(settings, 1) as services:
        await up_to_date(services)
        with pytest.raises(Exception, match="Qdrant"):
            await services.upload_cleaner.clean(NOW + 100 * DAY)
        with pytest.raises(Exception, match="Qdrant"):
            await services.upload_cleaner.clean(NOW + 200 * DAY)
    assert path.exists()
