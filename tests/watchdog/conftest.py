"""The pipeline, see tests.pipeline, with limits that are short enough to wait for."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.settings import Settings
from tests.bus import skip_backlog
from tests.parts import Part, running_kafka
from tests.pipeline import collection, idle_pipeline

__all__ = ["collection", "idle_pipeline"]


@pytest.fixture(scope="package")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Part]:
    """Give a broker of its own: the watchdog would look after the jobs that other tests left unfinished."""
    with running_kafka(tmp_path_factory.mktemp("kafka")) as part:
        yield part


@pytest.fixture(scope="session")
def short() -> dict[str, Any]:
    return {"stalled_after_seconds": 2.0, "restart_after_seconds": 4.0, "kafka_session_timeout_seconds": 2.0}


@pytest.fixture(scope="module")
def settings(
    kafka: Part, qdrant: Part, ml: Part, short: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    skip_backlog(kafka.address)
    return Settings(
        kafka_brokers=kafka.address,
        qdrant_url=qdrant.url,
        ml_inference_service_url=ml.url,
        darkroom_data=tmp_path_factory.mktemp("data"),
        **short,
    )


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return tmp_path / "photos"
