import json
from pathlib import Path
from typing import Any

import pytest

from cli import source_checks
from core.settings import Settings
from tests.cli.command import darkroom
from tests.cli.scripted_api import Answer, ScriptedApi, job
from tests.cli.terminal import in_terminal, lines

JOB = job()["job_id"]
SUBMITTED: Answer = (202, {"job_id": JOB, "status": "queued", "message": "Queued."})


def source(**fields: Any) -> dict[str, Any]:
    return {
        "name": "home",
        "folder": "/photos/home",
        "collection": "photos",
        "every_seconds": 21_600,
        "watch": False,
        "watching": None,
        "exclude": ["private/"],
        "caption": False,
        "state": "idle",
        "next_at": "2026-11-29T04:00:00+00:00",
        "last_job": job(outcomes={"stored": 2}),
        "questions": [],
    } | fields


def test_a_folder_is_added_as_it_really_is(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    routes: dict[str, list[Answer]] = {"POST /ingest/roots": [(200, {"roots": []})], "POST /sources": [(201, source())]}
    with ScriptedApi(routes) as api:
        run = darkroom("sources", "add", "link", "--every", "6h", "--exclude", "private/", "--name", "home",
                       cwd=tmp_path, DARKROOM_URL=api.url)  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "every 6h" in run.stdout
    assert api.asked[-1] == (
        "POST /sources",
        "",
        {"folder": str(tmp_path / "photos"), "name": "home", "every_seconds": 21_600, "exclude": ["private/"]},
    )


@pytest.mark.parametrize("every", ["6", "often"])
def test_a_time_that_is_none_is_said(tmp_path: Path, every: str) -> None:
    with ScriptedApi({"POST /ingest/roots": [(200, {"roots": []})]}) as api:
        run = darkroom("sources", "add", ".", "--every", every, cwd=tmp_path, DARKROOM_URL=api.url)
    assert run.returncode == 1
    assert "such as 30m, 6h or 1d" in run.stderr


def test_sources_are_shown(tmp_path: Path) -> None:
    long = source(name="x" * 64, folder="/photos/" + "ü" * 300 + "\x1b[31m", every_seconds=None, last_job=None)
    with ScriptedApi({"GET /sources": [(200, {"sources": [source(), long]})]}) as api:
        _, shown = in_terminal("sources", "list", columns=80, cwd=tmp_path, DARKROOM_URL=api.url)
        as_json = darkroom("sources", "list", "--json", cwd=tmp_path, DARKROOM_URL=api.url)
    text = "\n".join(lines(shown))
    assert "home" in text
    assert "never" in text
    assert "\x1b[31m" not in text
    assert [one["name"] for one in json.loads(as_json.stdout)] == ["home", "x" * 64]


def test_a_source_is_paused_removed_and_shown(tmp_path: Path) -> None:
    routes: dict[str, list[Answer]] = {
        "POST /sources/home/pause": [(200, source(state="paused", next_at=None))],
        "DELETE /sources/home": [(204, {})],
        "GET /sources/none": [(404, {"detail": "There is no source 'none'."})],
    }
    with ScriptedApi(routes) as api:
        paused = darkroom("sources", "pause", "home", cwd=tmp_path, DARKROOM_URL=api.url)
        removed = darkroom("sources", "remove", "home", "--json", cwd=tmp_path, DARKROOM_URL=api.url)
        unknown = darkroom("sources", "show", "none", cwd=tmp_path, DARKROOM_URL=api.url)
    assert "paused" in paused.stdout
    assert json.loads(removed.stdout) == {"removed": "home"}
    assert unknown.returncode == 1
    assert "There is no source 'none'." in unknown.stderr


def test_sync_looks_at_all_that_are_not_paused(tmp_path: Path) -> None:
    routes: dict[str, list[Answer]] = {
        "GET /sources": [(200, {"sources": [source(), source(name="away", state="paused")]})],
        "POST /sources/home/sync": [SUBMITTED],
        f"GET /ingest/status/{JOB}": [(200, job(outcomes={"stored": 2}))],
    }
    with ScriptedApi(routes) as api:
        begun = darkroom("sync", "--json", cwd=tmp_path, DARKROOM_URL=api.url)
        ended = darkroom("sync", "home", "--wait", cwd=tmp_path, DARKROOM_URL=api.url)
    assert json.loads(begun.stdout) == {"jobs": {"home": JOB}}
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("home: ")


def test_a_sync_is_waited_for_while_darkroom_is_away_for_a_moment(tmp_path: Path) -> None:
    """As its job is; the command ended, while what had left was still counted."""
    counting, removed = (job(removals={"state": state}) for state in ("counting", "removed"))
    statuses: list[Answer] = [(200, counting), (503, {"detail": "starting"}), (200, removed)]
    routes: dict[str, list[Answer]] = {
        "POST /sources/home/sync": [SUBMITTED],
        f"GET /ingest/status/{JOB}": statuses,
    }
    with ScriptedApi(routes) as api:
        run = darkroom("sync", "home", "--wait", "--json", cwd=tmp_path, DARKROOM_URL=api.url)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)[0]["removals"]["state"] == "removed"


