"""The environment is read once, and a wrong value is told by its name."""

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from core.errors import FatalError
from core.settings import STAGES, Settings, load


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(name, raising=False)


def test_without_an_environment_everything_has_a_default() -> None:
    settings = load()
    assert settings.ingest_roots == ()
    assert settings.ml_inference_batch_size is None
    assert settings.darkroom_data == Path(".darkroom")
    assert settings.cpu_processes == os.cpu_count()
    assert (settings.qdrant_distance_metric, settings.qdrant_vector_size) == ("Cosine", 512)
    assert len(set(STAGES)) == 6


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("KAFKA_BROKERS", "a:9092,b:9092", "a:9092,b:9092"),
        ("KAFKA_PARTITIONS", "12", 12),
        ("ML_INFERENCE_BATCH_SIZE", "64", 64),
        ("ML_MODEL_ID", "clip", "clip"),
        ("QDRANT_UPSERT_BATCH_SIZE", "7", 7),
        ("ML_BATCH_LINGER_SECONDS", "0.5", 0.5),
        ("DARKROOM_DATA", "/data", Path("/data")),
        ("LOG_FORMAT", "json", "json"),
        ("kafka_partitions", "3", 3),
        ("SCAN_EXCLUDE", "private/:*.tif\n!keep.tif", ("private/", "*.tif", "!keep.tif")),
        ("TRUSTED_PROXIES", "10.0.0.0/8, ::1", "10.0.0.0/8, ::1"),
        ("DARKROOM_API_KEY", "k" * 16, SecretStr("k" * 16)),
    ],
)
def test_a_variable_sets_the_setting_of_its_name(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: object
) -> None:
    monkeypatch.setenv(name, text)
    assert getattr(load(), name.lower()) == value


@pytest.mark.parametrize(
    ("text", "roots"),
    [
        ("", ()),
        ("/photos", (Path("/photos"),)),
        ("/photos:/more photos", (Path("/photos"), Path("/more photos"))),
        (":/photos::", (Path("/photos"),)),
    ],
)
def test_ingest_roots_are_separated_as_in_path(
    monkeypatch: pytest.MonkeyPatch, text: str, roots: tuple[Path, ...]
) -> None:
    monkeypatch.setenv("INGEST_ROOTS", text)
    assert load().ingest_roots == roots


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("KAFKA_PARTITIONS", "0"),
        ("KAFKA_PARTITIONS", "many"),
        ("ML_INFERENCE_BATCH_SIZE", "0"),
        ("ML_TIMEOUT_SECONDS", "-1"),
        ("QDRANT_UPSERT_BATCH_SIZE", "1e9"),
        ("QDRANT_DISTANCE_METRIC", "cosine-ish"),
        ("LOG_LEVEL", "loud"),
        ("CPU_PROCESSES", "0"),
        ("QDRANT_PORT", "http"),
        ("QDRANT_PORT", "0"),
        ("QDRANT_PORT", "65536"),
        ("ML_BATCH_LINGER_SECONDS", "nan"),
        ("FILE_TIMEOUT_SECONDS", "inf"),
        ("CORS_ORIGINS", "*"),
        ("CORS_ORIGINS", "https://photos.example/page"),
        ("WEBHOOK_URL", "hooks.example/darkroom"),
        ("DARKROOM_API_KEY", "k" * 15),
        ("TRUSTED_PROXIES", "*"),
        ("SCAN_EXCLUDE", "*.tif:bad\\"),
        ("TRUSTED_PROXIES", "proxy.example"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    monkeypatch.setenv(name, text)
    with pytest.raises(FatalError, match=f"The environment has settings that cannot be used: {name}: "):
        load()


def test_all_wrong_values_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_PARTITIONS", "0")
    monkeypatch.setenv("LOG_FORMAT", "xml")
    with pytest.raises(FatalError, match=r"KAFKA_PARTITIONS: .*; LOG_FORMAT: "):
        load()


@pytest.mark.parametrize(
    ("environment", "address"),
    [
        ({}, ""),
        ({"QDRANT_HOST": "db"}, "http://db:6333"),
        ({"QDRANT_HOST": "db", "QDRANT_PORT": "7000"}, "http://db:7000"),
        ({"QDRANT_HOST": "db", "QDRANT_URL": "https://cloud:443"}, "https://cloud:443"),
        ({"QDRANT_PORT": "7000"}, ""),
    ],
)
def test_where_qdrant_is(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], address: str) -> None:
    for name, text in environment.items():
        monkeypatch.setenv(name, text)
    assert load().qdrant_address == address


def test_several_origins_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORS_ORIGINS", "https://a.example, http://127.0.0.1:3000")
    assert load().cors_origins == ("https://a.example", "http://127.0.0.1:3000")


def test_a_webhook_needs_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_URL", "https://hooks.example/darkroom")
    with pytest.raises(FatalError, match="WEBHOOK_SECRET"):
        load()


def test_settings_do_not_change_while_a_process_runs() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load().kafka_partitions = 3  # type: ignore[misc]
