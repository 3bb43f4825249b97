"""The fixtures of the API's tests and of the whole pipeline's, for tests that attack both."""

from tests.api.conftest import job_id, ml_control, own, photos, service, settings, vectors
from tests.pipeline import collection, idle_pipeline, pipeline, worker, worker_settings

__all__ = [
    "collection",
    "idle_pipeline",
    "job_id",
    "ml_control",
    "own",
    "photos",
    "pipeline",
    "service",
    "settings",
    "vectors",
    "worker",
    "worker_settings",
]
