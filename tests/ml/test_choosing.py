"""A model comes while the service runs, and takes over without a restart; each step and each failure is told."""

import asyncio
import json
import threading
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.errors import RequestError
from embedded.ml import choosing
from embedded.ml.choosing import Choice, Models
from embedded.ml.model import Model, VisualModel
from embedded.models.listing import Listed, listed
from embedded.models.shelf import Shelf
from gateways.ml import ML, ModelsAnswer
from tests.deadlines import HANG_SECONDS
from tests.ml.test_service import service
from tests.models import tiny_families
from tests.models.small_hub import COMMIT, Fault, SmallHub
from tests.up import eventually

DEFAULT = "siglip2-base-patch16-224"
FILES = {("me/tiny", path): content for path, content in tiny_families.files("siglip").items()}
WEIGHTS = "vision/model.onnx"


def table(name: str) -> str:
    """Return an entry under a name, be it one of ours, with the tiny files of the hub."""
    files = "".join(f'"{path}" = {{ at = "{path}" }}\n' for _, path in FILES)
    return f"""
[{name}]
about = "for tests"
family = "siglip"
languages = "colours"
licence = "Apache-2.0"
notice = "Copyright 2026 Someone"
logit_scale = 4.7245
logit_bias = -16.772
repo = "me/tiny"
revision = "{COMMIT}"
[{name}.files]
{files}
"""


@pytest.fixture
def hub() -> Iterator[SmallHub]:
    with SmallHub(dict(FILES)) as hub:
        yield hub


@pytest.fixture
def data(hub: SmallHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "table.toml").write_text(table(DEFAULT) + table("other"))
    monkeypatch.delenv("ML_MODEL", raising=False)
    for name, value in {"DARKROOM_DATA": tmp_path, "HF_HOME": tmp_path / "home", "HF_ENDPOINT": hub.url}.items():
        monkeypatch.setenv(name, str(value))
    # A process that has imported it before has read the environment then, and would ask the public hub.
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
    template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
    return tmp_path


def models(url: str) -> dict[str, Any]:
    answer: dict[str, Any] = httpx.get(f"{url}/api/v1/models").raise_for_status().json()
    return answer


def row(url: str, name: str) -> dict[str, Any]:
    (found,) = [one for one in models(url)["models"] if one["name"] == name]
    assert isinstance(found, dict)
    return found


def ask(url: str, name: str, what: str) -> httpx.Response:
    return httpx.post(f"{url}/api/v1/models/{name}/{what}", timeout=HANG_SECONDS)


