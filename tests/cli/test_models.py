"""`darkroom models`, as a person uses it, against a small hub."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command import darkroom
from tests.models.small_hub import Fault, SmallHub

FILES = {("me/tiny", "vision.onnx"): b"v" * 5000, ("me/tiny", "config.json"): b"{}"}
TABLE = """
[tiny]
about = "for tests"
family = "siglip"
languages = "colours"
licence = "Apache-2.0"
copyright = "Copyright 2026 Someone"
repo = "me/tiny"

[tiny.files]
"vision/model.onnx" = { at = "vision.onnx" }
"vision/preprocessor_config.json" = { at = "config.json" }
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

    def row(self, name: str) -> dict[str, object]:
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
    assert re.search(r"^siglip2-base-patch16-224 +785 MB +768 +many \(109\) +Apache-2\.0", before.stdout, re.MULTILINE)
    assert re.search(r"^visual +in use", before.stdout, re.MULTILINE)
    assert "tiny is unverified" in before.stderr

    got = person.models("get", "tiny")
    assert got.returncode == 0, got.stderr
    assert f"tiny is here: {person.data}/models/tiny" in got.stdout
    assert "tiny is unverified" in got.stderr
    assert person.row("tiny") | {"here": True, "bytes": 5002} == person.row("tiny")
    assert "Apache License" in (person.data / "models/tiny/LICENSE").read_text()

    assert re.search(r"^ok +tiny \(2 files, unverified", person.models("check").stdout)
    (person.data / "models/tiny/vision/model.onnx").write_bytes(b"w" * 5000)
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
    hub.misbehave("vision.onnx", Fault(status=403, method="HEAD", times=9))
    refused = person.models("get", "tiny")
    assert refused.returncode == 1
    assert "refuses vision.onnx of me/tiny (403)" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert person.row("tiny")["here"] is False


def test_an_unknown_model_is_told_with_those_that_there_are(person: Person) -> None:
    unknown = person.models("get", "nonsense")
    assert unknown.returncode == 1
    assert "no model 'nonsense' to fetch; these are: siglip2-base-patch16-224, fast, small, tiny" in unknown.stderr
    absent = person.models("check", "tiny")
    assert absent.returncode == 1
    assert "'tiny' is not here" in absent.stderr


def test_progress_is_told_where_there_is_no_terminal(person: Person) -> None:
    assert re.search(r"^0 MB$", person.models("get", "tiny").stderr, re.MULTILINE)
