"""The one reader of the environment: a typed object that refuses bad values at start.

It is built in `load()`, never at import, and handed on as an argument.
"""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from errors import FatalError

Stage = Literal["scan", "hash", "prepare", "embed", "store", "track"]
STAGES: tuple[Stage, ...] = ("scan", "hash", "prepare", "embed", "store", "track")

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Settings(BaseSettings):
    """Every setting, its default and its unit. The environment variable is the name in capitals."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    # Where the parts are. Unset: `darkroom up` runs an embedded one and sets it for its children.
    kafka_brokers: str = ""
    qdrant_url: str = ""
    qdrant_host: str = ""
    qdrant_port: Annotated[int, Field(ge=1, le=65535)] = 6333
    ml_inference_service_url: str = ""
    darkroom_url: str = "http://127.0.0.1:8002"

    # Everything that is kept on disk lies below this folder.
    darkroom_data: Path = Path(".darkroom")

    # Topics. All keyed topics and all tables share the partition count; it cannot change later.
    kafka_partitions: Annotated[int, Field(ge=1, le=1000)] = 8
    kafka_replication_factor: Annotated[int, Field(ge=1)] = 1
    kafka_retention_hours: Annotated[int, Field(ge=1)] = 168
    kafka_group_prefix: str = "darkroom"
    # A worker that was killed is noticed, and its partitions given to others, after this time.
    kafka_session_timeout_seconds: Annotated[float, Field(ge=1, le=300)] = 10.0

    # ML.
    ml_inference_batch_size: Annotated[int, Field(ge=1, le=4096)] | None = None
    ml_model_id: str | None = None
    ml_timeout_seconds: Seconds = 300.0
    ml_batch_linger_seconds: Seconds = 0.2
    ml_batches_in_flight: Annotated[int, Field(ge=1, le=16)] = 2

    # Qdrant.
    qdrant_upsert_batch_size: Annotated[int, Field(ge=1, le=10_000)] = 100
    qdrant_batch_linger_seconds: Seconds = 0.1
    qdrant_timeout_seconds: Seconds = 60.0
    qdrant_vector_size: Annotated[int, Field(ge=1)] = 512
    qdrant_distance_metric: Literal["Cosine", "Dot", "Euclid", "Manhattan"] = "Cosine"

    # Files.
    ingest_roots: Annotated[tuple[Path, ...], NoDecode] = ()
    cpu_processes: Annotated[int, Field(ge=1)] = Field(default_factory=lambda: os.cpu_count() or 1)
    file_timeout_seconds: Seconds = 120.0
    file_memory_bytes: Annotated[int, Field(ge=256 << 20)] = 3 << 30
    max_image_pixels: Annotated[int, Field(ge=1)] = 300_000_000
    max_file_bytes: Annotated[int, Field(ge=1)] = 1 << 30
    upload_max_files: Annotated[int, Field(ge=1)] = 1000
    scan_outstanding_files: Annotated[int, Field(ge=1)] = 500
    default_collection: str = "photos"
    # How often a file is tried, the first time included, before a replay has to be forced.
    dead_letter_max_attempts: Annotated[int, Field(ge=1)] = 5

    # The watchdog: longer than the slowest step of a healthy stage.
    stalled_after_seconds: Seconds = 30.0
    restart_after_seconds: Seconds = 120.0

    # For tests: see failpoints.py.
    darkroom_failpoint: str = ""

    log_format: Literal["console", "json"] = "console"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @field_validator("ingest_roots", mode="before")
    @classmethod
    def _split_as_in_path(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(Path(part) for part in value.split(os.pathsep) if part)
        return value

    @property
    def qdrant_address(self) -> str:
        """URL of Qdrant: `QDRANT_URL`, else `QDRANT_HOST` and `QDRANT_PORT`, else empty."""
        if self.qdrant_url:
            return self.qdrant_url
        return f"http://{self.qdrant_host}:{self.qdrant_port}" if self.qdrant_host else ""

    @property
    def uploads_folder(self) -> Path:
        """Where files sent over HTTP are kept: a folder for each job."""
        return self.darkroom_data / "uploads"


def load() -> Settings:
    """Read the environment. Raises FatalError that names each variable that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc']).upper()}: {problem['msg']}" for problem in error.errors()
        )
        raise FatalError(f"The environment has settings that cannot be used: {problems}") from error
