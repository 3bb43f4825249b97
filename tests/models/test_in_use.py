"""Which model `darkroom up` runs: what is said, else what was chosen, else the one that needs no weights."""

from pathlib import Path

import pytest

from core.errors import FatalError
from core.settings import Settings
from embedded import ports, stack
from embedded.models.shelf import Shelf
from tests.models import tiny_families


def forced(data: Path, **settings: str) -> str | None:
    """Return the model that the ML service is told to run; None: it is the one that was chosen last."""
    planned = stack.plan(Settings.model_validate(settings), data, host="127.0.0.1", port=ports.free_port())
    (ml,) = [part for wave in planned.waves for part in wave if part.name == "ml"]
    return ml.command[ml.command.index("--model") + 1] if "--model" in ml.command else None


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in ("tiny", "other"):
        tiny_families.write(Shelf(tmp_path).at(name), "siglip")
    return tmp_path


def test_it_is_what_is_said_else_what_was_chosen(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ML_MODEL", "KAFKA_BROKERS", "QDRANT_URL", "ML_INFERENCE_SERVICE_URL"):
        monkeypatch.delenv(name, raising=False)
    assert forced(data) is None
    Shelf(data).choose("tiny")
    assert forced(data) is None
    assert Shelf(data).in_use(None) == Shelf(data).at("tiny")
    assert forced(data, ml_model="other") == "other"
    assert forced(data, ml_model="visual") == "visual"
    with pytest.raises(FatalError, match=r"'gone' is not here.*darkroom models get"):
        forced(data, ml_model="gone")
    Shelf(data).at("tiny").rename(data / "elsewhere")
    with pytest.raises(FatalError, match=r"'tiny' is not here"):
        forced(data)
