"""`darkroom collections`: which there are, and how Qdrant keeps them."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import darkroom
from tests.cli.scripted_api import ScriptedApi

WARNING = "The embedded Qdrant compares whole vectors: it does not quantize them."


def collection(name: str, **storage: Any) -> dict[str, Any]:
    kept = {"vectors_on_disk": False, "payload_on_disk": True, "quantization": "none", "warnings": []} | storage
    return {"name": name, "points": 1234, "gone": 7, "dimension": 512, "model_id": "model-a", "storage": kept}


def test_all_are_listed_with_how_they_are_kept(tmp_path: Path) -> None:
    found = [
        collection("home"),
        collection("library", vectors_on_disk=True, quantization="int8", warnings=[WARNING]),
        collection("theirs") | {"model_id": None},
    ]
    with ScriptedApi({"GET /collections": [(200, {"collections": found, "selected": None})]}) as api:
        said = darkroom("collections", "list", cwd=tmp_path, DARKROOM_URL=api.url)
        as_json = darkroom("collections", "list", "--json", cwd=tmp_path, DARKROOM_URL=api.url)
    rows = [line.split() for line in said.stdout.splitlines()]
    assert rows[1] == ["home", "1,234", "7", "512", "memory", "disk", "model-a"]
    assert rows[2] == ["library", "1,234", "7", "512", "disk", "disk", "int8", "model-a"]
    assert "of another program" in said.stdout
    assert f"library: {WARNING}" in said.stdout.replace("\n", " ")
    assert json.loads(as_json.stdout) == found


def test_none_is_said(tmp_path: Path) -> None:
    with ScriptedApi({"GET /collections": [(200, {"collections": [], "selected": None})]}) as api:
        run = darkroom("collections", "list", cwd=tmp_path, DARKROOM_URL=api.url)
    assert (run.returncode, "There is no collection yet" in run.stdout) == (0, True)


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        (["--vectors", "disk", "--quantization", "int8"], {"vectors_on_disk": True, "quantization": "int8"}),
        (["--payload", "memory"], {"payload_on_disk": False}),
    ],
    ids=["vectors", "payload"],
)
def test_how_one_is_kept_is_said_when_it_is_made_and_later(
    tmp_path: Path, options: list[str], asked: dict[str, Any]
) -> None:
    answer = collection("home", **asked)
    routes = {"POST /collections": [(201, answer)], "PATCH /collections/home/storage": [(200, answer)]}
    with ScriptedApi(routes) as api:
        made = darkroom("collections", "create", "home", *options, cwd=tmp_path, DARKROOM_URL=api.url)
        kept = darkroom("collections", "keep", "home", *options, "--json", cwd=tmp_path, DARKROOM_URL=api.url)
    assert (made.returncode, kept.returncode) == (0, 0), made.stderr + kept.stderr
    assert [body for _, _, body in api.asked] == [{"name": "home", "storage": asked}, asked]
    assert "home" in made.stdout
    assert json.loads(kept.stdout) == answer


def test_nothing_to_change_is_a_wrong_command_line(tmp_path: Path) -> None:
    run = darkroom("collections", "keep", "home", cwd=tmp_path, DARKROOM_URL="http://127.0.0.1:1")
    assert (run.returncode, "say what is to change" in run.stderr.replace("\n", " ")) == (2, True)
