"""The one reader of the environment: a typed object that refuses bad values at start.

It is built in `load()`, never at import, and handed on as an argument.
"""

import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Literal, Self, get_args
from urllib.parse import urlsplit

from pathspec import GitIgnoreSpec
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from core.errors import FatalError

Stage = Literal["scan", "hash", "prepare", "embed", "store", "track"]
STAGES: tuple[Stage, ...] = get_args(Stage)

LEAST_KEY_CHARACTERS = 16
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Settings(BaseSettings):
    """Every setting, its default and its unit. The environment variable is the name in capitals."""

    model_config = SettingsConfigDict(
        extra="ignore",
        frozen=True,
        env_ignore_empty=True,  # compose passes `NAME=` on for what its own environment lacks
        hide_input_in_errors=True,  # an error that quotes what was given may quote a secret
    )

    # Where the parts are. Unset: `darkroom up` runs an embedded one and sets it for its children.
    kafka_brokers: str = ""
    qdrant_url: str = ""
    qdrant_host: str = ""
    qdrant_port: Annotated[int, Field(ge=1, le=65535)] = 6333
    ml_inference_service_url: str = ""
    darkroom_url: str = "http://127.0.0.1:8002"

    # Secrets. Unset or empty: without. The API without a key serves this machine only.
    darkroom_api_key: SecretStr | None = None
    qdrant_api_key: SecretStr | None = None
    ml_token: SecretStr | None = None

    # Addresses and networks of proxies before the API that say truly how, and by whom, they were asked (X-Forwarded-…).
    trusted_proxies: str = "127.0.0.1,::1"

    # Web pages of other sites that may use the API from a browser, such as https://photos.example.
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()

    # Who is told of finished jobs; the secret signs what is sent.
    webhook_url: str = ""
    webhook_secret: SecretStr | None = None

    # How Kafka is reached. The TLS files are PEM; without a CA file the system's authorities are trusted.
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    kafka_sasl_username: str = ""
    kafka_sasl_password: SecretStr | None = None
    kafka_ssl_ca_file: Path | None = None
    kafka_ssl_cert_file: Path | None = None
    kafka_ssl_key_file: Path | None = None
    kafka_ssl_key_password: SecretStr | None = None

    # Everything that is kept on disk lies below this folder.
    darkroom_data: Path = Path(".darkroom")

    # Topics. All keyed topics and all tables share the partition count; it cannot change later.
    kafka_partitions: Annotated[int, Field(ge=1, le=1000)] = 8
    kafka_replication_factor: Annotated[int, Field(ge=1)] = 1
    kafka_min_insync_replicas: Annotated[int, Field(ge=1)] = 1
    kafka_retention_hours: Annotated[int, Field(ge=1)] = 168
    kafka_group_prefix: str = "darkroom"
    # More only where every worker reads bundles: those of version 0.1.0 read one file a message.
    kafka_files_per_message: Annotated[int, Field(ge=1, le=256)] = 256
    # A worker that was killed is noticed, and its partitions given to others, after this time.
    kafka_session_timeout_seconds: Annotated[float, Field(ge=1, le=300)] = 10.0

    # ML. The model of `darkroom models` that the service of our own runs; unset: the one that was chosen.
    ml_model: Annotated[str, Field(max_length=100)] | None = None
    ml_provider: Literal["auto", "cpu", "cuda", "tensorrt", "rocm", "openvino", "coreml"] = "auto"
    ml_device_id: Annotated[int, Field(ge=0)] = 0
    # A text encoder that nobody used for so long gives its memory back.
    ml_text_idle_seconds: Seconds = 900.0
    ml_inference_batch_size: Annotated[int, Field(ge=1, le=4096)] | None = None
    ml_model_id: Annotated[str, Field(max_length=255)] | None = None
    ml_timeout_seconds: Seconds = 300.0
    ml_batch_linger_seconds: Seconds = 0.5
    ml_batches_in_flight: Annotated[int, Field(ge=1, le=16)] = 2

    # Qdrant.
    qdrant_upsert_batch_size: Annotated[int, Field(ge=1, le=10_000)] = 100
    qdrant_batch_linger_seconds: Seconds = 0.1
    qdrant_timeout_seconds: Seconds = 60.0
    qdrant_vector_size: Annotated[int, Field(ge=1)] = 512
    qdrant_distance_metric: Literal["Cosine", "Dot", "Euclid", "Manhattan"] = "Cosine"
    # How a new collection is kept.
    qdrant_vectors_on_disk: bool = False
    qdrant_payload_on_disk: bool = True
    qdrant_quantization: Literal["none", "int8"] = "none"

    # Files.
    ingest_roots: Annotated[tuple[Path, ...], NoDecode] = ()
    # Whether who publishes to Kafka may have any folder read that is named, or any file where none is.
    trust_kafka: bool = False
    cpu_processes: Annotated[int, Field(ge=1)] = Field(default_factory=lambda: os.cpu_count() or 1)
    file_timeout_seconds: Seconds = 120.0
    file_memory_bytes: Annotated[int, Field(ge=256 << 20)] = 3 << 30
    max_image_pixels: Annotated[int, Field(ge=1)] = 300_000_000
    max_file_bytes: Annotated[int, Field(ge=1)] = 1 << 30
    salvage_damaged: bool = False
    upload_max_files: Annotated[int, Field(ge=1)] = 1000
    # Previews are kept in DARKROOM_DATA within this; those that nobody looked at for longest go first.
    preview_cache_bytes: Annotated[int, Field(ge=0)] = 2_000_000_000
    # Of the disk of DARKROOM_DATA: no upload takes it.
    disk_reserve_bytes: Annotated[int, Field(ge=0)] = 2_000_000_000
    # What no scan takes in, in gitignore's form; the patterns of a request go before these.
    scan_exclude: Annotated[tuple[str, ...], NoDecode] = ()
    scan_outstanding_files: Annotated[int, Field(ge=1)] = 500
    default_collection: str = "photos"
    # How often a file is tried, the first time included, before a replay has to be forced.
    dead_letter_max_attempts: Annotated[int, Field(ge=1)] = 5

    # So long after its end the files of a job are forgotten.
    job_retention_days: Annotated[float, Field(gt=0, le=36_500)] = 30.0
    # So long after its last file has left a picture is kept; then it is purged, with all that is known of it.
    purge_after_days: Annotated[float, Field(gt=0, le=36_500)] = 30.0

    # The watchdog: longer than the slowest step of a healthy stage.
    stalled_after_seconds: Seconds = 30.0
    restart_after_seconds: Seconds = 120.0

    # For tests: see failpoints.py.
    darkroom_failpoint: str = ""

    # Where workers show their metrics: the first free port from this one on. Unset: nowhere.
    metrics_host: str = "127.0.0.1"
    metrics_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    # Where traces go, over OTLP/HTTP. Unset: nowhere.
    otel_exporter_otlp_endpoint: str = ""
    otel_service_name: str = "darkroom"

    log_format: Literal["console", "json"] = "console"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @field_validator("ingest_roots", mode="before")
    @classmethod
    def _split_as_in_path(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(Path(part) for part in value.split(os.pathsep) if part)
        return value

    @field_validator("scan_exclude", mode="before")
    @classmethod
    def _split_into_patterns(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part for part in re.split(f"[{os.pathsep}\n]", value) if part)
        return value

    @field_validator("scan_exclude")
    @classmethod
    def _are_patterns(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        GitIgnoreSpec.from_lines(value)  # says which is none
        return value

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split_at_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            if not re.fullmatch(r"https?://[A-Za-z0-9.\-\[\]:]+", one):
                raise ValueError(f"{one!r} is no origin: write scheme, host and port, such as https://photos.example")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        for one in filter(None, value.split(",")):
            ipaddress.ip_network(one.strip())  # says what is wrong
        return value

    @field_validator("darkroom_api_key")
    @classmethod
    def _cannot_be_guessed(cls, value: SecretStr | None) -> SecretStr | None:
        if value and 0 < len(value.get_secret_value()) < LEAST_KEY_CHARACTERS:
            raise ValueError(
                f"a key of fewer than {LEAST_KEY_CHARACTERS} characters can be guessed: take a longer one, such as "
                "that of `openssl rand -hex 32`"
            )
        return value

    @field_validator("darkroom_api_key", "qdrant_api_key", "ml_token")
    @classmethod
    def _fits_in_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not re.fullmatch(r"[!-~]+", value.get_secret_value()):
            raise ValueError("it holds a space, a line break or a letter beyond ASCII, so no HTTP header can carry it")
        return value

    @field_validator(
        "qdrant_url", "ml_inference_service_url", "darkroom_url", "otel_exporter_otlp_endpoint", "webhook_url"
    )
    @classmethod
    def _carries_no_password(cls, value: str) -> str:
        if "@" in urlsplit(value).netloc:
            raise ValueError("a URL is shown in logs: leave user and password out, and set the key or token instead")
        return value

    @field_validator("webhook_url")
    @classmethod
    def _is_http(cls, value: str) -> str:
        if value and urlsplit(value).scheme not in {"http", "https"}:
            raise ValueError("it is no URL: write http:// or https:// before it")
        return value

    @model_validator(mode="after")
    def _webhooks_are_signed(self) -> Self:
        if self.webhook_url and not self.webhook_secret:
            raise ValueError("WEBHOOK_URL needs WEBHOOK_SECRET: whoever gets a message must be able to tell it is ours")
        return self

    @model_validator(mode="after")
    def _kafka_settings_fit(self) -> Self:
        if self.kafka_security_protocol.startswith("SASL") and not (
            self.kafka_sasl_username and self.kafka_sasl_password
        ):
            raise ValueError(
                f"KAFKA_SECURITY_PROTOCOL={self.kafka_security_protocol} needs KAFKA_SASL_USERNAME and "
                "KAFKA_SASL_PASSWORD"
            )
        if self.kafka_ssl_key_file and not self.kafka_ssl_cert_file:
            raise ValueError("KAFKA_SSL_KEY_FILE needs KAFKA_SSL_CERT_FILE")
        if self.kafka_min_insync_replicas > self.kafka_replication_factor:
            raise ValueError("KAFKA_MIN_INSYNC_REPLICAS is above KAFKA_REPLICATION_FACTOR: nothing could be written")
        return self

    def group(self, stage: Stage) -> str:
        """Return the name of a stage's consumer group."""
        return f"{self.kafka_group_prefix}-{stage}"

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


def reveal(secret: SecretStr | None) -> str | None:
    """Return a secret's text, for the one call that sends it; None where it is not set."""
    return secret.get_secret_value() if secret else None


def load() -> Settings:
    """Read the environment. Raises FatalError that names each variable that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        problems = "; ".join(
            ": ".join(filter(None, [".".join(str(part) for part in problem["loc"]).upper(), problem["msg"]]))
            for problem in error.errors(include_input=False)
        )
        raise FatalError(f"The environment has settings that cannot be used: {problems}") from error
