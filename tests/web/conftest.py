"""A Darkroom with parts of its own, so that what other tests left in the topics does not show; and a browser."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser

from embedded.ports import free_port
from tests import parts
from tests.web.browser import Visit, running_browser
from tests.worker import Worker

Open = Callable[..., Visit]


@pytest.fixture(scope="package")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[parts.Part]:
    with parts.running_kafka(tmp_path_factory.mktemp("kafka")) as part:
        yield part


@pytest.fixture(scope="package")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder that may be read."""
    return tmp_path_factory.mktemp("photos").resolve()


@pytest.fixture(scope="package")
def qdrant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[parts.Part]:
    """Give a vector store of these tests alone: a page shows all collections, also such as have no thumbnails."""
    with parts.running_qdrant(tmp_path_factory.mktemp("qdrant")) as part:
        yield part


@pytest.fixture(scope="package")
def start_api(
    kafka: parts.Part, qdrant: parts.Part, ml: parts.Part, photos: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., parts.Part]]:
    started: list[parts.Part] = []

    def start(**settings: str) -> parts.Part:
        folder = tmp_path_factory.mktemp("api")
        environment = {
            "KAFKA_BROKERS": kafka.address,
            "QDRANT_URL": qdrant.url,
            "ML_INFERENCE_SERVICE_URL": ml.url,
            "DARKROOM_DATA": str(folder / "data"),
            "INGEST_ROOTS": str(photos),
        }
        port = free_port()
        arguments = ["-m", "api", "--port", str(port)]
        started.append(parts.start("API", arguments, port, folder / "log", environment | settings))
        return started[-1]

    yield start
    for part in started:
        part.kill()


@pytest.fixture(scope="package")
def site(start_api: Callable[..., parts.Part]) -> parts.Part:
    return start_api()


@pytest.fixture(scope="package")
def worker(
    site: parts.Part,  # which creates the topics
    kafka: parts.Part,
    qdrant: parts.Part,
    ml: parts.Part,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Worker]:
    with Worker(kafka, qdrant, ml, tmp_path_factory.mktemp("worker"), scan_outstanding_files=8) as running:
        yield running


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with running_browser() as running:
        yield running


@pytest.fixture
def visit(browser: Browser, site: parts.Part) -> Iterator[Open]:
    """Give a function that opens a place; at the end every page must be without fault."""
    visits: list[Visit] = []

    def open_place(place: str, *, url: str = site.url, **options: Any) -> Visit:
        visits.append(Visit(browser, url, **options))
        visits[-1].go(place)
        return visits[-1]

    yield open_place
    try:
        for one in visits:
            one.check()
    finally:
        for one in visits:
            one.close()


@pytest.fixture
def ml_control(ml: parts.Part) -> Iterator[Callable[..., None]]:
    """Change how the ML service behaves, for this test."""

    def control(**behaviour: Any) -> None:
        httpx.post(f"{ml.url}/control", json=behaviour).raise_for_status()

    yield control
    control()