def test_sync_without_sources_says_what_to_do(tmp_path: Path) -> None:
    with ScriptedApi({"GET /sources": [(200, {"sources": []})]}) as api:
        run = darkroom("sync", cwd=tmp_path, DARKROOM_URL=api.url)
    assert run.returncode == 1
    assert "darkroom sources add FOLDER" in run.stderr


def watching(state: str, reason: str | None, every: int | None = None) -> dict[str, Any]:
    return {"state": state, "folders": 3 if state == "watching" else 0, "every_seconds": every, "reason": reason}


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (None, "no worker watches it yet"),
        (watching("watching", None), "3 folders"),
        (watching("by_schedule", "/mnt/nas is on nfs4", 300), "looked at every 5m in place of that: /mnt/nas is on"),
        (watching("not_possible", "/photos is no folder on nas"), "not possible: /photos is no folder on nas"),
    ],
    ids=["not-yet", "watching", "by-schedule", "not-possible"],
)
def test_how_a_source_is_watched_is_shown(tmp_path: Path, told: dict[str, Any] | None, words: str) -> None:
    with ScriptedApi({"GET /sources/home": [(200, source(watch=True, watching=told))]}) as api:
        run = darkroom("sources", "show", "home", cwd=tmp_path, DARKROOM_URL=api.url, COLUMNS="200")
    assert run.returncode == 0, run.stderr
    assert words in run.stdout
    assert "when it changes and every 6h" in run.stdout


def test_the_doctor_tells_of_sources_that_are_not_kept_in_step() -> None:
    guarded = job(removals={"state": "guarded", "reason": "/photos/a is empty"})
    held = job(removals={"state": "held", "lost": 30})
    found = [
        source(name="fine"),
        source(name="nas", watch=True, watching=watching("by_schedule", "/mnt/nas is on nfs4", 300)),
        source(name="away", watch=True, watching=watching("not_possible", "/away is no folder on nas")),
        source(name="empty", last_job=guarded),
        source(name="many", questions=[held]),  # its last look saw a part
        source(name="off", last_job=job("failed", message="/mnt/off does not answer")),
        source(name="usb", last_job=job(removals={"state": "none", "reason": "what lies behind /photos/usb stays"})),
    ]
    with ScriptedApi({"GET /sources": [(200, {"sources": found})]}) as api:
        checks = list(source_checks.checks(Settings(darkroom_url=api.url)))
    assert [(check.name, check.level, check.detail) for check in checks] == [
        ("Source nas", "note", "looked at every 5m, as /mnt/nas is on nfs4"),
        ("Source away", "problem", "/away is no folder on nas"),
        ("Source empty", "problem", "nothing is removed: /photos/a is empty"),
        ("Source many", "note", "30 pictures would leave, and wait for a yes"),
        ("Source off", "problem", "the last look failed: /mnt/off does not answer"),
        ("Source usb", "problem", "what lies behind /photos/usb stays"),
    ]
    with ScriptedApi({"GET /sources": [(200, {"sources": [source()]})]}) as api:
        assert [check.level for check in source_checks.checks(Settings(darkroom_url=api.url))] == ["ok"]


@pytest.mark.parametrize(
    ("options", "body"),
    [
        (["--every", "never", "--no-watch"], {"watch": False, "every_seconds": None}),
        (
            ["--exclude", "a/", "--exclude", "*.tif", "--every", "1d"],
            {"exclude": ["a/", "*.tif"], "every_seconds": 86_400},
        ),
        (["--no-exclude", "--caption"], {"exclude": [], "caption": True}),
    ],
)
def test_a_source_is_changed_where_that_is_said(tmp_path: Path, options: list[str], body: dict[str, Any]) -> None:
    with ScriptedApi({"PATCH /sources/home": [(200, source())]}) as api:
        run = darkroom("sources", "set", "home", *options, cwd=tmp_path, DARKROOM_URL=api.url)
    assert run.returncode == 0, run.stderr
    assert [asked[2] for asked in api.asked] == [body]


def test_what_a_sync_holds_is_listed_with_what_to_say(tmp_path: Path) -> None:
    def left(path: str, way: str, to: str | None = None, *, lost: bool = False) -> dict[str, Any]:
        return {"path": path, "way": way, "to": to, "lost": lost, "id": "i", "sha256": "s"}

    pages: list[Answer] = [
        (200, {"removals": [left("/p/a.jpg", "gone", lost=True), left("/p/\x1b[1m.jpg", "gone")], "next": "2"}),
        (200, {"removals": [left("/p/b.jpg", "moved", "/p/c.jpg")], "next": None}),
    ]
    held = job(removals={"state": "held", "gone": 2, "moved": 1, "lost": 1, "reason": "1 of 2 pictures would go"})
    routes = {f"GET /ingest/{JOB}/removals": pages, f"GET /ingest/status/{JOB}": [(200, held)]}
    with ScriptedApi(routes) as api:
        run = darkroom("sync", "--show", JOB, cwd=tmp_path, DARKROOM_URL=api.url)
        wrong = darkroom("sync", "home", "--show", JOB, cwd=tmp_path, DARKROOM_URL=api.url)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == [
        "gone     /p/a.jpg",
        "gone     /p/\\u001b[1m.jpg (its picture has another file)",
        "moved    /p/b.jpg -> /p/c.jpg",
    ]
    assert f"--confirm {JOB}" in run.stderr
    assert wrong.returncode == 2
