"""What `forget` and `unforget` ask of the API, and what they say."""

import json
import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli.app import app
from tests.cli.command import darkroom
from tests.cli.scripted_api import ScriptedApi

UNTIL = "2026-12-06T01:40:00+00:00"


def answer(**changed: Any) -> dict[str, Any]:
    return {
        "what": "/p/a.jpg: 1 picture in home, with 2 files",
        "pictures": 1,
        "collections": ["home"],
        "paths": ["/p/a.jpg", "/p/b.jpg"],
        "paths_total": 2,
        "dead_letters": 1,
        "kafka": [{"topic": "raw-path", "until": UNTIL}],
        "dry_run": True,
    } | changed


def test_it_says_what_that_is_about_and_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with ScriptedApi({"POST /forget": [(202, answer())]}) as api:

        def said(word: str) -> Result:
            environment = {"DARKROOM_URL": api.url, "COLUMNS": "80"}
            return CliRunner().invoke(app, ["forget", "--path", "/p/a.jpg"], input=word, env=environment)

        no = said("n\n")
        asked_no = [body for _, _, body in api.asked]
        yes = said("y\n")
    assert (no.exit_code, asked_no) == (1, [{"path": "/p/a.jpg", "dry_run": True}])
    assert "/p/b.jpg" in no.output
    assert "Forgotten" not in no.output
    assert yes.exit_code == 0, yes.output
    assert UNTIL in yes.output
    assert api.asked[-1][2] == {"path": "/p/a.jpg", "dry_run": False}


@pytest.mark.parametrize(
    ("command", "body"),
    [
        (["forget", "--content", "a" * 64, "--collection", "home"], {"content": "a" * 64, "collection": "home"}),
        (["forget", "--collection", "home"], {"collection": "home"}),
        (["forget", "--source", "s"], {"source": "s"}),
        (["sources", "remove", "s", "--forget"], {"source": "s"}),
    ],
    ids=["content", "collection", "source", "sources-remove"],
)
def test_scripts_say_yes(tmp_path: Path, command: list[str], body: dict[str, str]) -> None:
    done = answer(dry_run=False)
    with ScriptedApi({"POST /forget": [(202, done)]}) as api:
        run = darkroom(*command, "--yes", "--json", cwd=tmp_path, DARKROOM_URL=api.url)
    assert (run.returncode, json.loads(run.stdout)) == (0, done), run.stderr
    assert [asked for _, _, asked in api.asked] == [body | {"dry_run": True}, body | {"dry_run": False}]


def test_a_dry_run_does_nothing(tmp_path: Path) -> None:
    with ScriptedApi({"POST /forget": [(202, answer())]}) as api:
        run = darkroom("forget", "--source", "s", "--dry-run", cwd=tmp_path, DARKROOM_URL=api.url)
    assert (run.returncode, [body["dry_run"] for _, _, body in api.asked]) == (0, [True])


def test_what_was_forgotten_is_taken_in_again(tmp_path: Path) -> None:
    with ScriptedApi({"POST /unforget": [(202, {"what": "all of it"})]}) as api:
        run = darkroom("unforget", "--path", "a.jpg", "--collection", "c", cwd=tmp_path, DARKROOM_URL=api.url)
    assert (run.returncode, run.stdout) == (0, "all of it.\n"), run.stderr
    assert [body for _, _, body in api.asked] == [{"path": str(tmp_path / "a.jpg"), "collection": "c"}]


def test_a_name_that_is_no_text_is_sent_as_it_is_shown(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xe9t\xe9.jpg")
    (tmp_path / name).touch()
    with ScriptedApi({"POST /forget": [(202, answer(pictures=0))]}) as api:
        run = darkroom("forget", "--path", name, "--yes", cwd=tmp_path, DARKROOM_URL=api.url)
    shown = f"{tmp_path}/\\xe9t\\xe9.jpg"
    assert (run.returncode, [body["path"] for _, _, body in api.asked]) == (0, [shown, shown]), run.stderr


def test_the_pictures_below_a_folder_are_taken_in_again(tmp_path: Path) -> None:
    (tmp_path / "p" / "below").mkdir(parents=True)
    for name in ("a.jpg", "below/b.jpg", "notes.txt"):
        (tmp_path / "p" / name).write_text(name)
    with ScriptedApi({"POST /unforget": [(202, {"what": "it"})]}) as api:
        run = darkroom("unforget", "--path", "p", "--collection", "c", cwd=tmp_path, DARKROOM_URL=api.url)
    assert run.returncode == 0, run.stderr
    assert sorted(body["content"] for _, _, body in api.asked) == sorted(
        sha256(name.encode()).hexdigest() for name in ("a.jpg", "below/b.jpg")
    )
    assert {body["collection"] for _, _, body in api.asked} == {"c"}


def test_something_must_be_named(tmp_path: Path) -> None:
    assert darkroom("forget", cwd=tmp_path).returncode == 2
    assert darkroom("forget", "JOB", "--source", "s", cwd=tmp_path).returncode == 2
    assert darkroom("unforget", cwd=tmp_path).returncode == 2
