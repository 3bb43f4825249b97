"""A disk that is full, or may not be written: it is said what to do, nothing is acked, and work goes on after it."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from core.settings import Settings
from embedded.ports import free_port
from tests import parts, pictures
from tests.api.service import Service, eventually, serving
from tests.deadlines import HANG_SECONDS
from tests.forked import obey_permissions
from tests.parts import Part
from tests.pipeline import Pipeline, account
from tests.worker import Worker

MIB = 1 << 20


class SmallDisk:
    """A disk of its own of some megabytes, which can be filled and freed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self) -> None:
        with (self.folder / "filler").open("wb", buffering=0) as file:
            try:
                for size in (MIB, 4096, 1):
                    while file.write(b"x" * size) == size:
                        pass
            except OSError:
                return

    def free(self) -> None:
        (self.folder / "filler").unlink()


def run(program: str, environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run what must end by itself."""
    return subprocess.run(
        [sys.executable, "-m", program, *arguments],
        cwd=parts.ROOT,
        env=environment,
        preexec_fn=obey_permissions,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"This user may not mount a small disk: {mounted.stderr.strip()}")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


async def test_a_worker_whose_disk_is_full_stops_and_loses_nothing(
    idle_pipeline: Pipeline, kafka: Part, qdrant: Part, ml: Part, small_disk: SmallDisk, collection: str, tmp_path: Path
) -> None:
    bus = idle_pipeline.bus
    photos = pictures.write_new(tmp_path / "photos", 20)
    (tmp_path / "photos" / "copy.jpg").write_bytes(photos[0].read_bytes())
    data = small_disk.folder / "data"
    # Its log lies elsewhere, as that of a service does.
    worker = Worker(kafka, qdrant, ml, tmp_path / "log", kafka_session_timeout_seconds=3, darkroom_data=data)
    with worker:
        small_disk.fill()
        job_id = await idle_pipeline.scan(tmp_path / "photos", collection=collection)
        await bus.until(worker.has_ended, "the end of the worker")
        assert worker.exit_code == 1
        # A process that ends at once leaves a word of Python's own about its semaphores, too.
        told = [json.loads(line) for line in worker.log.splitlines() if line.startswith("{")]
        (failed,) = [line for line in told if line["event"] == "worker-failed"]
        assert re.search(r"(fingerprints|jobs|known_images) cannot be read or written in .*/data/", failed["reason"])
        assert "No space left on device" in failed["reason"]
        assert "Free space on its disk" in failed["reason"]

        again = await asyncio.to_thread(run, "agents", worker.environment)
        assert again.returncode == 1
        assert f"The data folder {data}/worker cannot be written: No space left on device." in again.stderr
        assert "Traceback" not in again.stderr

        small_disk.free()
        worker.start()
        status = account(await bus.finished(job_id))
    assert (status["outcomes"]["stored"], status["outcomes"]["duplicate"]) == (20, 1)
    assert bus.values("dead-letter", job_id=job_id) == []
    assert len(await idle_pipeline.points(collection)) == 21


@pytest.mark.parametrize("program", ["agents", "api"])
def test_a_data_folder_that_may_not_be_written_is_said(
    program: str, kafka: Part, qdrant: Part, ml: Part, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(0o500)
    arguments = ["--port", str(free_port())] if program == "api" else []
    environment = Worker(kafka, qdrant, ml, tmp_path / "log", darkroom_data=data).environment
    ended = run(program, environment, *arguments)
    assert ended.returncode == 1
    assert f"The data folder {data}" in ended.stderr
    assert "cannot be written: Permission denied. Free space on its disk, or make it writable" in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_a_service_whose_disk_is_full_says_so_and_goes_on_by_itself(
    kafka: Part, qdrant: Part, ml: Part, small_disk: SmallDisk, tmp_path: Path
) -> None:
    (photo,) = pictures.write_new(tmp_path / "photos", 1)
    settings = Settings(
        kafka_brokers=kafka.address,
        qdrant_url=qdrant.url,
        ml_inference_service_url=ml.url,
        darkroom_data=small_disk.folder / "data",
        ingest_roots=(tmp_path / "photos",),
        disk_reserve_bytes=0,
    )
    async with serving(settings) as service:
        await service.get("capabilities")  # what ML runs is known from now on
        small_disk.fill()
        upload = await service.http.post("ingest/upload", files={"files": ("a.jpg", photo.read_bytes())})
        assert upload.status_code == 507
        assert "No space left on device" in upload.json()["detail"]
        assert list((settings.uploads_folder).glob("*")) == []

        selected = await service.http.post("collections/select", json={"name": "x"})
        assert selected.status_code in {404, 503}
        submitted = await service.http.post("ingest/scan", json={"directory_path": str(photo.parent), "job_id": "full"})
        assert submitted.status_code == 503
        assert "database or disk is full" in submitted.json()["detail"]
        ready = (await service.http.get("http://127.0.0.1/ready")).json()
        assert "Free space on its disk" in ready["parts"]["kafka"]["detail"]

        small_disk.free()
        status = await service.status("full")
        assert status["status"] == "queued"
        assert (await ready_again(service))["kafka"]["ready"]


async def ready_again(service: Service) -> dict[str, dict[str, object]]:
    async def look() -> dict[str, dict[str, object]] | None:
        answer: httpx.Response = await service.http.get("http://127.0.0.1/ready")
        found: dict[str, dict[str, object]] = answer.json()["parts"]
        return found if found["kafka"]["ready"] else None

    return await eventually(look)
