"""Pictures that are forgotten, end to end: at once, for good, whatever is on its way and whatever is replayed."""

import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from rules.identity import point_id
from tests.api.service import Service, eventually
from tests.e2e.test_syncs import Library, left, library, write
from tests.pipeline import Pipeline

__all__ = ["library"]

TABLES = ("darkroom-hash-fingerprints-changelog", "darkroom-prepare-known_images-changelog")


async def forget(service: Service, **body: Any) -> dict[str, Any]:
    response = await service.http.post("forget", json=body)
    assert response.status_code == 202, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def rows(service: Service, *texts: str) -> list[tuple[bytes, bytes]]:
    """Return the rows of hash and prepare, as their changelogs have them, that hold one of these texts."""
    consumer = AIOKafkaConsumer(bootstrap_servers=service.settings.kafka_brokers, auto_offset_reset="earliest")
    await consumer.start()
    newest: dict[tuple[str, bytes], bytes | None] = {}
    try:
        partitions = [
            TopicPartition(table, number) for table in TABLES for number in range(service.settings.kafka_partitions)
        ]
        consumer.assign(partitions)
        for partition, end in (await consumer.end_offsets(partitions)).items():
            while await consumer.position(partition) < end:
                for record in (await consumer.getmany(partition, timeout_ms=500)).get(partition, []):
                    newest[partition.topic, record.key] = record.value
    finally:
        await consumer.stop()
    wanted = [text.encode() for text in texts]
    return [
        (key, value)
        for (_, key), value in newest.items()
        if value is not None and any(text in key or text in value for text in wanted)
    ]


async def replayed(service: Service, topic: str, since: datetime) -> None:
    """Replay what a test has published to a topic, and wait until all of it is published."""
    begun = await service.http.post("replay", json={"topic": topic, "since": since.isoformat()})
    assert begun.status_code == 202, begun.text

    async def ended() -> bool:
        return bool((await service.get(f"runs/{begun.json()['id']}"))["state"] == "done")

    await eventually(ended)


async def hash_of(pipeline: Pipeline, collection: str, path: Path) -> str:
    sha256: str = (await pipeline.points(collection))[str(path)]["file_hash"]
    return sha256


async def settled(pipeline: Pipeline, photos: Path, collection: str) -> None:
    """Wait until all that was published before has gone through all stages: a file that comes behind it has."""
    folder = photos.parent / uuid.uuid4().hex
    write(folder, *(f"{number}.jpg" for number in range(24)))
    await pipeline.run(folder, collection=f"{collection}-beside")


async def test_what_is_forgotten_goes_and_its_files_are_skipped(
    service: Service, pipeline: Pipeline, photos: Path, collection: str
) -> None:
    since = datetime.now(UTC)
    write(photos, "a.jpg", "b.jpg")
    (photos / "copy.jpg").write_bytes((photos / "a.jpg").read_bytes())
    await pipeline.run(photos, collection=collection)
    sha256 = await hash_of(pipeline, collection, photos / "a.jpg")
    said = await forget(service, path=str(photos / "a.jpg"), dry_run=True)
    assert (said["pictures"], said["collections"], said["paths_total"]) == (1, [collection], 2)
    assert {"raw-path", "dead-letter"} <= {one["topic"] for one in said["kafka"]}
    assert len(await pipeline.points(collection)) == 3
    await forget(service, path=str(photos / "a.jpg"))

    async def only_the_word_is_left() -> bool:
        found = await rows(service, sha256, str(photos / "a.jpg"), str(photos / "copy.jpg"))
        return [key for key, _ in found] == [f"f|{sha256}|{collection}".encode()]

    await eventually(only_the_word_is_left)
    assert await pipeline.qdrant.point(collection, point_id(sha256)) is None

    again = await pipeline.run(photos, collection=collection)
    assert (again["outcomes"]["skipped"], again["outcomes"]["unchanged"]) == (2, 1)
    assert again["skipped_kinds"] == {"forgotten": 2}
    for topic in ("raw-path", "hashed-file", "db-write", "image-outcome"):
        await replayed(service, topic, since)
    await settled(pipeline, photos, collection)

    async def is_as_before() -> bool:
        return set(await pipeline.points(collection)) == {str(photos / "b.jpg")} and not [
            key for key, _ in await rows(service, sha256) if key[:2] in {b"c|", b"i|", b"p|"}
        ]

    await eventually(is_as_before)

    response = await service.http.post("unforget", json={"path": str(photos / "a.jpg")})
    assert response.status_code == 202, response.text
    pipeline.forget_ml()

    async def comes_back() -> bool:
        await pipeline.run(photos, collection=collection)
        return len(await pipeline.points(collection)) == 3

    await eventually(comes_back)
    assert sum(map(len, pipeline.ml_batches())) == 1


