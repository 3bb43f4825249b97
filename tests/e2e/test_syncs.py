"""Syncs, end to end: what has left a source's folder leaves the collection, and nothing else does."""

import shutil
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests import pictures
from tests.api.service import Service, eventually
from tests.pipeline import Pipeline, account
from topics.job_status import FINISHED, REMOVALS_SETTLED


class Library:
    """A source, and what is in its collection."""

    def __init__(self, service: Service, pipeline: Pipeline, folder: Path, name: str, collection: str) -> None:
        self._service = service
        self._pipeline = pipeline
        self.folder = folder
        self.name = name
        self.collection = collection

    async def add(self, **options: Any) -> dict[str, Any]:
        """Keep the folder, and wait for the first look."""
        wanted = {"folder": str(self.folder), "name": self.name, "collection": self.collection} | options
        response = await self._service.http.post("sources", json=wanted)
        assert response.status_code == 201, response.text

        async def looked() -> str | None:
            job = (await self._service.get(f"sources/{self.name}"))["last_job"]
            return job and str(job["job_id"])

        return await self.settled(await eventually(looked))

    async def sync(self) -> dict[str, Any]:
        """Look now; return the job when all is settled. The look before has ended, also as the service knows it."""
        response = await self._service.http.post(f"sources/{self.name}/sync")
        assert response.status_code == 202, response.text
        return await self.settled(response.json()["job_id"])

    async def settled(self, job_id: str) -> dict[str, Any]:
        account(await self._pipeline.bus.finished(job_id))

        async def look() -> dict[str, Any] | None:
            status = await self._service.get(f"ingest/status/{job_id}")
            removals, is_over = status["removals"], status["status"] in FINISHED
            return status if is_over and removals is not None and removals["state"] in REMOVALS_SETTLED else None

        return await eventually(look)

    async def decide(self, job_id: str, word: str) -> dict[str, Any]:
        response = await self._service.http.post(f"ingest/{job_id}/{word}")
        assert response.status_code == 202, response.text

        async def look() -> dict[str, Any] | None:
            status = await self._service.get(f"ingest/status/{job_id}")
            return status if status["removals"]["state"] in {"removed", "kept"} else None

        return await eventually(look)

    async def paths(self) -> dict[str, list[str]]:
        """Return the paths of each picture that is found, below the folder, by its id."""
        found, _ = await self._pipeline.qdrant.page(self.collection, limit=1000)
        return {point.id: [path.removeprefix(f"{self.folder}/") for path in point.payload["paths"]] for point in found}

    async def names(self) -> list[str]:
        return sorted(path for paths in (await self.paths()).values() for path in paths)


def left(status: dict[str, Any]) -> dict[str, int]:
    """Return what has left, by reason."""
    return {
        name: status["removals"][name] for name in ("moved", "gone", "replaced", "excluded") if status["removals"][name]
    }


@pytest.fixture
def library(service: Service, pipeline: Pipeline, photos: Path, collection: str) -> Library:
    return Library(service, pipeline, photos, f"s-{uuid.uuid4().hex[:12]}", collection)


