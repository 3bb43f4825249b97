"""Files that change between two stages: each is counted once, as what it is in the end."""

import asyncio
import os
import re
from hashlib import sha256
from pathlib import Path

from tests import pictures
from tests.bus import skip_backlog
from tests.parts import Part
from tests.pipeline import Pipeline, account
from tests.worker import Worker


async def test_files_that_change_between_hash_and_decode(
    idle_pipeline: Pipeline, kafka: Part, qdrant: Part, ml: Part, collection: str, tmp_path: Path
) -> None:
    """`prepare` starts when all is hashed and some of it is gone or another: each file counts once, as what it is."""
    await asyncio.to_thread(skip_backlog, kafka.address)
    photos = tmp_path / "photos"
    pictures.write_new(photos, 3)
    names = (
        "vanishes",
        "grows",
        "shrinks",
        "becomes another",
        "becomes a pipe",
        "is forbidden",
        "other bytes",
        "moves away",
    )
    for name in names:
        (photos / f"{name}.jpg").write_bytes(pictures.jpeg(int.from_bytes(os.urandom(6))))
    bus = idle_pipeline.bus
    with Worker(kafka, qdrant, ml, tmp_path / "a", stages="scan,hash,embed,store,track"):
        job_id = await idle_pipeline.scan(photos, collection=collection)
        total = 3 + len(names)
        await bus.until(lambda: len(bus.values("hashed-file", job_id=job_id)) == total, "the hashes")
        _change(photos)
        with Worker(kafka, qdrant, ml, tmp_path / "b", stages="prepare"):
            status = account(await bus.finished(job_id))
    assert status["total_files"] == total
    assert (status["outcomes"]["stored"], status["outcomes"]["failed"]) == (6, 5)
    ended = {Path(path).stem: file for path, file in bus.outcomes(job_id).items()}
    for name, reason in {
        "vanishes": "does not exist",
        "shrinks": "ends before the picture does",
        "becomes a pipe": "not a regular file",
        "is forbidden": "permission denied",
        "moves away": "does not exist",
    }.items():
        assert re.search(reason, ended[name]["reason"]), ended[name]
    points = await idle_pipeline.points(collection)
    for name in ("grows", "becomes another", "other bytes"):
        path = photos / f"{name}.jpg"
        assert points[str(path)]["file_hash"] == sha256(path.read_bytes()).hexdigest(), name
    assert await idle_pipeline.qdrant.count(collection) == 6


def _change(photos: Path) -> None:
    def path(name: str) -> Path:
        return photos / f"{name}.jpg"

    path("vanishes").unlink()
    with path("grows").open("ab") as file:
        file.write(b"more")
    os.truncate(path("shrinks"), path("shrinks").stat().st_size - 1_500)
    path("becomes another").write_bytes(pictures.jpeg(int.from_bytes(os.urandom(6)), 400, 300))
    path("becomes a pipe").unlink()
    os.mkfifo(path("becomes a pipe"))
    path("is forbidden").chmod(0)
    before = path("other bytes").stat()
    swapped = bytearray(path("other bytes").read_bytes())
    swapped[swapped.index(b"\xff\xfe") + 4] ^= 1  # in the comment
    path("other bytes").write_bytes(swapped)
    os.utime(path("other bytes"), ns=(before.st_atime_ns, before.st_mtime_ns))
    path("moves away").rename(photos.parent / "elsewhere.jpg")
