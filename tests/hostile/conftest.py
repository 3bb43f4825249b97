"""The whole pipeline: see tests.pipeline."""

from tests.pipeline import collection, idle_pipeline, pipeline, worker, worker_settings

__all__ = ["collection", "idle_pipeline", "pipeline", "worker", "worker_settings"]
