"""The whole pipeline: see tests.pipeline; and the API beside it, for tests of sources."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.settings import Settings
from tests.api.service import Service, serving
from tests.parts import Part
from tests.pipeline import collection, idle_pipeline, pipeline, worker, worker_settings

__all__ = ["collection", "idle_pipeline", "pipeline", "worker", "worker_settings"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    return folder


@pytest.fixture
async def service(kafka: Part, qdrant: Part, ml: Part, photos: Path, tmp_path: Path) -> AsyncIterator[Service]:
    settings = Settings(
        kafka_brokers=kafka.address,
        qdrant_url=qdrant.url,
        ml_inference_service_url=ml.url,
        darkroom_data=tmp_path / "api",
        ingest_roots=(photos.parent,),
    )
    async with serving(settings) as running:
        yield running
