import os
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateways.qdrant import Qdrant
from tests.qdrant.server import EmbeddedQdrant

SERVERS = ["embedded", "external"] if os.environ.get("QDRANT_URL") else ["embedded"]


@pytest.fixture(scope="session")
def embedded_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = EmbeddedQdrant(tmp_path_factory.mktemp("qdrant"))
    server.start()
    yield server.url
    server.kill()


@pytest.fixture(params=SERVERS)
def url(request: pytest.FixtureRequest) -> str:
    """Each test runs against the embedded server, and against the one in QDRANT_URL if there is one."""
    if request.param == "external":
        return os.environ["QDRANT_URL"]
    address: str = request.getfixturevalue("embedded_url")
    return address


@pytest.fixture
async def qdrant(url: str) -> AsyncIterator[Qdrant]:
    async with Qdrant(url, api_key=os.environ.get("QDRANT_API_KEY"), timeout=30) as client:
        yield client


@pytest.fixture
async def name(qdrant: Qdrant) -> AsyncIterator[str]:
    """A collection name of this test alone; what it made of it is removed."""
    unique = f"test-{uuid.uuid4().hex}"
    yield unique
    await qdrant.delete_collection(unique)


@pytest.fixture
async def photos(qdrant: Qdrant, name: str) -> str:
    """An empty collection for vectors of four dimensions."""
    await qdrant.ensure_collection(name, model_id="model-a", dimension=4, distance="Cosine")
    return name


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedQdrant]:
    """An embedded server of this test alone, to be killed and started again."""
    own = EmbeddedQdrant(tmp_path / "data")
    own.start()
    yield own
    own.kill()