async def test_a_folder_that_is_forgotten_takes_along_all_below_it(
    service: Service, pipeline: Pipeline, photos: Path, collection: str
) -> None:
    write(photos, "private/a.jpg", "private/below/b.jpg", "privately/c.jpg", "d.jpg")
    (photos / "copy.jpg").write_bytes((photos / "private" / "a.jpg").read_bytes())
    (photos / "private" / "broken.jpg").write_bytes(b"no picture")
    await pipeline.run(photos, collection=collection)
    folder = str(photos / "private")
    said = await forget(service, path=folder, dry_run=True)
    assert (said["pictures"], said["collections"], said["paths_total"]) == (2, [collection], 3)
    assert (said["dead_letters"], "all below" in said["what"]) == (1, True)
    assert len(await pipeline.points(collection)) == 5
    assert (await forget(service, path=folder, collection=f"{collection}-other"))["pictures"] == 0
    await forget(service, path=folder)
    left_there = {str(photos / name) for name in ("privately/c.jpg", "d.jpg")}

    async def is_gone() -> bool:
        return set(await pipeline.points(collection)) == left_there and not [
            key for key, _ in await rows(service, f"{folder}/")
        ]

    await eventually(is_gone)
    again = await pipeline.run(photos, collection=collection)
    assert (again["outcomes"]["unchanged"], again["skipped_kinds"]) == (2, {"forgotten": 4})
    assert (await service.http.post("forget", json={"path": "/a\0"})).status_code == 422


async def test_one_of_two_collections_forgets(
    service: Service, pipeline: Pipeline, photos: Path, collection: str
) -> None:
    write(photos, "a.jpg", "b.jpg")
    other = f"{collection}-other"
    for name in (collection, other):
        await pipeline.run(photos, collection=name)
    sha256 = await hash_of(pipeline, collection, photos / "a.jpg")
    await forget(service, content=sha256, collection=collection)

    async def is_gone() -> bool:
        return set(await pipeline.points(collection)) == {str(photos / "b.jpg")}

    await eventually(is_gone)
    assert len(await pipeline.points(other)) == 2
    pipeline.forget_ml()
    skipped = await pipeline.run(photos, collection=collection)
    unchanged = await pipeline.run(photos, collection=other)
    assert (skipped["outcomes"]["skipped"], unchanged["outcomes"]["unchanged"]) == (1, 2)
    # What is known of it stays, for whoever else wants it.
    third = await pipeline.run(photos, collection=f"{collection}-third")
    assert third["outcomes"]["cached"] == 2
    assert pipeline.ml_batches() == []


async def test_a_collection_that_is_forgotten_leaves_nothing(
    service: Service, pipeline: Pipeline, photos: Path, collection: str
) -> None:
    since = datetime.now(UTC)
    write(photos, "a.jpg", "b.jpg")
    other = f"{collection}-other"
    await pipeline.run(photos, collection=collection)
    await pipeline.run(photos / "a.jpg", collection=other)
    shared = await hash_of(pipeline, collection, photos / "a.jpg")
    alone = await hash_of(pipeline, collection, photos / "b.jpg")
    assert (await forget(service, collection=collection))["pictures"] == 2
    assert await pipeline.qdrant.collection(collection) is None

    async def nothing_is_left() -> bool:
        found = [key for key, _ in await rows(service, f"|{collection}|", f'"{collection}"', alone, str(photos))]
        kept = {b"p|" + shared.encode(), str(photos / "a.jpg").encode()}
        return all(any(key.startswith(one) for one in kept) for key in found)

    await eventually(nothing_is_left)
    await replayed(service, "raw-path", since)
    await replayed(service, "db-write", since)
    await settled(pipeline, photos, collection)
    assert await pipeline.qdrant.collection(collection) is None
    assert len(await pipeline.points(other)) == 1
    pipeline.forget_ml()
    again = await pipeline.run(photos, collection=collection)
    assert (again["outcomes"]["cached"], again["outcomes"]["stored"]) == (1, 1)
    assert [name for batch in pipeline.ml_batches() for name in batch] == ["b.jpg"]


