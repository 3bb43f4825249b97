"""The example of the README, run as a person runs it: against a broker, a worker and the API."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded.ports import free_port
from tests import parts, pictures
from tests.parts import ROOT, Part
from tests.pipeline import Pipeline, account


@pytest.fixture
def api(kafka: Part, qdrant: Part, ml: Part, tmp_path: Path) -> Iterator[Part]:
    port = free_port()
    environment = {
        "KAFKA_BROKERS": kafka.address,
        "QDRANT_URL": qdrant.url,
        "ML_INFERENCE_SERVICE_URL": ml.url,
        "DARKROOM_DATA": str(tmp_path / "api"),
    }
    part = parts.start("API", ["-m", "api", "--port", str(port)], port, tmp_path / "api.log", environment)
    yield part
    part.kill()


async def test_the_example_publishes_a_job_that_ends(
    pipeline: Pipeline, kafka: Part, api: Part, collection: str, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    paths = pictures.write(folder, range(2600, 2603))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        ROOT / "docs" / "examples" / "publish.py",
        folder,
        collection,
        env=os.environ | {"KAFKA_BROKERS": kafka.address, "DARKROOM_URL": api.url, "NO_PROXY": "127.0.0.1"},
        stdout=subprocess.PIPE,
    )
    said, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0
    status = account(await pipeline.bus.finished(said.decode().strip()))
    assert status["status"] == "completed"
    assert status["outcomes"]["stored"] == 3
    assert set(await pipeline.points(collection)) == {str(path) for path in paths}
