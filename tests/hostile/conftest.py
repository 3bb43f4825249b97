"""A Kafka of its own, as what is thrown at it stays in its topics."""

from collections.abc import Iterator

import pytest

from tests import parts
from tests.pipeline import collection, idle_pipeline, pipeline, worker, worker_settings

__all__ = ["collection", "idle_pipeline", "pipeline", "worker", "worker_settings"]


@pytest.fixture(scope="package")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[parts.Part]:
    with parts.running_kafka(tmp_path_factory.mktemp("kafka")) as part:
        yield part
