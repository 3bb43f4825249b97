"""One service for the tests of a module, on the shared parts; a test that restarts it starts its own."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from core.settings import Settings
from gateways.qdrant import Qdrant
from tests.api.service import Service, serving
from tests.parts import Part


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give an allowed folder with a file in it."""
    folder = tmp_path_factory.mktemp("ingest") / "photos"
    folder.mkdir()
    (folder / "one.jpg").write_bytes(b"one")
    return folder


@pytest.fixture(scope="module")
def settings(kafka: Part, qdrant: Part, ml: Part, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        kafka_brokers=kafka.address,
        qdrant_url=qdrant.url,
        ml_inference_service_url=ml.url,
        darkroom_data=tmp_path_factory.mktemp("data"),
        ingest_roots=(photos,),
        upload_max_files=5,
        max_file_bytes=3_000_000,
        # No worker runs here: what other tests left in the topics rests.
        stalled_after_seconds=3600,
        restart_after_seconds=3600,
    )


@pytest.fixture
def own(settings: Settings, tmp_path: Path) -> Settings:
    """Give settings for services of this test's own, with a data folder that nothing was kept in yet."""
    return settings.model_copy(update={"darkroom_data": tmp_path / "data"})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(settings: Settings) -> AsyncIterator[Service]:
    async with serving(settings) as running:
        yield running


@pytest.fixture
def job_id() -> str:
    return f"job-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def collection() -> str:
    return f"c-{uuid.uuid4().hex[:12]}"


@pytest_asyncio.fixture(loop_scope="module")
async def vectors(qdrant: Part) -> AsyncIterator[Qdrant]:
    """Give a client of the vector store itself."""
    async with Qdrant(qdrant.url) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def ml_control(ml: Part) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of the ML stub: `POST /control` changes how it behaves, for this test."""
    async with httpx.AsyncClient(base_url=ml.url) as client:
        yield client
        await client.post("/control", json={})
