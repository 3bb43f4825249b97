"""ML misbehaves in the middle of a job: the job shows that it waits, goes on by itself, and loses nothing."""

import base64
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from embedded.ports import free_port
from tests import parts, pictures
from tests.ml.stub import vector_of
from tests.parts import Part
from tests.pipeline import Pipeline, account
from tests.worker import Worker

TIMEOUT_SECONDS = 3.0
PHOTOS = 8


@pytest.fixture(scope="module")
def ml_command() -> tuple[list[str], int]:
    port = free_port()
    return parts.ml_stub_arguments(port), port


@pytest.fixture(scope="module")
def ml(ml_command: tuple[list[str], int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Part]:
    """An ML of this module's own, as it is ended and started again."""
    with parts.running("ML", *ml_command, tmp_path_factory.mktemp("ml") / "log") as part:
        yield part


@pytest.fixture(scope="module")
def worker_settings() -> dict[str, Any]:
    return {"ml_timeout_seconds": TIMEOUT_SECONDS, "ml_inference_batch_size": 4}


def told(ml: Part, **behaviour: object) -> None:
    httpx.post(f"{ml.url}/control", json=behaviour).raise_for_status()


@contextmanager
def telling(ml: Part, **behaviour: object) -> Iterator[None]:
    told(ml, **behaviour)
    yield
    told(ml)


MISBEHAVIOURS: dict[str, dict[str, Any]] = {
    "500": {"status": 500, "body": "Internal Server Error"},
    "503": {"status": 503},
    "no JSON": {"status": 200, "body": "<html>a proxy's page</html>"},
    "another JSON": {"status": 200, "body": "[]"},
    "too few results": {"drop_results": 1},
    "a result twice": {"repeat_results": 1},
    "results for nobody": {"strange_results": 2},
    "another dimension": {"dimension": 64},
    "another model": {"model_id": "stub-2"},
    "an answer after the timeout": {"hang": True},
}


async def waits_and_goes_on(
    pipeline: Pipeline, trouble: AbstractContextManager[None], collection: str, folder: Path, seconds: float
) -> dict[str, Any]:
    """Run a job whose ML is in trouble for some seconds at least; check that all came right in the end."""
    bus = pipeline.bus
    await pipeline.qdrant.ensure_collection(collection, model_id="stub-1", dimension=512, distance="Cosine")
    photos = pictures.write_new(folder, PHOTOS)
    (folder / "copy.jpg").write_bytes(photos[0].read_bytes())
    with trouble:
        job_id = await pipeline.scan(folder, collection=collection, model_id="stub-1")
        await bus.until(lambda: bus.values("job-status", job_id=job_id, waiting_for="ml"), "the job waits for ML")
        await bus.quiet(seconds)
        assert bus.values("db-write", job_id=job_id) == []
        assert max(bus.values("job-status", job_id=job_id), key=lambda s: s["offset"])["waiting_for"] == "ml"
    status = account(await bus.finished(job_id))
    assert (status["status"], status.get("waiting_for")) == ("completed", None)
    assert (status["outcomes"]["stored"], status["outcomes"]["duplicate"]) == (PHOTOS, 1)
    assert any("waits for ml" in line for line in status["logs"])
    assert len(await pipeline.points(collection)) == PHOTOS + 1
    assert bus.values("dead-letter", job_id=job_id) == []
    return status


@pytest.mark.parametrize("misbehaviour", MISBEHAVIOURS)
async def test_a_job_waits_while_ml_misbehaves(
    misbehaviour: str, pipeline: Pipeline, ml: Part, collection: str, tmp_path: Path
) -> None:
    await waits_and_goes_on(pipeline, telling(ml, **MISBEHAVIOURS[misbehaviour]), collection, tmp_path, 1.0)


@contextmanager
def away(ml: Part, command: tuple[list[str], int]) -> Iterator[None]:
    ml.kill()
    yield
    ml.process = parts.start("ML", *command, ml.log).process


async def test_a_job_waits_while_ml_is_away(
    pipeline: Pipeline, ml: Part, ml_command: tuple[list[str], int], collection: str, tmp_path: Path
) -> None:
    await waits_and_goes_on(pipeline, away(ml, ml_command), collection, tmp_path, 3.0)


@pytest.mark.chaos
async def test_a_job_waits_while_ml_is_away_for_minutes(
    pipeline: Pipeline, ml: Part, ml_command: tuple[list[str], int], collection: str, tmp_path: Path
) -> None:
    await waits_and_goes_on(pipeline, away(ml, ml_command), collection, tmp_path, 120.0)


async def test_results_in_another_order_go_to_their_own_pictures(
    pipeline: Pipeline, ml: Part, collection: str, tmp_path: Path
) -> None:
    pictures.write_new(tmp_path, PHOTOS)
    told(ml, reverse=True)
    job_id = (await pipeline.run(tmp_path, collection=collection))["job_id"]
    told(ml)
    assert max(len(batch) for batch in pipeline.ml_batches()) > 1
    renditions = {v["path"]: v["rendition_base64"] for v in pipeline.bus.values("ml-request", job_id=job_id)}
    vectors = {v["path"]: v["content"]["vector"] for v in pipeline.bus.values("db-write", job_id=job_id)}
    assert vectors.keys() == renditions.keys()
    for path, rendition in renditions.items():
        assert vectors[path] == pytest.approx(vector_of(base64.b64decode(rendition)))


@pytest.mark.parametrize("refusal", ["fail_images", "nan_images", "short_images", "reject_batch_with"])
async def test_only_the_guilty_picture_fails(
    refusal: str, pipeline: Pipeline, ml: Part, worker: Worker, collection: str, tmp_path: Path
) -> None:
    photos = pictures.write_new(tmp_path, PHOTOS)
    guilty = photos[2]
    told(ml, **{refusal: [guilty.name]})
    status = await pipeline.run(tmp_path, collection=collection)
    told(ml)
    assert (status["outcomes"]["stored"], status["outcomes"]["failed"]) == (PHOTOS - 1, 1)
    assert (await pipeline.points(collection)).keys() == {str(path) for path in photos if path != guilty}
    (letter,) = pipeline.bus.values("dead-letter", job_id=status["job_id"])
    assert letter["path"] == str(guilty)
    reason = pipeline.bus.outcomes(status["job_id"])[str(guilty)]["reason"]
    assert "ML" in reason
    # A photograph that failed is taken again when ML has been mended, by the job's failed files alone.
    await pipeline.bus.publish("raw-path", str(guilty), letter, [("replay", b"true")])

    def mended() -> list[dict[str, Any]]:
        return pipeline.bus.values("job-status", job_id=status["job_id"], status="completed")

    (last, *_) = await pipeline.bus.until(mended, "the mended file")
    assert account(last)["outcomes"]["stored"] == PHOTOS


async def test_texts_of_ml_without_end_are_cut(
    pipeline: Pipeline, ml: Part, worker: Worker, collection: str, tmp_path: Path
) -> None:
    """A caption or an error of megabytes would end up in a message that Kafka refuses."""
    photos = pictures.write_new(tmp_path, 3)
    told(ml, fail_images=[photos[0].name], text_length=3 << 20)
    status = await pipeline.run(tmp_path, collection=collection, caption=True)
    told(ml)
    assert (status["outcomes"]["stored"], status["outcomes"]["failed"]) == (2, 1)
    points = await pipeline.points(collection)
    assert {len(point["caption"]) for point in points.values()} == {2_000}
    assert not worker.has_ended()
