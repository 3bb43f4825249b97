"""No file outside the allowed folders is read, whatever links do after the submit."""

import hashlib
import os
import shutil
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agents.leaving_out import LeftOut
from agents.roots import allowed_roots
from agents.scan.walking import Found, Refused, walk
from core import grants
from core.errors import FileError, UntrustedError
from core.settings import Settings
from imaging import files, hashing
from imaging.decoding import prepare
from tests import pictures
from tests.api.service import Service
from tests.pipeline import Pipeline
from topics.scan_request import SCAN_REQUEST


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Give an allowed folder; `../secret/` beside it is not."""
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret").mkdir()
    pictures.write(tmp_path / "secret", range(9_000_001, 9_000_002))
    return root


@pytest.fixture
def secret(root: Path) -> Path:
    return next((root.parent / "secret").iterdir())


def roots_of(root: Path) -> tuple[bytes, ...]:
    return (os.fsencode(root),)


@pytest.fixture(params=["/proc", "no /proc"])
def _descriptors(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "no /proc":
        monkeypatch.setattr(files, "DESCRIPTORS", b"/no-such-folder")


@pytest.mark.usefixtures("_descriptors")
class TestReading:
    def test_a_file_and_a_link_within_the_root_are_read(self, root: Path) -> None:
        (root / "a").write_bytes(b"a")
        (root / "link").symlink_to(root / "a")
        for name in ("a", "link"):
            sha256, _ = hashing.hash_file(os.fsencode(root / name), roots_of(root))
            assert sha256 == hashlib.sha256(b"a").hexdigest()

    def test_a_link_out_is_refused_by_hash_and_decode(self, root: Path, secret: Path) -> None:
        (root / "link.jpg").symlink_to(secret)
        (root / "folder").symlink_to(secret.parent)
        for path in (root / "link.jpg", root / "folder" / secret.name, root / ".." / "secret" / secret.name, secret):
            raw = os.fsencode(path)
            with pytest.raises(FileError, match="outside the folders"):
                hashing.hash_file(raw, roots_of(root))
            with pytest.raises(FileError, match="outside the folders"):
                prepare(raw, hashing.stamp(raw), None, max_pixels=10**9, max_bytes=10**9, roots=roots_of(root))

    def test_a_root_that_was_replaced_by_a_link_leads_nowhere(self, root: Path, secret: Path) -> None:
        (root / secret.name).write_bytes(b"harmless")
        path = os.fsencode(root / secret.name)
        hashing.hash_file(path, roots_of(root))
        replace_by_link(root, secret.parent)
        with pytest.raises(FileError, match="outside the folders"):
            hashing.hash_file(path, roots_of(root))

    def test_a_link_that_is_swapped_all_the_time_never_gives_the_secret_away(self, root: Path, secret: Path) -> None:
        (root / "a").write_bytes(b"a")
        harmless = hashlib.sha256(b"a").hexdigest()
        got: list[str] = []
        refused = 0
        with swapping(root / "link", root / "a", secret):
            for _ in range(3000):
                try:
                    got.append(hashing.hash_file(os.fsencode(root / "link"), roots_of(root))[0])
                except FileError:
                    refused += 1
        assert set(got) == {harmless}
        assert refused, "the link was never caught leading out: the test shows nothing"


def replace_by_link(folder: Path, target: Path) -> None:
    folder.rename(folder.with_name("moved"))
    folder.symlink_to(target)


@contextmanager
def swapping(link: Path, *targets: Path) -> Iterator[None]:
    """Point a link at one target after the other, as fast as it goes, until the block ends."""
    ended = threading.Event()
    link.symlink_to(targets[0])

    def swap() -> None:
        fresh = link.with_name("fresh")
        while not ended.is_set():
            for target in targets:
                fresh.symlink_to(target)
                fresh.replace(link)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_a_walk_does_not_look_beyond_the_root(root: Path, secret: Path) -> None:
    pictures.write(root, range(9_000_002, 9_000_003))
    (root / "file.jpg").symlink_to(secret)
    (root / "folder").symlink_to(secret.parent)
    (root / "inside").symlink_to(root)
    pictures.write(root / ".darkroom-archive" / "id", range(9_000_005, 9_000_006))
    walked = walk(os.fsencode(root), roots_of(root))
    entries = {Path(os.fsdecode(entry.path)).name: entry for entry in walked if not isinstance(entry, LeftOut)}
    assert secret.name not in entries
    refused = {name for name, entry in entries.items() if isinstance(entry, Refused) and entry.outcome == "failed"}
    assert refused == {"file.jpg", "folder"}
    assert sum(isinstance(entry, Found) for entry in entries.values()) == 1
    assert all(str(secret.parent) not in str(entry) for entry in entries.values())
    [whole] = walk(os.fsencode(secret.parent), roots_of(root))
    assert isinstance(whole, Refused)


def test_which_roots_count(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    given = Settings(ingest_roots=(tmp_path / "link",), darkroom_data=tmp_path / "data")
    of_settings = allowed_roots(None, given)
    assert of_settings is not None
    assert set(of_settings) == {os.fsencode(tmp_path / "real"), os.fsencode(tmp_path / "data" / "uploads")}
    assert allowed_roots(["/a"], Settings(darkroom_data=tmp_path / "data")) == (b"/a",)
    assert allowed_roots([], given) == ()
    with pytest.raises(UntrustedError, match="'/a'"):
        allowed_roots(["/a"], given)
    assert allowed_roots(None, Settings(trust_kafka=True)) is None
    with pytest.raises(UntrustedError, match=r"INGEST_ROOTS.*TRUST_KAFKA=1"):
        allowed_roots(None, Settings())


@pytest.mark.parametrize(
    ("asked", "left"),
    [
        (["/"], {"real", "granted", "data/uploads"}),
        ([""], {"real", "granted", "data/uploads"}),
        (["/etc", "real/below"], {"real/below"}),
        (["real/", "granted//below/./"], {"real", "granted/below"}),
        (["real/../granted"], {"granted"}),
        (["granted", "granted/below", "/"], {"real", "granted", "data/uploads"}),
        ([], set()),
    ],
)
def test_roots_of_a_message_count_within_those_that_are_allowed(
    tmp_path: Path, asked: list[str], left: set[str]
) -> None:
    settings = Settings(ingest_roots=(tmp_path / "real",), darkroom_data=tmp_path / "data")
    (tmp_path / "data" / "api").mkdir(parents=True)
    grants.tell(settings.darkroom_data, [os.fsencode(tmp_path / "granted")])
    sent = [root if root in {"/", "", "/etc"} else f"{tmp_path}/{root}" for root in asked]
    found = allowed_roots(sent, settings)
    assert found is not None
    assert set(found) == {os.fsencode(tmp_path / name) for name in left}
    assert allowed_roots(sent, settings.model_copy(update={"trust_kafka": True})) == tuple(
        os.fsencode(os.path.normpath(root)) if root else b"" for root in sent
    )


@pytest.mark.parametrize("asked", ["/etc", "relative", "..", "/allowe", "/allowed-too"])
def test_roots_that_nobody_has_allowed_are_refused(tmp_path: Path, asked: str) -> None:
    settings = Settings(darkroom_data=tmp_path / "data")
    assert allowed_roots([asked], settings) == (os.fsencode(asked),)  # a worker that knows of nothing
    (tmp_path / "data" / "api").mkdir(parents=True)
    for granted in ([], [b"/allowed"]):
        grants.tell(settings.darkroom_data, granted)
        with pytest.raises(UntrustedError, match="INGEST_ROOTS"):
            allowed_roots([asked], settings)
    with pytest.raises(UntrustedError):
        allowed_roots(["/allowed/../secret"], settings)


class TestPipeline:
    """One worker with all stages, fed by a plain Kafka client as the API feeds it."""

    async def test_a_link_that_was_swapped_after_the_submit_fails_its_file_and_no_other(
        self, pipeline: Pipeline, root: Path, secret: Path, collection: str
    ) -> None:
        [inside] = pictures.write(root, range(9_000_003, 9_000_004))
        job_id = f"job-{uuid.uuid4().hex[:12]}"
        (root / "swapped.jpg").symlink_to(secret)
        for path in (inside, root / "swapped.jpg"):
            await publish_raw(pipeline, job_id, collection, path, roots=[str(root)])
        await pipeline.bus.close_job(job_id)
        status = await pipeline.bus.finished(job_id)
        assert (status["outcomes"]["stored"], status["outcomes"]["failed"]) == (1, 1)
        letters = [
            letter for letter in pipeline.bus.values("dead-letter", job_id=job_id) if letter["path"].endswith("ed.jpg")
        ]
        # It carries the roots too, so that a replay is bound as well.
        assert [letter["roots"] for letter in letters] == [[str(root)]]
        assert list(await pipeline.points(collection)) == [str(inside)]

    async def test_a_file_that_is_known_already_is_checked_as_well(
        self, pipeline: Pipeline, root: Path, secret: Path, collection: str
    ) -> None:
        (root / "link.jpg").symlink_to(secret)
        first = await pipeline.run(root, collection=collection)
        assert first["outcomes"]["stored"] == 1
        bound = await pipeline.run(root, collection=collection, roots=[str(root)])
        assert bound["outcomes"]["failed"] == bound["total_files"] == 1

    async def test_a_path_that_leads_out_when_it_is_decoded(
        self, pipeline: Pipeline, root: Path, secret: Path, collection: str
    ) -> None:
        (root / "link.jpg").symlink_to(secret)
        sha256, stamp = hashing.hash_file(os.fsencode(secret))
        job_id = f"job-{uuid.uuid4().hex[:12]}"
        await pipeline.qdrant.ensure_collection(collection, model_id="stub-1", dimension=512, distance="Cosine")
        value = {
            "job_id": job_id, "collection": collection, "path": str(root / "link.jpg"), "size": stamp.size,
            "mtime_ns": stamp.mtime_ns, "sha256": sha256, "model_id": f"m-{job_id}", "roots": [str(root)],
        }  # fmt: skip
        await pipeline.bus.publish("hashed-file", sha256, value)

        def failed() -> list[dict[str, Any]]:
            return pipeline.bus.values("dead-letter", job_id=job_id)

        [letter] = await pipeline.bus.until(failed, "the dead letter")
        assert letter["path"] == str(root / "link.jpg")
        assert pipeline.bus.values("ml-request", job_id=job_id) == []

    async def test_a_source_outside_its_roots_is_not_walked(
        self, pipeline: Pipeline, root: Path, secret: Path, collection: str
    ) -> None:
        status = await pipeline.run(secret.parent, collection=collection, roots=[str(root)])
        assert status["outcomes"]["failed"] == status["total_files"] == 1
        assert secret.name not in str(pipeline.bus.values("job-event", job_id=status["job_id"]))


async def publish_raw(pipeline: Pipeline, job_id: str, collection: str, path: Path, **fields: Any) -> None:
    value = {"job_id": job_id, "collection": collection, "path": str(path)}
    await pipeline.bus.publish("raw-path", str(path), value | fields)


@pytest.mark.asyncio(loop_scope="module")
class TestSubmit:
    async def test_a_job_is_bound_to_the_roots_that_its_sources_lie_in(
        self, service: Service, photos: Path, tmp_path: Path, collection: str
    ) -> None:
        (tmp_path / "second").mkdir()
        (tmp_path / "third").mkdir()
        (photos / "below").mkdir(exist_ok=True)
        for folder in ("second", "third"):
            assert (await service.allow(tmp_path / folder)).status_code == 200
        body = {"directory_paths": [str(photos / "below"), str(tmp_path / "second")], "collection": collection}
        response = await service.http.post("ingest/scan", json=body)
        [message] = await service.messages(SCAN_REQUEST.name, response.json()["job_id"])
        assert SCAN_REQUEST.decode(message.value or b"").roots == sorted([str(photos), str(tmp_path / "second")])

    async def test_workers_of_the_same_data_folder_are_told_what_is_allowed(
        self, service: Service, photos: Path, tmp_path: Path
    ) -> None:
        data = service.settings.darkroom_data
        before = grants.told(data)
        assert before is not None
        assert {os.fsencode(photos), os.fsencode(service.settings.uploads_folder)} <= set(before)
        assert (await service.allow(tmp_path)).status_code == 200
        assert set(grants.told(data) or ()) == {*before, os.fsencode(tmp_path)}
        modes = {path.name: path.stat().st_mode & 0o777 for path in (data / "api", *(data / "api").iterdir())}
        assert (modes["api"], modes[grants.FILE], modes["local-token"]) == (0o700, 0o600, 0o600)

    async def test_an_allowed_folder_that_was_replaced_by_a_link_leads_nowhere(
        self, service: Service, root: Path, secret: Path
    ) -> None:
        assert (await service.allow(root)).status_code == 200
        body = {"directory_paths": [str(root / secret.name)]}
        shutil.copy(secret, root)
        assert (await service.http.post("ingest/scan", json=body)).status_code == 202
        replace_by_link(root, secret.parent)
        refused = await service.http.post("ingest/scan", json=body)
        assert (refused.status_code, "outside the folders" in refused.json()["detail"]) == (400, True)
        assert (await service.allow(root.with_name("moved"))).status_code == 200
        assert os.fsencode(secret.parent) not in (grants.told(service.settings.darkroom_data) or ())

    async def test_what_the_service_keeps_is_taken_in_by_no_scan_of_a_folder_above(
        self, service: Service, collection: str
    ) -> None:
        response = await service.http.post(
            "ingest/upload", params={"collection": collection}, files=[("files", ("a.jpg", pictures.jpeg(9_000_007)))]
        )
        data = service.settings.darkroom_data
        upload = service.settings.uploads_folder / response.json()["job_id"]

        def found(folder: Path) -> list[Path]:
            return [Path(os.fsdecode(one.path)) for one in walk(os.fsencode(folder), None) if isinstance(one, Found)]

        assert found(upload) == [upload / "0" / "a.jpg"]
        assert not [path for path in found(data.parent) if path.is_relative_to(data)]

    async def test_an_upload_is_bound_to_the_uploads(self, service: Service, collection: str) -> None:
        response = await service.http.post(
            "ingest/upload", params={"collection": collection}, files=[("files", ("a.jpg", pictures.jpeg(9_000_004)))]
        )
        [message] = await service.messages(SCAN_REQUEST.name, response.json()["job_id"])
        assert SCAN_REQUEST.decode(message.value or b"").roots == [str(service.settings.uploads_folder.resolve())]
