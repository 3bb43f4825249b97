"""`darkroom models`, as a person uses it, against a small hub."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from embedded import state
from tests import forked
from tests.cli.command import ROOT, darkroom
from tests.cli.scripted_api import ScriptedApi
from tests.deadlines import HANG_SECONDS
from tests.ml import tiny_models
from tests.ml.test_service import service
from tests.models import tiny_families
from tests.models.small_hub import Fault, SmallHub
from tests.up import eventually

FILES = {("me/tiny", path): content for path, content in tiny_families.files("siglip").items()}
BYTES = sum(map(len, FILES.values()))
TABLE = """
[tiny]
about = "for tests"
family = "siglip"
languages = "colours"
licence = "Apache-2.0"
notice = "Copyright 2026 Someone"
repo = "me/tiny"

[tiny.files]
"vision/model.onnx" = { at = "vision/model.onnx" }
"vision/preprocessor_config.json" = { at = "vision/preprocessor_config.json" }
"text/model.onnx" = { at = "text/model.onnx" }
"text/tokenizer.json" = { at = "text/tokenizer.json" }
"""


@pytest.fixture
def hub() -> Iterator[SmallHub]:
    with SmallHub(dict(FILES)) as hub:
        yield hub


class Person:
    def __init__(self, data: Path) -> None:
        self.data = data
        self.environment = {"DARKROOM_DATA": str(data), "HF_HOME": str(data / "home")}

    def models(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return darkroom("models", *arguments, cwd=self.data, **self.environment | environment)

    def row(self, name: str) -> dict[str, Any]:
        rows = json.loads(self.models("list", "--json").stdout)
        (row,) = [row for row in rows if row["name"] == name]
        assert isinstance(row, dict)
        return row


@pytest.fixture
def person(hub: SmallHub, tmp_path: Path) -> Person:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "table.toml").write_text(TABLE)
    person = Person(tmp_path)
    person.environment["HF_ENDPOINT"] = hub.url
    return person


def test_a_model_is_fetched_listed_and_checked(person: Person, hub: SmallHub) -> None:
    before = person.models("list")
    assert re.search(r"^siglip2-base-patch16-224 +785 MB +768 +109 +Apache-2\.0", before.stdout, re.MULTILINE)
    assert re.search(r"^visual +in use", before.stdout, re.MULTILINE)
    assert "tiny: for tests; unverified" in before.stdout

    got = person.models("get", "tiny")
    assert got.returncode == 0, got.stderr
    assert f"tiny is here: {person.data}/models/tiny" in got.stdout
    assert "tiny is unverified" in got.stderr
    assert "tiny is in use from the next `darkroom up` on" in got.stdout
    row = person.row("tiny")
    assert row | {"here": True, "in_use": True, "bytes": BYTES, "dimension": None} == row
    assert row["ms_per_image"] > 0
    assert row["memory_bytes"] >= 0
    assert not person.row("visual")["in_use"]
    assert "Apache License" in (person.data / "models/tiny/LICENSE").read_text()

    assert re.search(r"^ok +tiny \(4 files, unverified", person.models("check").stdout)
    weights = person.data / "models/tiny/vision/model.onnx"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    broken = person.models("check")
    assert broken.returncode == 1
    assert "vision/model.onnx has other content" in broken.stdout
    assert "darkroom models remove tiny" in broken.stdout


def test_once_it_is_here_no_network_is_asked(person: Person, hub: SmallHub) -> None:
    person.models("get", "tiny")
    hub.asked.clear()
    again = person.models("get", "tiny", HF_HUB_OFFLINE="1")
    assert (again.returncode, again.stdout) == (0, f"tiny is here already: {person.data}/models/tiny\n")
    assert person.models("check", "tiny", HF_HUB_OFFLINE="1").returncode == 0
    assert hub.asked == []


def test_a_command_that_was_killed_leaves_nothing_that_is_used_and_the_next_goes_on(
    person: Person, hub: SmallHub, tmp_path: Path
) -> None:
    hub.misbehave("text/model.onnx", Fault(delay=HANG_SECONDS))
    with (tmp_path / "out").open("w") as output:
        process = forked.Process(
            ["-c", "import sys; sys.argv[0] = 'darkroom'; from cli.main import main; main()", "models", "get", "tiny"],
            cwd=person.data,
            environment=dict(os.environ) | {"PYTHONPATH": str(ROOT)} | person.environment,
            output=output,
            errors=output,
        )
        eventually(lambda: hub.ranges("text/model.onnx"), "the second file to be asked for")
        held = person.models("get", "tiny")
        process.kill()
        process.wait(HANG_SECONDS)
    assert held.returncode == 1
    assert re.search(r"brought to .* already, by process \d+", held.stderr.replace("\n", " "))
    assert person.row("tiny")["here"] is False
    assert "'tiny' is not here" in person.models("use", "tiny").stderr
    assert re.search(r"^tiny +partly", person.models("list").stdout, re.MULTILINE)
    hub.asked.clear()
    assert person.models("get", "tiny").returncode == 0
    assert hub.ranges("vision/model.onnx") == []
    assert person.models("check").returncode == 0


def test_offline_nothing_is_asked_and_it_is_said_what_to_do(person: Person, hub: SmallHub) -> None:
    refused = person.models("get", "tiny", HF_HUB_OFFLINE="1")
    assert refused.returncode == 1
    assert "HF_HUB_OFFLINE is set, so tiny cannot be fetched" in refused.stderr
    assert hub.asked == []


def test_a_token_is_used(person: Person, hub: SmallHub) -> None:
    hub.token = "hf_secret"
    assert "HF_TOKEN" in person.models("get", "tiny").stderr
    assert person.models("get", "tiny", HF_TOKEN="hf_secret").returncode == 0


def test_a_proxy_is_used(person: Person, hub: SmallHub) -> None:
    through = {"HF_ENDPOINT": "http://hub.invalid", "HTTP_PROXY": hub.url, "http_proxy": hub.url, "NO_PROXY": ""}
    assert person.models("get", "tiny", **through).returncode == 0
    assert {asked.host for asked in hub.asked} == {"hub.invalid", "localhost"}


def test_a_hub_that_refuses_is_told_in_one_message(person: Person, hub: SmallHub) -> None:
    hub.misbehave("vision/model.onnx", Fault(status=403, method="HEAD", times=9))
    refused = person.models("get", "tiny")
    assert refused.returncode == 1
    assert "refuses vision/model.onnx of me/tiny (403)" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert person.row("tiny")["here"] is False


def test_an_unknown_model_is_told_with_those_that_there_are(person: Person) -> None:
    unknown = person.models("get", "nonsense")
    assert unknown.returncode == 1
    assert (
        "no model 'nonsense' to fetch; these are: siglip2-base-patch16-224, fast, small, captions, tiny"
        in unknown.stderr
    )
    absent = person.models("check", "tiny")
    assert absent.returncode == 1
    assert "'tiny' is not here" in absent.stderr


def test_a_model_of_ones_own_needs_no_entry_to_be_here(person: Person) -> None:
    tiny_families.write(person.data / "models/mine", "siglip")
    assert person.models("get", "mine").stdout == f"mine is here already: {person.data}/models/mine\n"
    assert person.models("use", "mine").returncode == 0
    assert person.row("mine")["in_use"]


@pytest.mark.parametrize("command", ["use", "remove", "check", "export"])
def test_what_is_no_name_is_told(person: Person, command: str) -> None:
    refused = person.models(command, "../photos")
    assert refused.returncode == 1
    assert "'../photos' is no name of a model" in refused.stderr


def test_a_model_that_does_not_fit_is_not_taken_in(person: Person, hub: SmallHub) -> None:
    hub.files["me/tiny", "vision/preprocessor_config.json"] = tiny_families.files("clip")[
        "vision/preprocessor_config.json"
    ]
    refused = person.models("get", "tiny")
    assert refused.returncode == 1
    assert "cannot be used here, so it was not taken in" in refused.stderr
    assert "preprocessor_config.json does not fit: its mean is" in refused.stderr
    assert person.row("tiny")["here"] is False


def test_a_model_is_chosen_and_removed(person: Person) -> None:
    assert "'tiny' is not here" in person.models("use", "tiny").stderr
    person.models("get", "tiny")
    assert "`darkroom up`" in person.models("use", "visual").stdout
    assert person.row("visual")["in_use"]
    person.models("use", "tiny")
    forced = person.models("use", "tiny", ML_MODEL="visual")
    assert "ML_MODEL is visual, and goes before" in forced.stdout
    assert person.row("tiny")["in_use"]
    removed = person.models("remove", "tiny")
    assert re.search(r"tiny is removed, and \d MB are free", removed.stdout)
    assert "from the next start on visual is, which needs no weights" in removed.stdout
    assert not (person.data / "models/tiny").exists()
    assert person.row("visual")["in_use"]
    assert person.models("remove", "tiny").returncode == 1


def test_where_darkroom_runs_a_model_takes_over_at_once(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    person.models("get", "tiny")
    person.models("use", "visual")
    monkeypatch.setenv("DARKROOM_DATA", str(person.data))
    monkeypatch.delenv("ML_MODEL", raising=False)

    def runs(url: str) -> None:
        parts = {"ml": state.PartState(address=url)}
        running = state.RunState(pid=1, addresses={"ML_INFERENCE_SERVICE_URL": url}, parts=parts)
        state.write(person.data, running)

    def used(url: str) -> list[str]:
        return [one["name"] for one in httpx.get(f"{url}/api/v1/models").json()["models"] if one["in_use"]]

    with state.lock(person.data):
        with service() as url:
            runs(url)
            assert used(url) == ["visual"]
            took = person.models("use", "tiny")
            assert "tiny is in use: the ML service that runs here has taken it over" in took.stdout
            assert (used(url), person.row("tiny")["in_use"]) == (["tiny"], True)
            (person.data / "models/tiny/vision/model.onnx").write_bytes(b"no model")
            person.models("use", "visual")
            refused = person.models("use", "tiny")
            assert refused.returncode == 1
            assert "What was in use stays in use." in refused.stderr.replace("\n", " ")
            assert (used(url), person.row("visual")["in_use"]) == (["visual"], True)
            person.models("remove", "tiny")
            person.models("get", "tiny")
            person.models("use", "tiny")
            removed = person.models("remove", "tiny")
            assert "the ML service that runs here has taken over visual" in removed.stdout
            assert used(url) == ["visual"]
            person.models("get", "tiny")
        away = person.models("use", "tiny")
        assert "does not answer now" in away.stderr
        with service("--model", "visual") as url:
            runs(url)
            told = person.models("use", "tiny")
            assert "was told its model as it was started" in told.stderr
            assert "tiny is in use from the next" in told.stdout
            assert used(url) == ["visual"]


def test_a_model_is_carried_to_a_machine_without_a_network(person: Person, hub: SmallHub, tmp_path: Path) -> None:
    person.models("get", "tiny")
    exported = person.models("export", "tiny")
    assert "tiny is in tiny.tar. There: `darkroom models import tiny.tar`" in exported.stdout
    again = person.models("export", "tiny")
    assert (again.returncode, "tiny.tar exists already" in again.stderr) == (1, True)
    stick = tmp_path / "stick"
    stick.mkdir()
    assert f"tiny is in {stick}/tiny.tar" in person.models("export", "tiny", str(stick)).stdout
    there = Person(tmp_path / "there")
    there.data.mkdir()
    there.environment["HF_HUB_OFFLINE"] = "1"
    taken = there.models("import", str(person.data / "tiny.tar"))
    assert taken.returncode == 0, taken.stderr
    assert f"tiny is here: {there.data}/models/tiny" in taken.stdout
    assert there.row("tiny")["in_use"]
    assert "is here already" in there.models("import", str(person.data / "tiny.tar")).stdout
    assert there.models("check").returncode == 0
    alone = there.models("import", str(person.data), "--family", "clip")
    assert (alone.returncode, "give them a --name" in alone.stderr.replace("\n", " ")) == (2, True)


def test_darkroom_up_refuses_a_model_that_is_not_here_before_it_starts_anything(person: Person) -> None:
    refused = darkroom("up", "--model", "tiny", cwd=person.data, **person.environment)
    assert refused.returncode == 1
    assert "'tiny' is not here" in refused.stderr
    assert "darkroom models get NAME" in refused.stderr
    other = darkroom(
        *("up", "--model", "tiny"), cwd=person.data, ML_INFERENCE_SERVICE_URL="http://127.0.0.1:9", **person.environment
    )
    assert "--model is for the ML service of our own" in other.stderr


def test_a_captioner_is_in_use_beside_a_model(person: Person, hub: SmallHub, tmp_path: Path) -> None:
    tiny_models.write(tmp_path / "by-hand")
    names = ("encoder.onnx", "decoder.onnx", "tokenizer.json", "preprocessor_config.json", "generation_config.json")
    (person.data / "models/table.toml").write_text(
        TABLE.replace("[tiny", "[words").replace("siglip", "captioner").partition("\n[words.files]")[0]
        + "\n[words.files]\n"
        + "".join(f'"captioner/{name}" = {{ at = "{name}" }}\n' for name in names)
    )
    for name in names:
        hub.files["me/tiny", name] = (tmp_path / "by-hand/captioner" / name).read_bytes()
    got = person.models("get", "words")
    assert got.returncode == 0, got.stderr
    assert "words is in use from the next `darkroom up` on" in got.stdout
    assert "`darkroom ingest --caption`" in got.stdout
    assert person.row("words")["in_use"]
    assert person.row("visual")["in_use"]
    assert (
        "describes pictures, and does not compare them"
        in darkroom("up", "--model", "words", cwd=person.data, **person.environment).stderr
    )
    person.models("remove", "words")
    assert person.row("words") | {"here": False, "in_use": False} == person.row("words")


def test_doctor_says_the_one_command(person: Person) -> None:
    def said(**environment: str) -> str:
        return darkroom(
            "doctor", cwd=person.data, **person.environment | {"DARKROOM_URL": "http://127.0.0.1:9"} | environment
        ).stdout

    before = said()
    assert re.search(
        r"^note +Model +visual: .*knows no words\n +`darkroom models get` fetches one", before, re.MULTILINE
    )
    assert re.search(r"^problem +Model +The model 'tiny' is not here", said(ML_MODEL="tiny"), re.MULTILINE)
    person.models("get", "tiny")
    assert re.search(r"^ok +Model +tiny, unverified$", said(), re.MULTILINE)


def test_doctor_asks_the_service_that_is_named_what_it_knows(person: Person, hub: SmallHub) -> None:
    told = {"model_id": "m-1", "supports_text": False, "embedding_dim": 3, "device_type": "cuda"}
    with ScriptedApi({"GET /capabilities": [(200, told)], "GET /health": [(200, {})]}) as ml:
        run = darkroom("doctor", cwd=person.data, ML_INFERENCE_SERVICE_URL=ml.url, DARKROOM_URL="http://127.0.0.1:9")
    assert re.search(
        r"^note +ML model +m-1, 3 dimensions, on cuda: it knows no words\n +`darkroom models get`",
        run.stdout,
        re.MULTILINE,
    )


def test_progress_is_told_where_there_is_no_terminal(person: Person) -> None:
    assert re.search(r"^0 MB$", person.models("get", "tiny").stderr, re.MULTILINE)
