"""Files are archived and brought back: inside their root, never over another, each accounted for, also after a kill."""

import asyncio
import hashlib
import json
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.archive import moving
from api.archive.points import with_path
from core.errors import FileError
from core.settings import Settings
from gateways.qdrant import Point, Qdrant
from rules import many_paths
from rules.identity import point_id
from rules.name_key import name_key
from rules.payload import without_paths
from tests.api.events import queued, scanning, sealed
from tests.api.service import Service, serving
from topics.job_event import FileOutcome, Outcomes, Seen, SeenFile

pytestmark = pytest.mark.asyncio(loop_scope="module")

ARCHIVE = ".darkroom-archive"


class Album:
    """Files in a folder of this test's own, and their points."""

    def __init__(self, vectors: Qdrant, collection: str, folder: Path) -> None:
        self.vectors = vectors
        self.collection = collection
        self.folder = folder
        folder.mkdir()

    def write(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    async def store(self, content: bytes, *paths: Path | str, collection: str | None = None) -> str:
        """Store the point of a content as the store stage does; return its id."""
        sha256 = hashlib.sha256(content).hexdigest()
        name = collection or self.collection
        await self.vectors.ensure_collection(name, model_id="stub-1", dimension=512, distance="Cosine")
        payload = {
            "full_path": str(paths[0]), "filename": Path(paths[0]).name, "paths": sorted(map(str, paths)),
            "file_hash": sha256, "caption": "kept", "name_key": name_key(Path(paths[0]).name),
        }  # fmt: skip
        await self.vectors.upsert(name, [Point(point_id(sha256), [1.0] * 512, payload)])
        return point_id(sha256)

    async def payload(self, point: str, collection: str | None = None) -> dict[str, Any]:
        found = await self.vectors.point(collection or self.collection, point)
        assert found is not None, "the point is gone"
        return {name: value for name, value in found.payload.items() if name != "words"}  # are found anew

    def files(self) -> dict[str, bytes]:
        """Return all files below the folder that are not archived, by name."""
        found = {str(path.relative_to(self.folder)): path for path in self.folder.rglob("*") if path.is_file()}
        return {name: path.read_bytes() for name, path in found.items() if ARCHIVE not in name}

    def archived(self) -> list[bytes]:
        return [path.read_bytes() for path in self.folder.parent.rglob(f"{ARCHIVE}/**/*") if path.is_file()]


@pytest.fixture
def album(vectors: Qdrant, collection: str, photos: Path) -> Album:
    return Album(vectors, collection, photos / collection)


async def post(service: Service, path: str, **body: Any) -> dict[str, Any]:
    response = await service.http.post(path, json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def states(report: dict[str, Any]) -> dict[str, str]:
    return {Path(file["path"]).name: file["state"] for file in report["files"]}


class TestExactDuplicates:
    async def test_all_but_one_copy_go_and_come_back(self, service: Service, album: Album, photos: Path) -> None:
        paths = [album.write(name, b"same") for name in ("a.jpg", "deep/er/b.jpg", "c.jpg")]
        alone = album.write("alone.jpg", b"other")
        point, other = await album.store(b"same", *paths), await album.store(b"other", alone)
        before, payload = album.files(), await album.payload(point)

        report = await post(service, "duplicates/archive-exact", collection=album.collection)
        assert states(report) == {"b.jpg": "archived", "c.jpg": "archived"}
        assert (report["moved"], report["refused"], report["kind"]) == (2, 0, "exact-duplicates")
        assert album.files() == {"a.jpg": b"same", "alone.jpg": b"other"}
        # Below the root itself, under the path that it had there.
        place = photos / ARCHIVE / report["archive_id"] / album.collection
        assert (place / "deep" / "er" / "b.jpg").read_bytes() == b"same"
        assert (await album.payload(point)) == payload | {"paths": [str(paths[0])]}
        assert (await album.payload(other))["paths"] == [str(alone)]

        again = await post(service, "duplicates/archive-exact", collection=album.collection)
        assert again["files"] == []

        undone = await post(service, f"archive/{report['archive_id']}/undo")
        assert set(states(undone).values()) == {"restored"}
        assert album.files() == before
        assert await album.payload(point) == payload
        assert not (photos / ARCHIVE / report["archive_id"]).exists()
        assert await post(service, f"archive/{report['archive_id']}/undo") == undone

    async def test_the_last_good_copy_is_never_archived(self, service: Service, album: Album) -> None:
        paths = [album.write("gone.jpg", b"x"), album.write("changed.jpg", b"x"), album.write("good.jpg", b"x")]
        await album.store(b"x", *paths)
        paths[0].unlink()
        paths[1].write_bytes(b"now another picture")
        report = await post(service, "duplicates/archive-exact", collection=album.collection)
        assert states(report) == {"gone.jpg": "refused", "changed.jpg": "refused"}
        assert all(file["reason"] for file in report["files"])
        assert album.files() == {"changed.jpg": b"now another picture", "good.jpg": b"x"}

    async def test_one_file_under_two_names_is_one_copy(self, service: Service, album: Album) -> None:
        real = album.write("real/a.jpg", b"one")
        (album.folder / "linked").symlink_to(real.parent)
        (album.folder / "link.jpg").symlink_to(real)
        await album.store(b"one", album.folder / "linked" / "a.jpg", real, album.folder / "link.jpg")
        report = await post(service, "duplicates/archive-exact", collection=album.collection)
        assert states(report) == {"a.jpg": "refused", "link.jpg": "refused"}
        assert real.read_bytes() == b"one"

    async def test_nothing_outside_the_roots_is_touched(self, service: Service, album: Album, tmp_path: Path) -> None:
        inside, outside = album.write("in.jpg", b"y"), tmp_path / "out.jpg"
        outside.write_bytes(b"y")
        (album.folder / "way-out").symlink_to(tmp_path)
        traversal = album.folder / ".." / ".." / ".." / ".." / outside.relative_to("/")
        await album.store(b"y", inside, outside, album.folder / "way-out" / "out.jpg", traversal, "relative.jpg", "\0")
        report = await post(service, "duplicates/archive-exact", collection=album.collection)
        assert set(states(report).values()) == {"refused"}
        assert (len(report["files"]), outside.read_bytes(), os.listdir(tmp_path)) == (5, b"y", [outside.name])  # noqa: PTH208


class TestSelection:
    async def test_all_files_of_a_picture_go_and_its_points_stay_in_every_collection(
        self, service: Service, album: Album
    ) -> None:
        first, second = album.write("a.jpg", b"s"), album.write("b.jpg", b"s")
        elsewhere = f"{album.collection}-2"
        point = await album.store(b"s", first, second)
        await album.store(b"s", second, first, collection=elsewhere)
        before = await album.payload(point), await album.payload(point, elsewhere)
        report = await post(service, "curation/archive-selection", ids=[point], collection=album.collection)
        assert states(report) == {"a.jpg": "archived", "b.jpg": "archived"}
        assert album.files() == {}
        for collection in (album.collection, elsewhere):
            payload = await album.payload(point, collection)
            assert (payload["paths"], payload["caption"]) == ([], "kept")
        image = await service.http.get(f"images/{point}/image", params={"collection": album.collection})
        assert image.status_code == 404

        await post(service, f"archive/{report['archive_id']}/undo")
        assert album.files() == {"a.jpg": b"s", "b.jpg": b"s"}
        assert (await album.payload(point)) == before[0]
        assert (await album.payload(point, elsewhere)) == before[1]

    async def test_an_undo_never_overwrites_and_can_be_repeated(self, service: Service, album: Album) -> None:
        path = album.write("a.jpg", b"archived")
        point = await album.store(b"archived", path)
        report = await post(service, "curation/archive-selection", ids=[point], collection=album.collection)
        path.write_bytes(b"put there since")
        undone = await post(service, f"archive/{report['archive_id']}/undo")
        assert states(undone) == {"a.jpg": "archived"}
        assert "There is a file already" in undone["files"][0]["reason"]
        assert path.read_bytes() == b"put there since"
        path.unlink()
        assert states(await post(service, f"archive/{report['archive_id']}/undo")) == {"a.jpg": "restored"}
        assert path.read_bytes() == b"archived"

    async def test_an_unknown_picture_or_archive_changes_nothing(self, service: Service, album: Album) -> None:
        path = album.write("a.jpg", b"z")
        point = await album.store(b"z", path)
        body = {"ids": [point, str(uuid.uuid4())], "collection": album.collection}
        known = (await service.get("archive"))["archives"]
        assert (await service.http.post("curation/archive-selection", json=body)).status_code == 404
        assert (await service.get("archive"))["archives"] == known
        assert path.exists()
        assert (await service.http.post("archive/nothing/undo")).status_code == 404
        assert (await service.http.get("archive/nothing")).status_code == 404

    async def test_a_folder_that_cannot_be_written_is_a_reason(
        self, service: Service, album: Album, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def read_only(*_: object, **__: object) -> None:
            raise OSError(30, "Read-only file system")

        path = album.write("a.jpg", b"ro")
        point = await album.store(b"ro", path)
        monkeypatch.setattr(os, "link", read_only)
        report = await post(service, "curation/archive-selection", ids=[point], collection=album.collection)
        assert report["files"][0]["state"] == "refused"
        assert "Read-only file system" in report["files"][0]["reason"]
        assert (await album.payload(point))["paths"] == [str(path)]


async def test_very_many_copies(service: Service, album: Album, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a point holds: those beside it are listed, counted, shown, archived and brought back as all others."""
    monkeypatch.setattr(many_paths, "MAX_PATHS", 3)
    paths = [album.write(f"{number}.jpg", b"many") for number in range(8)]
    point = await album.store(b"many", *paths)
    of = {"collection": album.collection}

    async def listed() -> list[str]:
        found, cursor = [], ""
        while cursor is not None:
            params = {**of, "limit": 2, **({"cursor": cursor} if cursor else {})}
            page = await service.get(f"images/{point}/paths", **params)
            assert page["total"] == (await service.get(f"images/{point}/info", **of))["paths_total"]
            found += page["paths"]
            cursor = page["next"]
        assert len(found) == page["total"]
        return sorted(found)

    assert await listed() == sorted(map(str, paths))  # as an older version has stored it
    report = await post(service, "duplicates/archive-exact", **of)
    assert (report["moved"], list(album.files())) == (7, ["0.jpg"])
    assert await listed() == (await album.payload(point))["paths"] == [str(paths[0])]
    await post(service, f"archive/{report['archive_id']}/undo")
    assert await listed() == sorted(map(str, paths))
    payload = await album.payload(point)
    assert (len(payload["paths"]), payload["full_path"]) == (3, str(paths[0]))
    [beside, *_] = [path for path in paths if str(path) not in payload["paths"]]
    found = await service.get("images", **of, filters=json.dumps({"paths": str(beside)}))
    assert found["total"] == len(found["images"]) == 1

    for path in paths:
        if path != beside:
            path.unlink()
    image = await service.http.get(f"images/{point}/image", params=of)
    assert (image.status_code, image.content) == (200, b"many")
    beside.write_bytes(b"another")
    assert (await service.http.get(f"images/{point}/image", params=of)).status_code == 410
    beside.unlink()
    lost = await service.http.get(f"images/{point}/preview", params=of)
    assert lost.status_code == 404
    assert str(paths[0]) in lost.json()["detail"]

    for path in paths:
        path.write_bytes(b"many")
    report = await post(service, "curation/archive-selection", ids=[point], **of)
    assert (report["moved"], album.files()) == (8, {})
    assert await listed() == (await album.payload(point))["paths"] == []
    await post(service, f"archive/{report['archive_id']}/undo")
    assert await listed() == sorted(map(str, paths))


async def test_the_duplicates_of_a_job(service: Service, album: Album, job_id: str) -> None:
    first, second = album.write("first.jpg", b"j"), album.write("second.jpg", b"j")
    point = await album.store(b"j", first, second)
    path = str(second)
    await service.publish(queued(job_id, album.collection), scanning(job_id))
    files = [SeenFile(file_id="2", path=path)]
    offset = await service.publish(Seen(job_id=job_id, at=1_700_000_002, collection=album.collection, files=files))
    await service.status(job_id, offset=offset)
    assert (await service.http.post(f"ingest/archive_duplicates/{job_id}")).status_code == 409
    found = FileOutcome(file_id="2", path=path, outcome="duplicate", sha256=hashlib.sha256(b"j").hexdigest())
    done = Outcomes(job_id=job_id, at=1_700_000_003, collection=album.collection, files=[found])
    offset = await service.publish(done, *sealed(job_id, 8))
    await service.status(job_id, offset=offset)
    response = await service.http.post(f"ingest/archive_duplicates/{job_id}")
    assert states(response.json()) == {"second.jpg": "archived"}, response.text
    assert album.files() == {"first.jpg": b"j"}
    assert (await album.payload(point))["paths"] == [str(first)]
    [summary] = [
        one for one in (await service.get("archive"))["archives"] if one["archive_id"] == response.json()["archive_id"]
    ]
    assert (summary["kind"], summary["files"]) == ("job-duplicates", {"archived": 1})


class TestAfterAKill:
    """The service is stopped at one moment of a move, as a kill stops it, and started again."""

    @pytest.fixture
    def broken_off(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
        """Give a function that makes a call of the file system, or to Qdrant, the last of the process."""

        def arm(what: str) -> None:
            async def die(*_: object, **__: object) -> None:
                raise asyncio.CancelledError

            def die_now(*_: object, **__: object) -> None:
                raise KeyboardInterrupt

            if what in {"link", "unlink"}:
                monkeypatch.setattr(os, what, die_now)
            else:
                monkeypatch.setattr(Qdrant, "change", die)

        return arm

    @pytest.mark.parametrize(
        ("moment", "back", "expected"),
        [
            ("link", False, "refused"),
            ("unlink", False, "archived"),
            ("points", False, "archived"),
            ("link", True, "archived"),
            ("unlink", True, "restored"),
            ("points", True, "restored"),
        ],
    )
    async def test_what_was_begun_is_finished_or_left(
        self,
        own: Settings,
        album: Album,
        broken_off: Callable[[str], None],
        monkeypatch: pytest.MonkeyPatch,
        moment: str,
        back: bool,
        expected: str,
    ) -> None:
        path = album.write("a.jpg", b"k")
        point = await album.store(b"k", path)
        body = {"ids": [point], "collection": album.collection}
        archive_id = ""
        async with serving(own) as service:
            if back:
                archive_id = (await post(service, "curation/archive-selection", **body))["archive_id"]
            broken_off(moment)
            with pytest.raises(BaseException):  # noqa: B017, PT011 - as it ends a process
                await (
                    service.http.post(f"archive/{archive_id}/undo")
                    if back
                    else service.http.post("curation/archive-selection", json=body)
                )
            monkeypatch.undo()
        async with serving(own) as service:
            [summary] = (await service.get("archive"))["archives"]
            assert summary["files"] == {expected: 1}
            is_away = expected == "archived"
            assert album.files() == ({} if is_away else {"a.jpg": b"k"})
            assert (await album.payload(point))["paths"] == ([] if is_away else [str(path)])
            if is_away:
                await post(service, f"archive/{summary['archive_id']}/undo")
            assert album.files() == {"a.jpg": b"k"}
            assert (await album.payload(point))["paths"] == [str(path)]

    async def test_with_qdrant_away_the_files_are_safe_and_the_rest_follows(
        self, own: Settings, album: Album, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = album.write("a.jpg", b"q")
        point = await album.store(b"q", path)
        async with serving(own) as service:
            report = await post(service, "curation/archive-selection", ids=[point], collection=album.collection)
        async with serving(own.model_copy(update={"qdrant_url": "http://127.0.0.1:1"})) as service:
            response = await service.http.post(f"archive/{report['archive_id']}/undo")
            assert response.status_code == 503
            assert path.read_bytes() == b"q"
            assert (await service.get("archive"))["archives"][0]["files"] == {"restoring": 1}
        async with serving(own) as service:
            assert (await service.get("archive"))["archives"][0]["files"] == {"restored": 1}
            assert (await album.payload(point))["paths"] == [str(path)]


class TestMoving:
    async def test_a_folder_that_became_a_link_is_not_followed(self, tmp_path: Path) -> None:
        root, outside = tmp_path / "root", tmp_path / "outside"
        (root / "a").mkdir(parents=True)
        outside.mkdir()
        (outside / "x").write_bytes(b"x")
        (root / "a" / "x").write_bytes(b"x")
        (root / "link").symlink_to(outside)
        for source, target in ((b"link/x", b"new/x"), (b"a/x", b"link/y"), (b"../outside/x", b"y")):
            with pytest.raises(FileError):
                moving.move(os.fsencode(root), source, target)
        assert [path.name for path in outside.iterdir()] == ["x"]
        assert (root / "a" / "x").read_bytes() == b"x"

    async def test_it_never_overwrites_and_moves_files_only(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(b"a")
        (tmp_path / "b").write_bytes(b"b")
        (tmp_path / "link").symlink_to("a")
        os.mkfifo(tmp_path / "pipe")
        for source, target in ((b"a", b"b"), (b"link", b"c"), (b"pipe", b"c"), (b"none", b"c")):
            with pytest.raises(FileError):
                moving.move(os.fsencode(tmp_path), source, target)
        assert ((tmp_path / "a").read_bytes(), (tmp_path / "b").read_bytes()) == (b"a", b"b")
        assert not (tmp_path / "c").exists()


async def test_paths_of_a_point() -> None:
    payload = {"paths": ["/a", "/b"], "full_path": "/a", "filename": "a", "name_key": name_key("a")}
    assert without_paths(payload, ["/b"]) == {"paths": ["/a"]}
    assert without_paths(payload, ["/a"]) == {
        "paths": ["/b"],
        "full_path": "/b",
        "filename": "b",
        "name_key": name_key("b"),
    }
    assert without_paths({"paths": ["/a"], "full_path": "/a"}, ["/a"]) == {"paths": []}
    taken = payload | without_paths(payload, ["/a"])
    assert taken | with_path(taken, "/a", is_first=True) == payload
    twice = taken | without_paths(taken, ["/a"])
    assert twice == taken
