"""The stub as a process: others' tests trust that it does as it is told and remembers right."""

import base64
import contextlib
import hashlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.deadlines import HANG_SECONDS
from tests.ml.stub import vector_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def stub() -> Iterator[httpx.Client]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-m", "tests.ml.stub", "--port", str(port)], cwd=ROOT)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        deadline = time.monotonic() + HANG_SECONDS
        while not _answers(client):
            assert time.monotonic() < deadline, "the stub does not answer"
            time.sleep(0.05)
        yield client
    process.terminate()
    process.wait(HANG_SECONDS)


def _answers(client: httpx.Client) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return client.get("/health").is_success
    return False


def test_it_is_told_over_http_and_remembers(stub: httpx.Client) -> None:
    image = {"unique_id": "a", "image_base64": base64.b64encode(b"picture").decode(), "filename": "1.jpg"}
    embed = ("/api/v1/batch_embed_and_caption?caption=true", {"images": [image]})
    stub.post("/control", json={"status": 503, "body": "away"}).raise_for_status()
    answer = stub.post(embed[0], json=embed[1])
    assert (answer.status_code, answer.text) == (503, "away")
    stub.post("/control", json={}).raise_for_status()
    (result,) = stub.post(embed[0], json=embed[1]).json()["results"]
    assert result["embedding"] == vector_of(b"picture")
    logged = {"unique_id": "a", "filename": "1.jpg", "sha256": hashlib.sha256(b"picture").hexdigest(), "size": 7}
    named = {"model_id": None, "embed": True}
    assert stub.get("/log").json() == [
        {"images": [logged], "caption": True, "status": status} | named for status in (503, 200)
    ]
    stub.delete("/log")
    assert stub.get("/log").json() == []


def test_an_unknown_order_is_refused_instead_of_ignored(stub: httpx.Client) -> None:
    assert stub.post("/control", json={"explode": True}).status_code == 422