def write(folder: Path, *names: str) -> None:
    """Write photographs that are like no other."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pictures.jpeg(uuid.uuid4().int % 10**9))


async def test_what_moves_goes_and_changes_is_followed_without_ml(library: Library, pipeline: Pipeline) -> None:
    write(library.folder, "a.jpg", "b.jpg", "c.jpg", "2023/d.jpg", "2023/e.jpg")
    first = await library.add()
    assert (first["outcomes"]["stored"], first["removals"]["state"], left(first)) == (5, "none", {})
    before = await library.paths()
    of = {path: point for point, paths in before.items() for path in paths}
    pipeline.forget_ml()

    (library.folder / "a.jpg").rename(library.folder / "moved.jpg")
    (library.folder / "2023").rename(library.folder / "2024")
    (library.folder / "b.jpg").unlink()
    write(library.folder, "c.jpg")
    second = await library.sync()
    assert (second["removals"]["state"], left(second)) == ("removed", {"moved": 3, "gone": 1, "replaced": 1})
    assert second["removals"]["lost"] == 1
    after = await library.paths()
    assert await library.names() == ["2024/d.jpg", "2024/e.jpg", "c.jpg", "moved.jpg"]
    assert after[of["a.jpg"]] == ["moved.jpg"]
    assert sum(map(len, pipeline.ml_batches())) == 1  # the edit

    # It is as nothing had ever been otherwise.
    third = await library.sync()
    assert (third["outcomes"]["unchanged"], third["total_files"], left(third)) == (4, 4, {})


async def test_a_file_that_comes_back_brings_its_picture_back(library: Library, pipeline: Pipeline) -> None:
    write(library.folder, "a.jpg", "b.jpg")
    await library.add()
    [gone] = [point for point, paths in (await library.paths()).items() if paths == ["a.jpg"]]
    (library.folder / "a.jpg").rename(library.folder.parent / "away.jpg")
    await library.sync()
    assert await library.names() == ["b.jpg"]
    kept = await pipeline.qdrant.point(library.collection, gone)
    assert kept is not None
    assert kept.payload["gone_at"]
    pipeline.forget_ml()
    (library.folder.parent / "away.jpg").rename(library.folder / "back.jpg")
    status = await library.sync()
    assert (status["outcomes"]["cached"], left(status)) == (1, {})
    assert await library.names() == ["b.jpg", "back.jpg"]
    again = await pipeline.qdrant.point(library.collection, gone)
    assert again is not None
    assert (again.payload["filename"], again.payload.get("gone_at")) == ("back.jpg", None)
    assert again.payload["ingested_at"] == kept.payload["ingested_at"]
    assert pipeline.ml_batches() == []
    (library.folder / "back.jpg").rename(library.folder / "a.jpg")
    assert left(await library.sync()) == {"moved": 1}
    assert await library.names() == ["a.jpg", "b.jpg"]


async def test_what_is_no_picture_is_no_loss(library: Library) -> None:
    write(library.folder, "a.jpg")
    for number in range(15):
        (library.folder / f"broken-{number}.jpg").write_bytes(b"no picture %d" % number)
    await library.add()
    for path in library.folder.glob("broken-*"):
        path.unlink()
    status = await library.sync()
    assert (status["removals"]["state"], left(status)) == ("removed", {})
    assert await library.names() == ["a.jpg"]


async def test_copies_and_a_change_of_case_leave_one_by_one(library: Library) -> None:
    write(library.folder, "a.jpg", "IMG.jpg")
    shutil.copy(library.folder / "a.jpg", library.folder / "copy.jpg")
    await library.add()
    (library.folder / "copy.jpg").unlink()
    (library.folder / "IMG.jpg").rename(library.folder / "img.JPG")
    assert left(await library.sync()) == {"moved": 1, "gone": 1}
    assert await library.names() == ["a.jpg", "img.JPG"]


def emptied(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def removed(folder: Path) -> None:
    folder.rename(folder.with_name("away"))


def hidden_by_a_link(folder: Path) -> None:
    folder.rename(folder.with_name("away"))
    folder.symlink_to(folder.with_name("nowhere"))


def replaced_by_a_picture(folder: Path) -> None:
    folder.rename(folder.with_name("away"))
    folder.write_bytes(pictures.jpeg(7))


@pytest.mark.parametrize("accident", [emptied, removed, hidden_by_a_link, replaced_by_a_picture])
async def test_a_folder_that_is_away_or_empty_removes_nothing_and_asks_for_one_thing(
    service: Service, library: Library, pipeline: Pipeline, accident: Callable[[Path], None]
) -> None:
    write(library.folder, "a.jpg", "b.jpg")
    await library.add()
    accident(library.folder)
    response = await service.http.post(f"sources/{library.name}/sync")
    status = await pipeline.bus.finished(response.json()["job_id"])
    assert status["status"] == ("completed" if accident is emptied else "failed")
    status = await library.settled(status["job_id"])
    told = {"emptied": "is empty", "replaced_by_a_picture": "cannot be listed"}
    said = told.get(accident.__name__, "does not exist")
    assert (status["removals"]["state"], said in status["removals"]["reason"]) == ("guarded", True)
    assert said in status["message"]
    assert await library.names() == ["a.jpg", "b.jpg"]
    # The source says it, until it is well again: nobody finds a dead letter of each look behind that.
    assert pipeline.bus.of_job("dead-letter", status["job_id"]) == []
    away = library.folder.with_name("away")
    if away.exists():
        library.folder.unlink(missing_ok=True)
        away.rename(library.folder)
    else:
        write(library.folder, "c.jpg")
    assert (await library.sync())["removals"]["state"] != "guarded"


async def test_what_cannot_be_read_is_not_gone(library: Library) -> None:
    write(library.folder, "a.jpg", "locked/b.jpg", "linked/c.jpg")
    (library.folder / "linked").rename(library.folder.parent / "elsewhere")
    (library.folder / "linked").symlink_to(library.folder.parent / "elsewhere")
    await library.add()
    assert await library.names() == ["a.jpg", "linked/c.jpg", "locked/b.jpg"]
    (library.folder.parent / "elsewhere").rename(library.folder.parent / "unplugged")
    (library.folder / "locked").chmod(0)
    (library.folder / "a.jpg").unlink()
    write(library.folder, "new.jpg")
    try:
        status = await library.sync()
    finally:
        (library.folder / "locked").chmod(0o755)
    assert (left(status), status["removals"]["unread"]) == ({"gone": 1}, 2)
    assert {"linked/c.jpg", "locked/b.jpg"} <= set(await library.names())


async def test_many_removals_wait_for_a_yes(service: Service, library: Library) -> None:
    write(library.folder, *(f"{number}.jpg" for number in range(14)), "edit.jpg")
    await library.add()
    for number in range(12):
        (library.folder / f"{number}.jpg").unlink()
    write(library.folder, "edit.jpg")
    status = await library.sync()
    assert (status["removals"]["state"], left(status)) == ("held", {"gone": 12, "replaced": 1})
    assert "as 12 of 1" in status["message"]
    assert status["removals"]["reason"] in status["message"]
    assert len(await library.names()) == 15
    named = await service.get(f"ingest/{status['job_id']}/removals", limit=9)
    rest = await service.get(f"ingest/{status['job_id']}/removals", limit=9, cursor=named["next"])
    found = {(one["way"], one["path"], one["lost"]) for one in (*named["removals"], *rest["removals"])}
    gone = {("gone", f"{library.folder}/{number}.jpg", True) for number in range(12)}
    assert found == gone | {("replaced", f"{library.folder}/edit.jpg", False)}
    assert {one["id"] for one in named["removals"]} <= {*await library.paths()}
    assert (await service.get(f"sources/{library.name}"))["questions"][0]["job_id"] == status["job_id"]
    kept = await library.decide(status["job_id"], "keep")
    assert kept["removals"]["state"] == "kept"
    assert len(await library.names()) == 15
    again = await library.sync()
    assert (again["removals"]["state"], left(again)) == ("held", {"gone": 12})
    done = await library.decide(again["job_id"], "confirm")
    assert done["removals"]["state"] == "removed"
    assert await library.names() == ["12.jpg", "13.jpg", "edit.jpg"]


async def test_a_yes_to_a_question_of_a_source_that_was_removed_takes_nothing(
    service: Service, library: Library
) -> None:
    write(library.folder, *(f"{number}.jpg" for number in range(12)))
    await library.add()
    for number in range(11):
        (library.folder / f"{number}.jpg").unlink()
    job_id = (await library.sync())["job_id"]
    assert (await service.http.delete(f"sources/{library.name}")).status_code < 300
    refused = await service.http.post(f"ingest/{job_id}/confirm")
    assert (refused.status_code, "its pictures stay" in refused.text) == (409, True)
    # Another source that has its name asks nothing about them.
    other = {"folder": str(library.folder), "name": library.name, "collection": f"{library.collection}-2"}
    added = await service.http.post("sources", json=other)
    assert (added.status_code, added.json()["questions"]) == (201, [])
    refused = await service.http.post(f"ingest/{job_id}/confirm")
    assert (refused.status_code, "its pictures stay" in refused.text) == (409, True)
    assert len(await library.names()) == 12


async def test_what_has_moved_has_moved_however_often_it_is_asked_about(library: Library) -> None:
    """The look that saw the file come is not the one that somebody says yes to."""
    write(library.folder, *(f"{number}.jpg" for number in range(14)))
    await library.add()
    for number in range(12):
        (library.folder / f"{number}.jpg").unlink()
    (library.folder / "12.jpg").rename(library.folder / "moved.jpg")
    both = {"gone": 12, "moved": 1}
    first = await library.sync()
    assert (first["removals"]["state"], left(first)) == ("held", both)
    second = await library.sync()
    assert (second["removals"]["state"], left(second)) == ("held", both)
    assert (await library.settled(first["job_id"]))["removals"]["state"] == "overtaken"
    await library.decide(second["job_id"], "keep")
    third = await library.sync()
    assert (third["removals"]["state"], left(third), third["removals"]["lost"]) == ("held", both, 12)
    await library.decide(third["job_id"], "confirm")
    assert await library.names() == ["13.jpg", "moved.jpg"]
    # From then on it is a copy like any other.
    shutil.copy(library.folder / "moved.jpg", library.folder / "copy.jpg")
    await library.sync()
    (library.folder / "copy.jpg").unlink()
    assert left(await library.sync()) == {"gone": 1}


async def test_a_pattern_that_leaves_out_too_much_empties_nothing(library: Library) -> None:
    write(library.folder, *(f"{number}.jpg" for number in range(14)), "edit.jpg")
    await library.add()
    write(library.folder, "edit.jpg")
    (library.folder / "13.jpg").unlink()
    (library.folder / ".darkroomignore").write_text("?.jpg\n1?.jpg\n")
    status = await library.sync()
    assert (status["removals"]["state"], left(status)) == ("held", {"gone": 1, "excluded": 13, "replaced": 1})
    assert status["removals"]["lost"] == 14
    assert len(await library.names()) == 15
    (library.folder / ".darkroomignore").unlink()
    status = await library.sync()
    assert (status["removals"]["state"], left(status)) == ("removed", {"gone": 1})
    (library.folder / ".darkroomignore").write_text("?.jpg\n1?.jpg\n")
    await library.decide((await library.sync())["job_id"], "confirm")
    assert await library.names() == ["edit.jpg"]


async def test_a_plain_ingest_removes_nothing_and_what_it_holds_is_not_excluded(
    library: Library, pipeline: Pipeline
) -> None:
    write(library.folder, "a.jpg", "b.jpg", "private/c.jpg", "private/d.jpg")
    await library.add()
    await pipeline.run(library.folder / "private" / "d.jpg", collection=library.collection)
    (library.folder / "a.jpg").unlink()
    await pipeline.run(library.folder, collection=library.collection, exclude=["b.jpg"])
    assert await library.names() == ["a.jpg", "b.jpg", "private/c.jpg", "private/d.jpg"]


async def test_what_is_excluded_leaves_unless_another_holds_it(
    service: Service, library: Library, pipeline: Pipeline
) -> None:
    write(library.folder, "a.jpg", "private/c.jpg", "private/d.jpg")
    await pipeline.run(library.folder / "private" / "d.jpg", collection=library.collection)
    await library.add()
    (library.folder / ".darkroomignore").write_text("private/\n")
    status = await library.sync()
    assert (left(status), status["removals"]["state"]) == ({"excluded": 1}, "removed")
    assert await library.names() == ["a.jpg", "private/d.jpg"]
    # A source that is changed is looked at at once, as it is wanted now.
    before = (await service.get(f"sources/{library.name}"))["last_job"]["job_id"]
    changed = await service.http.patch(f"sources/{library.name}", json={"exclude": ["a.jpg"]})
    assert (changed.status_code, changed.json()["exclude"]) == (200, ["a.jpg"])

    async def looked() -> str | None:
        job = (await service.get(f"sources/{library.name}"))["last_job"]["job_id"]
        return str(job) if job != before else None

    status = await library.settled(await eventually(looked))
    assert (left(status), status["removals"]["state"]) == ({"excluded": 1}, "removed")
    assert await library.names() == ["private/d.jpg"]


async def test_other_collections_keep_what_they_have(library: Library, pipeline: Pipeline) -> None:
    write(library.folder, "a.jpg", "b.jpg")
    other = f"{library.collection}-other"
    await pipeline.run(library.folder, collection=other)
    await library.add()
    (library.folder / "a.jpg").unlink()
    assert left(await library.sync()) == {"gone": 1}
    assert sorted(Path(path).name for path in await pipeline.points(other)) == ["a.jpg", "b.jpg"]
    assert await library.names() == ["b.jpg"]


async def test_a_replay_brings_no_path_back_that_has_left(
    library: Library, pipeline: Pipeline, service: Service
) -> None:
    since = datetime.now(UTC).isoformat()
    write(library.folder, "a.jpg", "b.jpg")
    await library.add()
    (library.folder / "a.jpg").rename(library.folder / "c.jpg")
    await library.sync()
    [moved] = [point for point, paths in (await library.paths()).items() if paths == ["c.jpg"]]
    replayed = await service.http.post("replay", json={"topic": "db-write", "since": since})
    assert replayed.status_code == 202, replayed.text

    async def ended() -> bool:
        run = await service.get(f"runs/{replayed.json()['id']}")
        return bool(run["state"] == "done")

    await eventually(ended)

    async def has_left_again() -> bool:
        return (await library.paths())[moved] == ["c.jpg"]

    await eventually(has_left_again)