def arrived(url: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        arrival = models(url)["arrival"]
        return arrival if arrival["state"] != "running" else None

    return eventually(look, "the model")


def test_a_model_comes_and_takes_over(data: Path, hub: SmallHub) -> None:
    hub.misbehave(WEIGHTS, Fault(delay=1.0, times=2))
    with service() as url:
        before = models(url)
        assert (before["default"], before["fixed"], before["arrival"]) == (DEFAULT, None, None)
        assert before["models"][0] == before["models"][0] | {"name": "visual", "gives": "colours", "in_use": True}
        assert row(url, DEFAULT) == row(url, DEFAULT) | {"here": False, "gives": "meaning", "licence": "Apache-2.0"}

        begun = ask(url, DEFAULT, "get")
        assert (begun.status_code, begun.json()["arrival"]["state"]) == (202, "running")
        assert ask(url, "other", "get").status_code == 409
        assert ask(url, DEFAULT, "use").status_code == 404  # half of a model is none
        assert httpx.get(f"{url}/health").is_success
        total = sum(map(len, FILES.values()))
        assert arrived(url) == {
            "name": DEFAULT, "state": "done", "total": total, "done": total, "note": "", "message": ""
        }  # fmt: skip
        assert row(url, DEFAULT)["here"]
        assert row(url, "visual")["in_use"], "search stays as it is until it is used"

        used = ask(url, DEFAULT, "use")
        assert used.status_code == 200, used.text
        told = httpx.get(f"{url}/api/v1/capabilities").json()
        assert (told["supports_text"], told["embedding_dim"], told["colours_from"]) == (True, 24, None)
        assert (row(url, DEFAULT)["in_use"], row(url, "visual")["in_use"]) == (True, False)
        assert httpx.post(f"{url}/api/v1/embed_text", json={"text": "a bird"}).is_success
        assert ask(url, DEFAULT, "get").status_code == 409
    with service() as url:  # as after a death
        assert row(url, DEFAULT)["in_use"]
        assert ask(url, "visual", "use").is_success
        assert httpx.get(f"{url}/api/v1/capabilities").json()["model_id"] == "darkroom-visual-1"


def test_a_failure_is_told_and_the_next_try_goes_on(data: Path, hub: SmallHub) -> None:
    hub.misbehave("text/model.onnx", Fault(status=403, times=2))
    with service() as url:
        ask(url, DEFAULT, "get")
        failed = arrived(url)
        assert failed["state"] == "failed"
        assert "refuses text/model.onnx" in failed["message"]
        assert "HF_TOKEN" in failed["message"]
        assert row(url, DEFAULT)["partly"] >= len(FILES["me/tiny", WEIGHTS])
        hub.faults.clear()
        ask(url, DEFAULT, "get")
        assert arrived(url)["state"] == "done"
    assert len(hub.ranges(WEIGHTS)) == 1, "what was there did not come again"


def test_a_missing_extra_is_told(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = tmp_path / "missing"
    missing.mkdir()
    (missing / "huggingface_hub.py").write_text("raise ModuleNotFoundError(name='huggingface_hub')")
    monkeypatch.setenv("PYTHONPATH", str(missing))
    with service() as url:
        ask(url, DEFAULT, "get")
        assert "`models`, and huggingface_hub is missing: pip install" in arrived(url)["message"]


def test_a_model_that_cannot_be_loaded_leaves_the_former_one(data: Path) -> None:
    folder = Shelf(data).at("broken")
    tiny_families.write(folder, "siglip")
    (folder / WEIGHTS).write_bytes(b"no model")
    with service() as url:
        refused = ask(url, "broken", "use")
        assert refused.status_code == 409
        assert "broken cannot be used" in refused.json()["detail"]
        assert row(url, "visual")["in_use"]
        assert ask(url, "nowhere", "use").status_code == ask(url, "nowhere", "get").status_code == 404
    assert Shelf(data).chosen is None


def test_a_captioner_takes_its_place_beside_the_model(data: Path) -> None:
    from tests.ml import tiny_models

    shelf = Shelf(data)
    tiny_models.write(shelf.at("words"))
    tiny_families.write(shelf.at("tiny"), "siglip")
    said = json.loads((shelf.at("tiny") / "model.json").read_text())
    (shelf.at("words") / "model.json").write_text(json.dumps(said | {"name": "words", "family": "captioner"}))
    with service() as url:
        for name in ("words", "tiny"):
            assert ask(url, name, "use").is_success
        assert [one["name"] for one in models(url)["models"] if one["in_use"]] == ["tiny", "words"]


def test_what_was_said_at_the_start_stays(data: Path) -> None:
    with service("--model", "visual") as url:
        assert not httpx.get(f"{url}/api/v1/capabilities").json()["chooses_models"]
        assert "visual was chosen at the start" in models(url)["fixed"]
        refused = ask(url, "visual", "use")
        assert (refused.status_code, refused.json()["detail"]) == (409, models(url)["fixed"])


async def test_while_the_first_model_is_loaded_none_is_in_use(data: Path) -> None:
    shelf, goes_on = Shelf(data), threading.Event()

    def load(folder: Path | None, captioner: Path | None) -> Model:
        goes_on.wait(HANG_SECONDS)
        return VisualModel()

    choice = Choice(shelf, load, reserve=0)
    starting = asyncio.create_task(choice.start(shelf.at("tiny")))
    await asyncio.sleep(0)
    found = await choice.models()
    assert (found.loading, [one.name for one in found.models if one.in_use]) == ("tiny", [])
    goes_on.set()
    await starting
    assert (await choice.models()).loading is None


async def test_who_is_told_that_a_model_has_come_is_told_that_it_is_here(
    data: Path, hub: SmallHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page asks no more then: one that is told of the end, and of the shelf as it was before, offers no use of it."""
    choice = Choice(Shelf(data), lambda *_: VisualModel(), reserve=0)
    looked, goes_on = threading.Event(), threading.Event()

    def look_and_wait(shelf: Shelf, used: Collection[str]) -> list[Listed]:
        found = listed(shelf, used)
        looked.set()
        goes_on.wait(HANG_SECONDS)
        return found

    hub.misbehave(WEIGHTS, Fault(delay=1.0))
    choice.get(DEFAULT)
    monkeypatch.setattr(choosing, "listed", look_and_wait)
    asked = asyncio.create_task(choice.models())
    await asyncio.to_thread(looked.wait, HANG_SECONDS)
    monkeypatch.setattr(choosing, "listed", listed)
    async with asyncio.timeout(HANG_SECONDS):
        while (found := told_of(DEFAULT, await choice.models()))[1] == "running":
            await asyncio.sleep(0.05)
    goes_on.set()
    assert found == (True, "done")
    assert told_of(DEFAULT, await asked) == (False, "running")


def told_of(name: str, found: Models) -> tuple[bool, str]:
    assert found.arrival is not None
    return next(one.here for one in found.models if one.name == name), found.arrival.state


async def test_the_gateway_tells_models_and_refusals(data: Path) -> None:
    with service() as url:
        ml = ML(url, timeout=HANG_SECONDS)
        found = await ml.models()
        assert isinstance(found, ModelsAnswer)
        assert [one.name for one in found.models][:2] == ["visual", DEFAULT]
        with pytest.raises(RequestError, match="There is no model 'a b' to fetch") as refused:
            await ml.get_model("a b")
        assert refused.value.status == 404
        assert (await ml.use_model("visual")).models[0].in_use
        await ml.close()