async def test_what_is_on_its_way_to_ml_is_forgotten(
    service: Service, pipeline: Pipeline, photos: Path, collection: str
) -> None:
    write(photos, "b.jpg")
    await pipeline.run(photos, collection=collection)
    write(photos, "a.jpg")
    httpx.post(f"{pipeline.ml.url}/control", json={"status": 503}).raise_for_status()
    job = await pipeline.scan(photos, collection=collection)

    async def waits() -> bool:
        return bool((await service.status(job))["waiting_for"] == "ml")

    await eventually(waits)
    # It has no point yet: hash knows what lies at the path.
    said = await forget(service, path=str(photos / "a.jpg"))
    assert said["pictures"] == 0
    httpx.post(f"{pipeline.ml.url}/control", json={}).raise_for_status()
    await pipeline.bus.finished(job)

    async def is_forgotten() -> bool:
        return set(await pipeline.points(collection)) == {str(photos / "b.jpg")} and not [
            key for key, _ in await rows(service, str(photos / "a.jpg"))
        ]

    await eventually(is_forgotten)
    again = await pipeline.run(photos, collection=collection)
    assert (again["outcomes"]["skipped"], again["outcomes"]["unchanged"]) == (1, 1)


async def test_a_source_takes_along_what_it_alone_holds(service: Service, library: Library, pipeline: Pipeline) -> None:
    since = datetime.now(UTC)
    write(library.folder, "mine.jpg", "shared.jpg", "gone.jpg")
    write(library.folder.parent / "other", "theirs.jpg")
    copy = library.folder.parent / "other" / "copy.jpg"
    copy.write_bytes((library.folder / "shared.jpg").read_bytes())
    await pipeline.run(library.folder.parent / "other", collection=library.collection)
    await library.add()
    (library.folder / "gone.jpg").unlink()
    assert left(await library.sync()) == {"gone": 1}
    of = {path: point["file_hash"] for path, point in (await pipeline.points(library.collection)).items()}
    mine = of[str(library.folder / "mine.jpg")]
    response = await service.http.delete(f"sources/{library.name}", params={"forget": True})
    assert response.status_code == 204, response.text
    assert (await service.http.get(f"sources/{library.name}")).status_code == 404

    async def only_theirs() -> bool:
        return set(await pipeline.points(library.collection)) == {str(copy), str(copy.with_name("theirs.jpg"))}

    await eventually(only_theirs)

    async def only_the_word_is_left() -> bool:
        found = [key for key, _ in await rows(service, mine, str(library.folder / "mine.jpg"))]
        return found == [f"f|{mine}|{library.collection}".encode()]

    await eventually(only_the_word_is_left)
    # The path of what has a copy elsewhere has left, and a replay brings it back to nobody.
    await replayed(service, "db-write", since)
    await settled(pipeline, library.folder, library.collection)
    await eventually(only_theirs)


async def test_how_much_a_source_may_hold_does_not_follow_from_what_its_last_look_saw(
    service: Service, library: Library
) -> None:
    names = [f"{number:02d}.jpg" for number in range(24)]
    write(library.folder, *names)
    await library.add()
    for name in names[4:]:
        (library.folder / name).unlink()
    status = await library.sync()
    assert (status["removals"]["state"], status["total_files"]) == ("held", 4)
    asked = await forget(service, source=library.name, dry_run=True)
    assert (asked["pictures"], "at most the 24 pictures" in asked["what"]) == (24, True)


@pytest.mark.parametrize("word", ["another-time", "kept", "came-back"])
async def test_a_purge_that_is_not_meant_any_more_is_void(
    service: Service, library: Library, pipeline: Pipeline, word: str
) -> None:
    write(library.folder, "a.jpg", "b.jpg")
    await library.add()
    sha256 = await hash_of(pipeline, library.collection, library.folder / "a.jpg")
    content = (library.folder / "a.jpg").read_bytes()
    (library.folder / "a.jpg").unlink()
    await library.sync()
    point = point_id(sha256)
    known = await pipeline.qdrant.point(library.collection, point)
    assert known is not None
    purge = {"kind": "purge", "sha256": sha256, "collection": library.collection, "at": 2e9} | {
        "gone_at": known.payload["gone_at"]
    }
    if word == "another-time":
        purge["gone_at"] = "2020-01-01T00:00:00+00:00"
    elif word == "kept":
        kept = await service.http.post(
            f"images/{point}/keep", params={"collection": library.collection}, json={"days": None}
        )
        assert kept.status_code == 200, kept.text
    else:
        (library.folder / "a.jpg").write_bytes(content)
        await library.sync()
    await pipeline.bus.publish("image-outcome", sha256, purge)

    await pipeline.bus.until(
        lambda: pipeline.bus.values("image-outcome", kind="erased", sha256=sha256), "what became of the purge"
    )
    after = await pipeline.qdrant.point(library.collection, point)
    assert after is not None
    pipeline.forget_ml()
    (library.folder / "a.jpg").write_bytes(content)
    status = await library.sync()
    assert status["outcomes"]["stored"] == 0
    assert await library.names() == ["a.jpg", "b.jpg"]
    assert pipeline.ml_batches() == []
