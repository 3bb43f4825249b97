"""What the commands about pictures that are gone ask of the API."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.cli.command import darkroom
from tests.cli.scripted_api import Answer, ScriptedApi

IDS = [str(UUID(int=number)) for number in range(1001)]


def gone(number: int, purge_at: str | None = "2026-12-06T01:40:00+00:00") -> dict[str, Any]:
    return {
        "id": f"{number:036}",
        "sha256": "a" * 64,
        "filename": f"{number}.jpg",
        "path": f"/p/{number}.jpg",
        "gone_at": "2026-11-06T01:40:00+00:00",
        "purge_at": purge_at,
        "kept": purge_at is None,
    }


def test_all_are_listed_page_by_page(tmp_path: Path) -> None:
    pages: list[Answer] = [
        (200, {"images": [gone(1)], "total": 2, "next": "more"}),
        (200, {"images": [gone(2, None)], "total": 2, "next": None}),
    ]
    with ScriptedApi({"GET /images/gone": pages}) as api:
        run = darkroom("gone", "list", "--collection", "home", cwd=tmp_path, DARKROOM_URL=api.url)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == [f"{1:036} 2026-12-06 /p/1.jpg", f"{2:036} for good   /p/2.jpg"]
    assert ["cursor=more" in query for _, query, _ in api.asked] == [False, True]


@pytest.mark.parametrize(
    ("options", "route", "bodies"),
    [
        ([*IDS[:2], "--days", "30"], "keep", [{"ids": IDS[:2], "days": 30}]),
        (["--all", "--for-good"], "keep", [{"all": True, "days": None}]),
        (["--all", "--as-planned"], "release", [{"all": True}]),
        (
            [*IDS, "--days", "1"],
            "keep",
            [{"ids": IDS[:1000], "days": 1}, {"ids": IDS[1000:], "days": 1}],
        ),
    ],
    ids=["some", "all-for-good", "as-planned", "more-than-a-request-takes"],
)
def test_many_are_kept(tmp_path: Path, options: list[str], route: str, bodies: list[Any]) -> None:
    with ScriptedApi({f"POST /images/gone/{route}": [(200, {"count": 2, "images": []})]}) as api:
        run = darkroom("gone", "keep", *options, "--json", cwd=tmp_path, DARKROOM_URL=api.url)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == {"count": 2 * len(bodies)}
    assert [body for _, _, body in api.asked] == bodies


@pytest.mark.parametrize(
    ("options", "body"), [(["--all"], {"gone": True}), (IDS[:2], {"ids": IDS[:2]})], ids=["all", "some"]
)
def test_many_are_forgotten_in_the_active_collection(tmp_path: Path, options: list[str], body: dict[str, Any]) -> None:
    done = {
        "what": "2 pictures of home", "pictures": 2, "collections": ["home"], "paths": [], "paths_total": 0,
        "dead_letters": 0, "kafka": [{"topic": "raw-path", "until": "2026-12-06"}], "dry_run": False,
    }  # fmt: skip
    routes: dict[str, list[Answer]] = {
        "GET /collections/active": [(200, {"name": "home"})],
        "POST /forget": [(202, done)],
    }
    with ScriptedApi(routes) as api:
        run = darkroom("gone", "forget", *options, "--yes", cwd=tmp_path, DARKROOM_URL=api.url)
    assert run.returncode == 0, run.stderr
    meant = body | {"collection": "home"}
    assert [asked for _, _, asked in api.asked[1:]] == [meant | {"dry_run": True}, meant | {"dry_run": False}]


@pytest.mark.parametrize(
    "options", [["keep", "--days", "1"], ["keep", "1", "--all", "--days", "1"], ["keep", "1"], ["forget"]]
)
def test_what_is_meant_must_be_said(tmp_path: Path, options: list[str]) -> None:
    assert darkroom("gone", *options, cwd=tmp_path).returncode == 2
