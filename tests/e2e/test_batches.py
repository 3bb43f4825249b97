"""The batch settings, seen in the requests that ML and Qdrant really get."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from embedded.ports import free_port
from tests import parts, pictures
from tests.pipeline import Pipeline


@pytest.fixture(scope="module")
def proxy(qdrant: parts.Part, tmp_path_factory: pytest.TempPathFactory) -> Iterator[parts.Part]:
    port = free_port()
    arguments = ["-m", "tests.proxy", "--port", str(port), "--to", qdrant.url]
    with parts.running("proxy", arguments, port, tmp_path_factory.mktemp("proxy") / "log") as part:
        yield part


@pytest.fixture(scope="module")
def worker_settings(proxy: parts.Part) -> dict[str, object]:
    return {
        "qdrant_url": proxy.url,
        "ml_inference_batch_size": 7,
        "qdrant_upsert_batch_size": 5,
        "qdrant_batch_linger_seconds": 5,
        "ml_batch_linger_seconds": 5,
    }


async def test_the_settings_bound_the_requests(
    pipeline: Pipeline, collection: str, tmp_path: Path, proxy: parts.Part
) -> None:
    pictures.write(tmp_path, range(5000, 5100))
    status = await pipeline.run(tmp_path, collection=collection)
    assert status["outcomes"]["stored"] == 100
    images = [len(batch) for batch in pipeline.ml_batches()]
    points: list[int] = httpx.get(f"{proxy.url}/passed").json()
    assert sum(images) == sum(points) == 100
    assert max(images) == 7
    assert max(points) == 5
