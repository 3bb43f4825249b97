"""Qdrant misbehaves in the middle of a job: the job shows that it waits, goes on by itself, and loses nothing."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from embedded.ports import free_port
from tests import parts, pictures
from tests.parts import Part
from tests.pipeline import Pipeline, account

TIMEOUT_SECONDS = 3.0
PHOTOS = 6


@pytest.fixture(scope="module")
def command(qdrant: Part) -> tuple[list[str], int]:
    port = free_port()
    return ["-m", "tests.proxy", "--port", str(port), "--to", qdrant.url], port


@pytest.fixture(scope="module")
def proxy(command: tuple[list[str], int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Part]:
    """The way from the workers to Qdrant."""
    with parts.running("proxy", *command, tmp_path_factory.mktemp("proxy") / "log") as part:
        yield part


@pytest.fixture(scope="module")
def worker_settings(proxy: Part) -> dict[str, Any]:
    return {"qdrant_url": proxy.url, "qdrant_timeout_seconds": TIMEOUT_SECONDS}


def told(proxy: Part, **behaviour: object) -> None:
    httpx.post(f"{proxy.url}/control", json=behaviour).raise_for_status()


@contextmanager
def telling(proxy: Part, **behaviour: object) -> Iterator[None]:
    told(proxy, **behaviour)
    yield
    told(proxy)


@contextmanager
def away(proxy: Part, command: tuple[list[str], int]) -> Iterator[None]:
    proxy.kill()
    yield
    proxy.process = parts.start("proxy", *command, proxy.log).process


MISBEHAVIOURS: dict[str, dict[str, Any]] = {
    "500 to all": {"status": 500, "body": "panicked"},
    "503 to upserts": {"only_upserts": True, "status": 503},
    "another key": {"status": 401},
    "no JSON": {"status": 200, "body": "<html>a proxy's page</html>"},
    "no JSON to upserts": {"only_upserts": True, "status": 200, "body": "<html>a proxy's page</html>"},
    "too slow": {"delay": TIMEOUT_SECONDS + 1},
    "upserts that are written and answered too late": {
        "only_upserts": True,
        "late": True,
        "delay": TIMEOUT_SECONDS + 1,
    },
    "no room on its disk": {
        "only_upserts": True,
        "status": 500,
        "body": '{"status":{"error":"No space left on device"}}',
    },
}


async def waits_and_goes_on(
    pipeline: Pipeline, trouble: AbstractContextManager[None], collection: str, folder: Path, seconds: float
) -> None:
    """Run a job whose Qdrant is in trouble for some seconds at least; check that all came right in the end."""
    bus = pipeline.bus
    photos = pictures.write_new(folder, PHOTOS)
    (folder / "copy.jpg").write_bytes(photos[0].read_bytes())
    await pipeline.qdrant.ensure_collection(collection, model_id="stub-1", dimension=512, distance="Cosine")
    with trouble:
        job_id = await pipeline.scan(folder, collection=collection)
        await bus.until(lambda: bus.values("job-status", job_id=job_id, waiting_for="qdrant"), "the job waits")
        await bus.quiet(seconds)
        newest = max(bus.values("job-status", job_id=job_id), key=lambda s: s["offset"])
        assert newest["waiting_for"] == "qdrant"
        assert newest["outcomes"]["stored"] == newest["outcomes"]["failed"] == 0
    status = account(await bus.finished(job_id))
    assert (status["status"], status.get("waiting_for")) == ("completed", None)
    assert (status["outcomes"]["stored"], status["outcomes"]["duplicate"]) == (PHOTOS, 1)
    assert len(await pipeline.points(collection)) == PHOTOS + 1
    assert await pipeline.qdrant.count(collection) == PHOTOS
    assert bus.values("dead-letter", job_id=job_id) == []
    assert status["ml_images_sent"] == PHOTOS


@pytest.mark.parametrize("misbehaviour", MISBEHAVIOURS)
async def test_a_job_waits_while_qdrant_misbehaves(
    misbehaviour: str, pipeline: Pipeline, proxy: Part, collection: str, tmp_path: Path
) -> None:
    await waits_and_goes_on(pipeline, telling(proxy, **MISBEHAVIOURS[misbehaviour]), collection, tmp_path, 1.0)


async def test_a_job_waits_while_qdrant_is_away(
    pipeline: Pipeline, proxy: Part, command: tuple[list[str], int], collection: str, tmp_path: Path
) -> None:
    await waits_and_goes_on(pipeline, away(proxy, command), collection, tmp_path, 3.0)


@pytest.mark.chaos
async def test_a_job_waits_while_qdrant_is_away_for_minutes(
    pipeline: Pipeline, proxy: Part, command: tuple[list[str], int], collection: str, tmp_path: Path
) -> None:
    await waits_and_goes_on(pipeline, away(proxy, command), collection, tmp_path, 120.0)


async def test_a_slow_qdrant_is_only_slow(pipeline: Pipeline, proxy: Part, collection: str, tmp_path: Path) -> None:
    pictures.write_new(tmp_path, PHOTOS)
    told(proxy, only_upserts=True, delay=TIMEOUT_SECONDS / 6)
    status = await pipeline.run(tmp_path, collection=collection)
    told(proxy)
    assert status["outcomes"]["stored"] == PHOTOS
    assert not any("waits for" in line for line in status["logs"])


async def test_only_the_refused_point_fails(pipeline: Pipeline, proxy: Part, collection: str, tmp_path: Path) -> None:
    photos = pictures.write_new(tmp_path, PHOTOS)
    guilty = photos[1]
    told(proxy, refuse_points_of=guilty.name)
    status = await pipeline.run(tmp_path, collection=collection)
    told(proxy)
    assert (status["outcomes"]["stored"], status["outcomes"]["failed"]) == (PHOTOS - 1, 1)
    assert (await pipeline.points(collection)).keys() == {str(path) for path in photos if path != guilty}
    (letter,) = pipeline.bus.values("dead-letter", job_id=status["job_id"])
    assert letter["path"] == str(guilty)
    assert "told to refuse this point" in pipeline.bus.outcomes(status["job_id"])[str(guilty)]["reason"]
