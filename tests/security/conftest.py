"""The fixtures of the API's tests and of the whole pipeline's, for tests that attack both."""

from tests.api.conftest import own, photos, service, settings
from tests.e2e.conftest import collection, pipeline, worker, worker_settings

__all__ = ["collection", "own", "photos", "pipeline", "service", "settings", "worker", "worker_settings"]
