"""Whatever is sent to it, the service answers as its description says, and never with an error of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded.ports import free_port
from tests import parts, pictures
from tests.deadlines import HANG_SECONDS
from tests.parts import Part

KEY = "f0zz-f0zz-f0zz-f0zz"
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


@pytest.fixture
def fuzzed(qdrant: Part, ml: Part, tmp_path: Path) -> Iterator[Part]:
    """Give an API on a broker of its own: the requests that it takes are for no worker."""
    port = free_port()
    pictures.write(tmp_path / "photos", range(9_300_000, 9_300_002))
    with parts.running_kafka(tmp_path / "kafka") as kafka:
        environment = {
            "KAFKA_BROKERS": kafka.address,
            "QDRANT_URL": qdrant.url,
            "ML_INFERENCE_SERVICE_URL": ml.url,
            "DARKROOM_DATA": str(tmp_path / "data"),
            "DARKROOM_API_KEY": KEY,
            "INGEST_ROOTS": str(tmp_path / "photos"),
            "DEFAULT_COLLECTION": "fuzzed",
        }
        api = parts.start("API", ["-m", "api", "--port", str(port)], port, tmp_path / "api.log", environment)
        try:
            yield api
        finally:
            api.kill()


def test_every_answer_is_described(fuzzed: Part, tmp_path: Path) -> None:
    ended = subprocess.run(
        [
            Path(sys.executable).with_name("st"), "run", f"{fuzzed.url}/openapi.json",
            "--header", f"X-API-Key: {KEY}", "--checks", CHECKS, "--phases", "coverage,fuzzing,stateful",
            "--max-examples", "4", "--max-time", "12", "--seed", "1",
            "--request-timeout", "20", "--wait-for-schema", "30",
            # A stream has no end while its job runs.
            "--exclude-path-regex", "/events$", "--continue-on-failure", "--no-color",
        ],
        cwd=tmp_path,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )  # fmt: skip
    assert ended.returncode == 0, f"{ended.stdout}{ended.stderr}\n{fuzzed.log.read_text()[-3000:]}"
    assert "Traceback" not in fuzzed.log.read_text()
