"""One Kafka, one Qdrant and one ML stub for all tests; a test uses its own job ids and collections."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded.ports import free_port
from tests import parts


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[parts.Part]:
    """Give a broker; `kafka.address` is for KAFKA_BROKERS."""
    with parts.running_kafka(tmp_path_factory.mktemp("kafka")) as part:
        yield part


@pytest.fixture(scope="session")
def qdrant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[parts.Part]:
    """Give a vector store; `qdrant.url` is for QDRANT_URL."""
    folder: Path = tmp_path_factory.mktemp("qdrant")
    port = free_port()
    with parts.running("Qdrant", parts.qdrant_arguments(folder / "data", port), port, folder / "log") as part:
        yield part


@pytest.fixture(scope="session")
def ml(tmp_path_factory: pytest.TempPathFactory) -> Iterator[parts.Part]:
    """Give the ML stub (tests.ml.stub); `ml.url` is for ML_INFERENCE_SERVICE_URL."""
    folder: Path = tmp_path_factory.mktemp("ml")
    port = free_port()
    with parts.running("ML", parts.ml_stub_arguments(port), port, folder / "log") as part:
        yield part
