"""A worker that is told no folders reads nothing for who publishes to Kafka and names none either."""

import hashlib
import os
import shutil
import sqlite3
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from api.jobs.restarting import start
from api.view import reading, writing
from api.view.writing import Message
from core import grants
from rules.identity import file_id
from tests import pictures
from tests.pipeline import Pipeline, account
from tests.worker import Worker
from topics.job_event import JOB_EVENT, Scanning, Seen, SeenFile


@pytest.fixture(scope="module")
def worker_settings() -> dict[str, Any]:
    return {"trust_kafka": "0"}


@pytest.fixture
def job_id() -> str:
    return f"job-{uuid.uuid4().hex[:12]}"


async def test_a_file_without_roots_is_refused_and_one_with_roots_is_not(
    pipeline: Pipeline, collection: str, tmp_path: Path, job_id: str
) -> None:
    refused, allowed = pictures.write_new(tmp_path, 2)
    file = {"job_id": job_id, "collection": collection}
    await pipeline.bus.publish("raw-path", str(refused), file | {"path": str(refused)})
    await pipeline.bus.publish("raw-path", str(allowed), file | {"path": str(allowed), "roots": [str(tmp_path)]})
    await pipeline.bus.close_job(job_id)
    status = account(await pipeline.bus.finished(job_id))
    assert (status["outcomes"]["stored"], status["outcomes"]["failed"]) == (1, 1)
    assert list(await pipeline.points(collection)) == [str(allowed)]
    assert hashlib.sha256(refused.read_bytes()).hexdigest() not in str(pipeline.bus.records)
    [letter] = pipeline.bus.of_job("dead-letter", job_id)
    headers = {name: value.decode() for name, value in letter.headers}
    assert headers["__connect.errors.exception.class.name"] == "UntrustedError"
    assert "TRUST_KAFKA=1" in headers["__connect.errors.exception.message"]
    assert any("INGEST_ROOTS" in line for line in status["logs"])


async def test_a_scan_without_roots_is_refused(pipeline: Pipeline, collection: str, tmp_path: Path) -> None:
    pictures.write_new(tmp_path, 1)
    status = account(await pipeline.run(tmp_path, collection=collection))
    assert (status["status"], status["total_files"]) == ("failed", 0)
    assert "TRUST_KAFKA=1" in status["message"]
    assert pipeline.bus.values("raw-path", job_id=status["job_id"]) == []
    bound = account(await pipeline.run(tmp_path, collection=collection, roots=[str(tmp_path)]))
    assert bound["outcomes"]["stored"] == 1


async def test_roots_that_the_api_did_not_allow_are_refused(
    pipeline: Pipeline, collection: str, tmp_path: Path, job_id: str, worker: Worker
) -> None:
    (tmp_path / "allowed").mkdir()
    [allowed] = pictures.write_new(tmp_path / "allowed", 1)
    outside, refused = pictures.write_new(tmp_path, 2)
    data = Path(worker.environment["DARKROOM_DATA"])
    (data / "api").mkdir()
    grants.tell(data, [os.fsencode(tmp_path / "allowed")])
    try:
        for path, root in ((allowed, "/"), (outside, "/"), (refused, str(refused))):
            file = {"job_id": job_id, "collection": collection, "path": str(path), "roots": [root]}
            await pipeline.bus.publish("raw-path", str(path), file)
        await pipeline.bus.close_job(job_id)
        status = account(await pipeline.bus.finished(job_id))
        scanned = account(await pipeline.run(tmp_path, collection=collection, roots=[str(tmp_path)]))
    finally:
        shutil.rmtree(data / "api")
    assert (status["outcomes"]["stored"], status["outcomes"]["failed"]) == (1, 2)
    assert list(await pipeline.points(collection)) == [str(allowed)]
    assert {
        letter["path"]: name
        for letter, name in zip(
            pipeline.bus.values("dead-letter", job_id=job_id),
            [
                dict(letter.headers)["__connect.errors.exception.class.name"].decode()
                for letter in pipeline.bus.of_job("dead-letter", job_id)
            ],
            strict=True,
        )
    } == {str(outside): "FileError", str(refused): "UntrustedError"}
    # The folder itself lies outside what is left of its roots.
    assert (scanned["total_files"], scanned["outcomes"]["failed"]) == (1, 1)


async def test_a_hashed_file_without_roots_is_not_decoded(
    pipeline: Pipeline, collection: str, tmp_path: Path, job_id: str
) -> None:
    (path,) = pictures.write_new(tmp_path, 1)
    await pipeline.qdrant.ensure_collection(collection, model_id="stub-1", dimension=512, distance="Cosine")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    value = {
        "job_id": job_id, "collection": collection, "path": str(path), "size": path.stat().st_size,
        "mtime_ns": path.stat().st_mtime_ns, "sha256": sha256, "model_id": "stub-1",
    }  # fmt: skip
    await pipeline.bus.publish("hashed-file", sha256, value)
    await pipeline.bus.until(lambda: pipeline.bus.of_job("dead-letter", job_id), "the dead letter")
    assert pipeline.bus.values("ml-request", job_id=job_id) == []


class TestAFileThatBeginsAgain:
    """The watchdog sends it with the roots that it came with: without them it would be refused."""

    def _restarted(self, *events: Any) -> Any:
        view = sqlite3.connect(":memory:")
        writing.rebuild(view, "cluster")
        told = enumerate(JOB_EVENT.encode(event) for event in events)
        writing.write(view, [Message(JOB_EVENT.name, 0, offset, b"j", value, [], 1.0) for offset, value in told])
        job = reading.folded(view, "j")
        assert job is not None
        [row] = reading.unfinished_files(view, "j", after=0, limit=10)
        return start(job, reading.request(view, "j"), row)

    def _seen(self, roots: list[str] | None) -> Seen:
        file = SeenFile(file_id=file_id("j", "c", b"/a/1.jpg"), path="/a/1.jpg")
        return Seen(job_id="j", at=time.time(), collection="c", roots=roots, files=[file])

    def test_of_a_program(self) -> None:
        assert self._restarted(self._seen(["/a"])).roots == ["/a"]
        assert self._restarted(self._seen(["/b"]), self._seen(["/a", "/b"])).roots == ["/a", "/b"]
        assert self._restarted(self._seen(None)).roots is None

    def test_of_a_scan(self) -> None:
        scanning = Scanning(job_id="j", at=time.time(), collection="c", sources=["/a/below"], walk_id="w")
        # A link below its folder may lead to another root.
        assert self._restarted(scanning, self._seen(["/a", "/b"])).roots == ["/a", "/b"]
        # As version 0.1.0 has it.
        assert self._restarted(scanning, self._seen(None)).roots == ["/a/below"]
