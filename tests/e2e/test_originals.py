"""Originals are never written, whatever is done with a library. The archive alone moves files: tests/security."""

import hashlib
import logging
import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np
import pytest
from PIL import Image

from cli.samples import make_samples
from cli.samples.dng import encode_dng
from tests import pictures
from tests.api.service import Service, eventually
from tests.e2e.test_syncs import Library, left, library
from tests.pipeline import Pipeline, account

__all__ = ["library"]

log = logging.getLogger(__name__)

OTHER_MODEL = {"models": {"stub-2": 24}}


class State(NamedTuple):
    """What a look at a file, folder or link tells of it.

    Not the time of the last read: that is the file system's to keep, and it does so for whoever reads a file.
    """

    mode: int
    owner: tuple[int, int]
    links: int
    size: int
    changed_ns: tuple[int, int]
    attributes: dict[str, bytes]
    content: str


def states(folder: Path) -> dict[str, State]:
    """Return the state of a folder and all in it, by path."""
    return {str(path): _state(path) for path in (folder, *folder.rglob("*"))}


def _state(path: Path) -> State:
    found = path.lstat()
    holds = str(path.readlink()) if path.is_symlink() else ""
    return State(
        mode=found.st_mode,
        owner=(found.st_uid, found.st_gid),
        links=found.st_nlink,
        size=found.st_size,
        changed_ns=(found.st_mtime_ns, found.st_ctime_ns),
        attributes={name: os.getxattr(path, name, follow_symlinks=False) for name in _attributes(path)},
        content=hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else holds,
    )


def _attributes(path: Path) -> list[str]:
    return os.listxattr(path, follow_symlinks=False)


def fill(folder: Path, seed: int) -> None:
    """Add pictures of several kinds, and what stands beside them in a library."""
    pictures.write(folder / "2024", range(seed, seed + 4))
    (folder / "copy.jpg").write_bytes(pictures.jpeg(seed))
    (folder / "broken.jpg").write_bytes(b"no picture")
    with Image.open(folder / "copy.jpg") as picture:
        for kind in ("png", "tif", "webp", "avif"):
            picture.save(folder / f"{kind}.{kind}")
        (folder / "raw.dng").write_bytes(encode_dng(np.asarray(picture), preview=False))
    (folder / "2024" / f"photo-{seed}.xmp").write_text("<x:xmpmeta xmlns:x='adobe:ns:meta/'/>")
    (folder / "2024" / "notes.txt").write_text("not for us")
    (folder / ".darkroomignore").write_text("drafts/\n")
    pictures.write(folder / "drafts", range(seed + 10, seed + 11))
    (folder / "empty").mkdir()
    (folder / "linked.jpg").symlink_to(f"2024/photo-{seed + 1}.jpg")
    (folder / "2024" / f"photo-{seed + 2}.jpg").chmod(0o400)


async def use_all_but_the_archive(service: Service, pipeline: Pipeline, library: Library) -> dict[str, Any]:
    """Do with a library whatever can be done; return the status of its first look."""
    http, collection = service.http, library.collection
    first = await library.add()

    async def done(answer: httpx.Response) -> None:
        """Wait for the end of a job, or of a run."""
        assert answer.status_code == 202, answer.text
        if (job_id := answer.json().get("job_id")) is not None:
            status = account(await pipeline.bus.finished(job_id))
            await service.status(job_id, offset=status["offset"])
            return

        run_id = answer.json().get("id") or answer.json()["report_id"]

        async def look() -> bool:
            return bool((await service.get(f"runs/{run_id}"))["state"] in {"done", "failed"})

        await eventually(look)

    async def begin(what: str, **body: object) -> None:
        await done(await http.post(what, json=body or None))

    await pipeline.run(library.folder, collection=f"{collection}-other")
    for name in ("reread", "caption"):
        await begin(f"collections/{collection}/{name}")
    await begin(f"collections/{collection}/reembed", model="two")
    await begin("replay", topic="db-write")
    await begin("collections/cache/rebuild", collection=collection)
    await begin("collections/cache/clear", collection=collection)
    retried = await http.post(f"ingest/{first['job_id']}/retry-failed")
    assert retried.json()["done"] == first["outcomes"]["failed"] > 0
    await library.sync()

    shown = (await service.get("images", collection=collection, per_page=200))["images"]
    assert shown
    for one in shown:
        for what in ("", "/info", "/preview", "/thumbnail", "/original"):
            answer = await http.get(f"images/{one['id']}{what}", params={"collection": collection})
            assert answer.status_code in {200, 404}, answer.text
    await begin("duplicates/find-similar", collection=collection)
    await service.get(f"collections/{collection}/check")
    await http.delete(f"sources/{library.name}")
    assert (await http.delete(f"collections/{collection}")).status_code == 204
    return first


async def test_they_are_as_they_were(service: Service, pipeline: Pipeline, library: Library) -> None:
    fill(library.folder, 91_000)
    before = states(library.folder)
    httpx.post(f"{pipeline.ml.url}/control", json=OTHER_MODEL).raise_for_status()
    first = await use_all_but_the_archive(service, pipeline, library)
    assert (first["outcomes"]["stored"], first["outcomes"]["duplicate"]) == (9, 2)
    assert states(library.folder) == before


async def test_they_are_as_they_were_when_some_have_left(library: Library) -> None:
    fill(library.folder, 91_100)
    await library.add()
    (library.folder / "2024" / "photo-91100.jpg").unlink()
    (library.folder / "2024" / "photo-91103.jpg").rename(library.folder / "moved.jpg")
    before = states(library.folder)
    assert left(await library.sync()) == {"moved": 1, "gone": 1}
    assert states(library.folder) == before


@pytest.fixture
def unwritable(photos: Path) -> Iterator[Path]:
    """Give a library that nobody can write to: on a mount of its own where that may be, else by its permissions."""
    make_samples(photos)
    fill(photos, 91_200)
    bound = subprocess.run(["mount", "--bind", str(photos), str(photos)], capture_output=True, text=True, check=False)
    if bound.returncode == 0:
        try:
            subprocess.run(["mount", "-o", "remount,bind,ro", str(photos)], check=True)
            with pytest.raises(OSError, match="Read-only file system"):
                (photos / "new").touch()
            yield photos
        finally:
            subprocess.run(["umount", "-l", str(photos)], check=True)
        return
    log.warning("This user may not mount (%s): workers are refused by permissions instead.", bound.stderr.strip())
    folders = [photos, *(path for path in photos.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    yield photos
    for folder in folders:
        folder.chmod(0o755)


@pytest.mark.system
async def test_a_library_may_lie_on_a_read_only_mount(
    service: Service, pipeline: Pipeline, unwritable: Path, collection: str
) -> None:
    httpx.post(f"{pipeline.ml.url}/control", json=OTHER_MODEL).raise_for_status()
    library = Library(service, pipeline, unwritable, f"s-{uuid.uuid4().hex[:12]}", collection)
    first = await use_all_but_the_archive(service, pipeline, library)
    assert first["outcomes"] == {
        "stored": 60, "cached": 0, "duplicate": 7, "unchanged": 0, "skipped": 2, "failed": 4,
    }  # fmt: skip
