"""The commands, against an API that answers what the test tells it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import darkroom
from tests.cli.scripted_api import Answer, ScriptedApi

JOB = "0123456789abcdef0123456789abcdef"


def letter(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"{number}-17",
        "at": "2026-01-02T03:04:05.000+00:00",
        "job_id": JOB,
        "file_id": "f",
        "path": f"/p/{number}.jpg",
        "stage": "prepare",
        "error_class": "ContentError",
        "message": "it is cut off",
        "attempt": 1,
        "restart_topic": "raw-path",
        "state": "open",
    } | fields


def run(**fields: Any) -> dict[str, Any]:
    return {
        "id": "r1", "what": "replay", "state": "running", "dry_run": False,
        "total": 0, "read": 0, "published": 0, "left_out": {}, "message": "",
    } | fields  # fmt: skip


def test_letters_are_listed_page_by_page_with_the_filters(tmp_path: Path) -> None:
    pages: list[Answer] = [
        (200, {"letters": [letter(1)], "next": "c"}),
        (200, {"letters": [letter(2, message="/p/2.jpg is empty.")], "next": None}),
    ]
    with ScriptedApi({"GET /dead-letters": pages}) as api:
        done = darkroom(
            "dead-letters", "list", "--job", JOB, "--error", "ContentError", cwd=tmp_path, DARKROOM_URL=api.url
        )
    assert done.stdout.splitlines() == [
        "1-17      open     prepare ContentError: /p/1.jpg: it is cut off",
        "2-17      open     prepare ContentError: /p/2.jpg is empty.",
    ]
    query = f"limit=200&job={JOB}&error_class=ContentError&state=open"
    assert [asked for _, asked, _ in api.asked] == [query, f"{query}&cursor=c"]


def test_a_letter_is_shown_with_headers_content_and_stack_trace(tmp_path: Path) -> None:
    whole = letter(1, headers={"job_id": JOB}, payload='{"path": "/p/1.jpg"}', stack_trace="Traceback: here")
    with ScriptedApi({"GET /dead-letters/1-17": [(200, whole)]}) as api:
        shown = darkroom("dead-letters", "show", "1-17", cwd=tmp_path, DARKROOM_URL=api.url).stdout
        as_json = darkroom("dead-letters", "show", "1-17", "--json", cwd=tmp_path, DARKROOM_URL=api.url).stdout
    for text in (f"job_id: {JOB}", '{"path": "/p/1.jpg"}', "Traceback: here", "attempt 1"):
        assert text in shown
    assert json.loads(as_json) == whole


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        (["1-17", "2-3"], {"ids": ["1-17", "2-3"], "force": False}),
        (["--job", JOB, "--stage", "hash"], {"job_id": JOB, "stage": "hash", "force": False}),
        (["--all", "--force"], {"all": True, "force": True}),
    ],
)
def test_letters_are_chosen_in_one_way(arguments: list[str], body: dict[str, Any], tmp_path: Path) -> None:
    with ScriptedApi({"POST /dead-letters/replay": [(200, {"done": 2, "refused": 0, "refusals": []})]}) as api:
        done = darkroom("dead-letters", "replay", *arguments, cwd=tmp_path, DARKROOM_URL=api.url)
    assert (done.returncode, done.stdout) == (0, "2 published again.\n")
    assert api.asked == [("POST /dead-letters/replay", "", body)]


@pytest.mark.parametrize("arguments", [[], ["1-17", "--all"], ["--all", "--job", JOB]])
def test_no_choice_or_two_is_a_wrong_command_line(arguments: list[str], tmp_path: Path) -> None:
    with ScriptedApi({}) as api:
        done = darkroom("dead-letters", "drop", *arguments, cwd=tmp_path, DARKROOM_URL=api.url)
    assert done.returncode == 2
    assert api.asked == []


def test_a_refusal_is_told_and_is_a_failure(tmp_path: Path) -> None:
    answer = {"done": 1, "refused": 1, "refusals": [{"id": "1-17", "reason": "It was tried 5 times."}]}
    with ScriptedApi({f"POST /ingest/{JOB}/retry-failed": [(200, answer)]}) as api:
        done = darkroom("retry-failed", JOB, cwd=tmp_path, DARKROOM_URL=api.url)
    assert done.returncode == 1
    assert done.stdout == "1 run again, 1 refused.\n  1-17: It was tried 5 times.\n"


def test_a_dry_run_says_how_many_and_waits_for_the_end(tmp_path: Path) -> None:
    routes: dict[str, list[Answer]] = {
        "POST /replay": [(202, run(dry_run=True))],
        "GET /runs/r1": [
            (200, run(dry_run=True, total=9, read=4)),
            (200, run(dry_run=True, total=9, read=9, published=7, left_out={"end markers": 2}, state="done")),
        ],
    }
    with ScriptedApi(routes) as api:
        done = darkroom(
            *("replay", "raw-path", "--from-offset", "0:5", "--from-offset", "3:1", "--dry-run"),
            cwd=tmp_path,
            DARKROOM_URL=api.url,
        )
    assert (done.returncode, done.stdout) == (0, "7 messages would be published.\n  2 left out: end markers\n")
    assert done.stderr.splitlines() == ["4/9 messages", "9/9 messages"]
    body = {"topic": "raw-path", "dry_run": True, "job_id": None, "from_offsets": {"0": 5, "3": 1}}
    assert api.asked[0] == ("POST /replay", "", body)


def test_a_time_is_that_of_the_place_where_the_command_runs(tmp_path: Path) -> None:
    with ScriptedApi({"POST /replay": [(202, run(state="done"))]}) as api:
        darkroom("replay", "raw-path", "--since", "2026-05-01T13:00", cwd=tmp_path, DARKROOM_URL=api.url, TZ="UTC-2")
        wrong = darkroom("replay", "raw-path", "--since", "yesterday", cwd=tmp_path, DARKROOM_URL=api.url)
    assert [body["since"] for _, _, body in api.asked] == ["2026-05-01T13:00:00+02:00"]
    assert wrong.returncode == 2


def test_a_run_that_fails_says_why(tmp_path: Path) -> None:
    failed = run(state="failed", message="Qdrant does not answer.")
    with ScriptedApi({"POST /collections/cache/rebuild": [(202, failed)]}) as api:
        done = darkroom("rebuild-cache", "--collection", "trip", cwd=tmp_path, DARKROOM_URL=api.url)
    assert done.returncode == 1
    assert "Qdrant does not answer." in done.stderr
    assert api.asked[0][2] == {"collection": "trip"}
