"""A service of its own for each test, on the shared parts."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from gateways.qdrant import Qdrant
from settings import Settings
from tests.api.service import Service, serving
from tests.parts import Part


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Give an allowed folder with a file in it."""
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "one.jpg").write_bytes(b"one")
    return folder


@pytest.fixture
def settings(kafka: Part, qdrant: Part, ml: Part, tmp_path: Path, photos: Path) -> Settings:
    return Settings(
        kafka_brokers=kafka.address,
        qdrant_url=qdrant.url,
        ml_inference_service_url=ml.url,
        darkroom_data=tmp_path / "data",
        ingest_roots=(photos,),
        upload_max_files=5,
        max_file_bytes=3_000_000,
    )


@pytest.fixture
async def service(settings: Settings) -> AsyncIterator[Service]:
    async with serving(settings) as running:
        yield running


@pytest.fixture
def job_id() -> str:
    return f"job-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def collection() -> str:
    return f"c-{uuid.uuid4().hex[:12]}"


@pytest.fixture
async def vectors(qdrant: Part) -> AsyncIterator[Qdrant]:
    """Give a client of the vector store itself."""
    async with Qdrant(qdrant.url) as client:
        yield client


@pytest.fixture
async def ml_control(ml: Part) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of the ML stub: `POST /control` changes how it behaves, for this test."""
    async with httpx.AsyncClient(base_url=ml.url) as client:
        yield client
        await client.post("/control", json={})
