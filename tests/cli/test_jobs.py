import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from embedded import ports
from rules.local_token import new_token
from tests.cli.command import darkroom
from tests.cli.scripted_api import Answer, ScriptedApi, job
from tests.cli.terminal import in_terminal, lines

JOB = job()["job_id"]
SUBMITTED: Answer = (202, {"job_id": JOB, "status": "queued", "message": "Queued."})
ROOTS: Answer = (200, {"roots": []})


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "my photos"
    folder.mkdir()
    return folder


def ingest_routes(*statuses: Answer) -> dict[str, list[Answer]]:
    return {
        "POST /ingest/roots": [ROOTS],
        "POST /ingest/scan": [SUBMITTED],
        f"GET /ingest/status/{JOB}": list(statuses),
    }


def test_ingest_wait_json_gives_the_final_status_alone_on_stdout(photos: Path) -> None:
    final = job(outcomes={"stored": 2, "duplicate": 1})
    running = job("running", total_files=3, outcomes={"stored": 1}, rate=4.0, eta_seconds=95.0, waiting_for="ml")
    with ScriptedApi(ingest_routes((200, running), (200, final))) as api:
        run = darkroom("ingest", str(photos), "--wait", "--json", cwd=photos, DARKROOM_URL=api.url)
    assert run.returncode == 0
    assert json.loads(run.stdout)["outcomes"]["stored"] == 2
    assert run.stdout.count("\n") == 1
    assert run.stderr.splitlines() == [
        "1/3 files, waits for ml, 4.0 files/s, 2 min left",
        "3/3 files, completed",
    ]


def test_ingest_allows_and_names_every_path_as_it_really_is(photos: Path, tmp_path: Path) -> None:
    one = tmp_path / "one.jpg"
    one.write_bytes(b"not looked at here")
    (tmp_path / "link").symlink_to(photos)
    with ScriptedApi(ingest_routes()) as api:
        run = darkroom(
            "ingest", "link", "one.jpg", "--collection", "trip", "--caption", cwd=tmp_path, DARKROOM_URL=api.url
        )
    assert run.returncode == 0
    assert JOB in run.stdout
    paths = [str(photos), str(one)]
    assert [body["path"] for route, _, body in api.asked if route == "POST /ingest/roots"] == paths
    assert api.asked[-1] == (
        "POST /ingest/scan",
        "caption=true",
        {"directory_paths": paths, "collection": "trip"},
    )


def test_an_api_that_takes_us_for_a_stranger_decides_by_its_own_roots(photos: Path) -> None:
    refusal = (403, {"detail": "Folders can be allowed from this machine only."})
    with ScriptedApi(ingest_routes() | {"POST /ingest/roots": [refusal]}) as api:
        run = darkroom("ingest", str(photos), cwd=photos, DARKROOM_URL=api.url)
    assert run.returncode == 0
    assert api.asked[-1][0] == "POST /ingest/scan"


def test_who_can_read_the_token_allows_the_folder(photos: Path, tmp_path: Path) -> None:
    file = tmp_path / "local-token"
    refusal = (403, {"detail": "Only a user of this machine can allow a folder.", "token_file": str(file)})
    with ScriptedApi(ingest_routes() | {"POST /ingest/roots": [refusal, ROOTS]}) as api:
        port = int(api.url.rpartition(":")[2])
        file.write_text(new_token(port))
        run = darkroom("ingest", str(photos), cwd=photos, DARKROOM_URL=api.url)
        assert run.returncode == 0
        assert api.headers[1]["darkroom-local-token"] == file.read_text()
        assert api.asked[1][2] == {"path": str(photos)}


# Named, as processes that share the tests must know them by the same names.
@pytest.mark.parametrize(
    "secret", ["ssh-rsa AAAA", new_token(1), "x" * 10_000, "caf\u00e9"], ids=["key", "another port's", "long", "text"]
)
def test_nothing_but_the_token_for_that_address_leaves_a_file(photos: Path, tmp_path: Path, secret: str) -> None:
    """Whatever answers there may name any file."""
    file = tmp_path / "secret"
    file.write_text(secret)
    refusal = (403, {"detail": "Only a user of this machine.", "token_file": str(file)})
    with ScriptedApi(ingest_routes() | {"POST /ingest/roots": [refusal]}) as api:
        run = darkroom("ingest", str(photos), cwd=photos, DARKROOM_URL=api.url)
        assert run.returncode == 0
        assert secret not in str([dict(headers) for headers in api.headers])
        assert [route for route, _, _ in api.asked] == ["POST /ingest/roots", "POST /ingest/scan"]


@pytest.mark.parametrize("state", ["completed_with_errors", "failed", "cancelled"])
def test_ingest_wait_exits_with_1_unless_the_job_is_completed(state: str, photos: Path) -> None:
    with ScriptedApi(ingest_routes((200, job(state, outcomes={"stored": 1, "failed": 1})))) as api:
        run = darkroom("ingest", str(photos), "--wait", "--json", cwd=photos, DARKROOM_URL=api.url)
    assert run.returncode == 1
    assert json.loads(run.stdout)["status"] == state


def test_ingest_wait_sits_out_a_restart_of_the_api(photos: Path) -> None:
    away = (503, {"detail": "starting"})
    with ScriptedApi(ingest_routes((200, job("queued")), away, away, (200, job(outcomes={"stored": 1})))) as api:
        run = darkroom("ingest", str(photos), "--wait", "--json", cwd=photos, DARKROOM_URL=api.url)
    assert run.returncode == 0


def test_a_path_that_is_missing_is_said_before_anything_is_asked(tmp_path: Path) -> None:
    with ScriptedApi(ingest_routes()) as api:
        run = darkroom("ingest", "nowhere", cwd=tmp_path, DARKROOM_URL=api.url)
    assert run.returncode == 1
    assert "There is no nowhere" in run.stderr
    assert not api.asked


def test_a_refusal_is_said_in_the_words_of_the_api(photos: Path) -> None:
    refusal = (422, {"detail": "A collection cannot be called 'a b'."})
    with ScriptedApi(ingest_routes() | {"POST /ingest/scan": [refusal]}) as api:
        run = darkroom("ingest", str(photos), "--collection", "a b", cwd=photos, DARKROOM_URL=api.url)
    assert run.returncode == 1
    assert run.stderr == "darkroom: A collection cannot be called 'a b'.\n"


@pytest.mark.parametrize("command", [["jobs"], ["status", "x"], ["files", "x"]])
def test_nobody_there_is_one_clear_line(command: list[str], tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{ports.free_port()}"
    run = darkroom(*command, cwd=tmp_path, DARKROOM_URL=url)
    assert run.returncode == 3
    assert run.stdout == ""
    assert run.stderr.startswith(f"darkroom: No Darkroom answers at {url}: ")
    assert "`darkroom up`" in run.stderr
    assert run.stderr.count("\n") == 1


def test_another_program_on_the_port_is_said(tmp_path: Path) -> None:
    with ScriptedApi({"GET /ingest/recent_jobs": [(200, ["what?"])]}) as api:
        run = darkroom("jobs", cwd=tmp_path, DARKROOM_URL=api.url)
    assert run.returncode == 3
    assert "is not this Darkroom" in run.stderr
    with ScriptedApi({"GET /ingest/recent_jobs": [(404, {"detail": "Not Found"})]}) as api:
        run = darkroom("jobs", cwd=tmp_path, DARKROOM_URL=api.url)
    assert (run.returncode, "is not this Darkroom" in run.stderr) == (3, True)


def test_jobs_fit_in_80_columns_with_whole_ids(tmp_path: Path) -> None:
    jobs = [
        job("completed_with_errors", outcomes={"stored": 1_234_567, "failed": 1}),
        job("scanning", total_files=900_000, total_known=False, outcomes={"stored": 123_456}),
    ]
    with ScriptedApi({"GET /ingest/recent_jobs": [(200, {"jobs": jobs})]}) as api:
        run = darkroom("jobs", cwd=tmp_path, DARKROOM_URL=api.url)
    header, *lines = run.stdout.splitlines()
    assert header.split() == ["JOB", "STATUS", "FILES", "AGE"]
    assert [line.split()[:3] for line in lines] == [
        [JOB, "completed_with_errors", "1234568/1234568"],
        [JOB, "scanning", "123456/900000+"],
    ]
    assert max(map(len, run.stdout.splitlines())) <= 80


def test_jobs_are_found_by_the_filters_of_the_api(tmp_path: Path) -> None:
    with ScriptedApi({"GET /ingest/recent_jobs": [(200, {"jobs": []})]}) as api:
        chosen = ["--find", "my trip", "--show", "errors", "--collection", "home", "--limit", "5"]
        none_like_that = darkroom("jobs", *chosen, cwd=tmp_path, DARKROOM_URL=api.url)
        none_at_all = darkroom("jobs", cwd=tmp_path, DARKROOM_URL=api.url)
        wrong = darkroom("jobs", "--show", "lost", cwd=tmp_path, DARKROOM_URL=api.url)
    assert parse_qs(api.asked[0][1]) == {
        "find": ["my trip"],
        "show": ["errors"],
        "collection": ["home"],
        "limit": ["5"],
    }
    assert none_like_that.stdout.startswith("No job is like that.")
    assert none_at_all.stdout.startswith("No jobs yet.")
    assert wrong.returncode == 2


def test_jobs_show_their_folders(tmp_path: Path) -> None:
    jobs = [job(sources=["/photos/2024"]), job(sources=["/a", "/b", "/c"]), job()]
    with ScriptedApi({"GET /ingest/recent_jobs": [(200, {"jobs": jobs})]}) as api:
        run = darkroom("jobs", cwd=tmp_path, DARKROOM_URL=api.url)
        _, written = in_terminal("jobs", columns=80, cwd=tmp_path, DARKROOM_URL=api.url)
    header, *rows = run.stdout.splitlines()
    assert header.split() == ["JOB", "STATUS", "FILES", "AGE", "FOLDER"]
    assert [row.rstrip()[-14:].strip() for row in rows[:2]] == ["/photos/2024", "/a and 2 more"]
    assert "/photos/2024" in written
    assert "/a and 2 more" in written


def test_the_summary_says_what_was_not_taken_in(tmp_path: Path) -> None:
    left_out = {"files": 8, "folders": 3, "more": False}
    final = job(outcomes={"stored": 1, "skipped": 12}, skipped_kinds={".txt": 5, ".mov": 7}, left_out=left_out)
    with ScriptedApi(ingest_routes((200, final))) as api:
        run = darkroom("ingest", str(tmp_path), "--wait", cwd=tmp_path, DARKROOM_URL=api.url)
        later = darkroom("status", JOB, cwd=tmp_path, DARKROOM_URL=api.url)
    for shown in (run.stdout, later.stdout):
        assert "12 files skipped: .mov 7, .txt 5" in shown
        assert "left out: 8 files in 3 folders" in shown


def test_ingest_sends_what_is_to_be_left_out(photos: Path) -> None:
    with ScriptedApi(ingest_routes()) as api:
        run = darkroom(
            "ingest", str(photos), "--exclude", "*.tif", "--exclude", "private/", cwd=photos, DARKROOM_URL=api.url
        )
    assert run.returncode == 0
    assert api.asked[-1][2] == {"directory_paths": [str(photos)], "exclude": ["*.tif", "private/"]}


def test_status_can_wait_for_the_end(tmp_path: Path) -> None:
    running, final = job("running", total_files=3, outcomes={"stored": 1}), job("failed", outcomes={"failed": 3})
    with ScriptedApi({f"GET /ingest/status/{JOB}": [(200, running), (200, final)]}) as api:
        run = darkroom("status", JOB, "--wait", "--json", cwd=tmp_path, DARKROOM_URL=api.url)
    assert (run.returncode, json.loads(run.stdout)["status"]) == (1, "failed")
    assert run.stderr.splitlines()[0].startswith("1/3 files")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("pause", "Paused. "),
        ("resume", "It goes on. "),
        ("cancel", "It is being cancelled. "),
        ("close", ""),
        ("forget", ""),
    ],
)
def test_a_job_is_told_what_to_do(command: str, said: str, tmp_path: Path) -> None:
    answer = {"job_id": JOB, "status": "paused", "message": "As you [wish]."}
    with ScriptedApi({f"POST /ingest/{JOB}/{command}": [(202, answer)]}) as api:
        shown = darkroom(command, JOB, cwd=tmp_path, DARKROOM_URL=api.url)
        as_json = darkroom(command, JOB, "--json", cwd=tmp_path, DARKROOM_URL=api.url)
    assert (shown.returncode, shown.stdout) == (0, f"{said}As you [wish].\n")
    assert json.loads(as_json.stdout) == answer
    with ScriptedApi({f"POST /ingest/{JOB}/{command}": [(409, {"detail": "It is too late."})]}) as api:
        refused = darkroom(command, JOB, cwd=tmp_path, DARKROOM_URL=api.url)
    assert (refused.returncode, refused.stderr) == (1, "darkroom: It is too late.\n")


def test_status_shows_what_a_running_job_waits_for(tmp_path: Path) -> None:
    status = job(
        "running",
        total_files=10,
        outcomes={"stored": 4, "failed": 1},
        waiting_for="qdrant",
        stages={"store": {"done": 4, "in_flight": 5}},
        logs=["first line", *(f"line {n}" for n in range(5))],
    )
    with ScriptedApi({f"GET /ingest/status/{JOB}": [(200, status)]}) as api:
        shown = darkroom("status", JOB, cwd=tmp_path, DARKROOM_URL=api.url)
        as_json = darkroom("status", JOB, "--json", cwd=tmp_path, DARKROOM_URL=api.url)
    lines = dict(line.split(maxsplit=1) for line in shown.stdout.splitlines() if not line.startswith(" "))
    assert lines["Status"].strip() == "running"
    assert lines["Files"].strip() == "5/10  waits for qdrant"
    assert lines["Outcomes"].strip() == "4 stored, 0 cached, 0 duplicate, 0 unchanged, 0 skipped, 1 failed"
    assert shown.stdout.splitlines()[-5:] == [f"  line {n}" for n in range(5)]
    assert "store 5" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80
    assert json.loads(as_json.stdout)["waiting_for"] == "qdrant"


def test_an_unknown_job_is_said(tmp_path: Path) -> None:
    with ScriptedApi({"GET /ingest/status/x": [(404, {"detail": "There is no job 'x'."})]}) as api:
        run = darkroom("status", "x", cwd=tmp_path, DARKROOM_URL=api.url)
    assert (run.returncode, run.stderr) == (1, "darkroom: There is no job 'x'.\n")


def test_files_come_page_by_page_and_whole(tmp_path: Path) -> None:
    long = "/photos/" + "very long folder name/" * 8 + "[red]1.jpg"
    pages = [
        (200, {"files": [{"path": long, "outcome": "stored", "reason": None, "sha256": None}], "next": "c1"}),
        (
            200,
            {
                "files": [
                    {"path": "/p/2.txt", "outcome": "skipped", "reason": "not listed", "sha256": None},
                    {"path": "/p/3.jpg", "outcome": "failed", "reason": "/p/3.jpg is damaged.", "sha256": None},
                    {"path": "/p/4.jpg", "outcome": None, "reason": None, "sha256": None},
                ],
                "next": None,
            },
        ),
    ]
    with ScriptedApi({f"GET /ingest/{JOB}/files": list(pages)}) as api:
        run = darkroom("files", JOB, "--outcome", "failed", cwd=tmp_path, DARKROOM_URL=api.url)
        assert run.stdout.splitlines() == [
            f"stored    {long}",
            "skipped   /p/2.txt: not listed",
            "failed    /p/3.jpg is damaged.",
            "pending   /p/4.jpg",
        ]
        assert [query for _, query, _ in api.asked] == [
            "limit=1000&outcome=failed",
            "limit=1000&outcome=failed&cursor=c1",
        ]
    with ScriptedApi({f"GET /ingest/{JOB}/files": list(pages)}) as api:
        run = darkroom("files", JOB, "--json", cwd=tmp_path, DARKROOM_URL=api.url)
        assert [json.loads(line)["path"] for line in run.stdout.splitlines()][:2] == [long, "/p/2.txt"]
    with ScriptedApi({f"GET /ingest/{JOB}/files": list(pages)}) as api:
        _, written = in_terminal("files", JOB, columns=60, cwd=tmp_path, DARKROOM_URL=api.url)
    header, *shown = [line for line in lines(written) if line]
    assert max(map(len, [header, *shown])) <= 60
    column = header.index("FILE")
    assert [line[:column].strip() for line in shown if line[:column].strip()] == [
        "stored", "skipped", "failed", "pending",
    ]  # fmt: skip
    # Folded at spaces, which the screen does not show at the end of a line.
    said = "".join(line[column:] for line in shown).replace(" ", "")
    assert said.startswith(long.replace(" ", "") + "/p/2.txt")


def test_what_a_terminal_would_obey_is_shown(tmp_path: Path) -> None:
    """Anyone may have chosen the name of a file, and a terminal can be told much by one."""
    evil = "/p/\x1b]0;title\x07\x1b[2J\x9b5m\r\n\u202egpj.exe \U0001f468\u200d\U0001f469.jpg"
    shown = "/p/\\u001b]0;title\\u0007\\u001b[2J\\u009b5m\\u000d\\u000a\\u202egpj.exe \U0001f468\u200d\U0001f469.jpg"
    file = {"path": evil, "outcome": "failed", "reason": f"{evil} is damaged.", "sha256": None}
    routes: dict[str, list[Any]] = {
        f"GET /ingest/{JOB}/files": [(200, {"files": [file], "next": None})],
        f"GET /ingest/status/{JOB}": [(200, job("failed", sources=[evil], sources_total=1, logs=[evil]))],
        "GET /ingest/recent_jobs": [(200, {"jobs": [job(sources=[evil], sources_total=1)], "next": None})],
        "GET /ingest/status/x": [(404, {"detail": f"There is no {evil}."})],
    }
    with ScriptedApi(routes) as api:
        run = darkroom("files", JOB, cwd=tmp_path, DARKROOM_URL=api.url)
        assert run.stdout == f"failed    {shown} is damaged.\n"
        assert shown in darkroom("jobs", cwd=tmp_path, DARKROOM_URL=api.url).stdout
        run = darkroom("status", "x", cwd=tmp_path, DARKROOM_URL=api.url)
        assert run.stderr.startswith("darkroom: There is no /p/\\u001b]0;title")
        for command in (["files", JOB], ["status", JOB], ["jobs"], ["status", "x"]):
            _, written = in_terminal(*command, columns=80, cwd=tmp_path, DARKROOM_URL=api.url)
            assert not {"\x07", "\x9b", "\u202e"} & set(written), command
            assert "\x1b]" not in written
            assert "\x1b[2J" not in written
        run = darkroom("files", JOB, "--json", cwd=tmp_path, DARKROOM_URL=api.url)
        assert json.loads(run.stdout)["path"] == evil


def test_reread_begins_a_job_and_can_wait_for_its_end(tmp_path: Path) -> None:
    final = job(outcomes={"cached": 2, "unchanged": 1})
    routes: dict[str, list[Answer]] = {
        "POST /collections/my%20trip/reread": [SUBMITTED],
        f"GET /ingest/status/{JOB}": [(200, final)],
    }
    with ScriptedApi(routes) as api:
        begun = darkroom("reread", "my trip", cwd=tmp_path, DARKROOM_URL=api.url)
        waited = darkroom("reread", "my trip", "--wait", "--json", cwd=tmp_path, DARKROOM_URL=api.url)
        missing = darkroom("reread", "other", cwd=tmp_path, DARKROOM_URL=api.url)
    assert (begun.returncode, JOB in begun.stdout) == (0, True)
    assert (waited.returncode, json.loads(waited.stdout)["outcomes"]["cached"]) == (0, 2)
    assert (missing.returncode, "no POST /collections/other/reread" in missing.stderr) == (1, True)


def test_a_collection_is_embedded_anew_and_captioned_as_a_job(tmp_path: Path) -> None:
    final = job(outcomes={"stored": 3})
    routes: dict[str, list[Answer]] = {
        "POST /collections/home/reembed": [SUBMITTED],
        "POST /collections/home/caption": [SUBMITTED],
        f"GET /ingest/status/{JOB}": [(200, final)],
    }
    with ScriptedApi(routes) as api:
        command = ("reembed", "home", "--model", "two", "--caption", "--accept-failed")
        begun = darkroom(*command, cwd=tmp_path, DARKROOM_URL=api.url)
        waited = darkroom("caption", "home", "--wait", "--json", cwd=tmp_path, DARKROOM_URL=api.url)
        nameless = darkroom("reembed", "home", cwd=tmp_path, DARKROOM_URL=api.url)
        asked = [body for route, _, body in api.asked if route.endswith("/reembed")]
    assert (begun.returncode, JOB in begun.stdout) == (0, True)
    assert asked == [{"model": "two", "caption": True, "accept_failed": True}]
    assert (waited.returncode, json.loads(waited.stdout)["outcomes"]["stored"]) == (0, 3)
    assert (nameless.returncode, "--model" in nameless.stderr) == (2, True)


def test_doctor_counts_what_the_pictures_of_a_collection_lack(tmp_path: Path) -> None:
    counts = {"name": "home", "points": 9, "dimension": 4, "model_id": "m", "of_model": 9, "without_caption": 9,
              "from_thumbnail": 0, "archived": 0, "filling": None, "filled": 0}  # fmt: skip
    lacking = counts | {"of_model": 7, "without_caption": 2, "from_thumbnail": 1, "filling": "n", "filled": 3}
    with ScriptedApi({"GET /collections/home/check": [(200, counts), (200, lacking)]}) as api:
        well = darkroom("doctor", "--collection", "home", cwd=tmp_path, DARKROOM_URL=api.url)
        ill = darkroom("doctor", "--collection", "home", "--json", cwd=tmp_path, DARKROOM_URL=api.url)
    assert (well.returncode, "all 9 pictures have vectors of m" in well.stdout) == (0, True)
    found = {check["name"]: check for check in json.loads(ill.stdout)}
    assert (ill.returncode, found["Model"]["level"]) == (1, "problem")
    assert found["Model"]["detail"].startswith("2 of 9 pictures have no vector of m")
    assert "darkroom caption home" in found["Captions"]["mend"]
    assert "3 of 9 have vectors of n" in found["Embedded anew"]["detail"]


def test_a_collection_is_renewed(tmp_path: Path) -> None:
    with ScriptedApi({"POST /collections/home/renew": [(200, {"name": "home", "incarnation": "new"})]}) as api:
        said = darkroom("collections", "renew", "home", cwd=tmp_path, DARKROOM_URL=api.url)
        as_json = darkroom("collections", "renew", "home", "--json", cwd=tmp_path, DARKROOM_URL=api.url)
    assert (said.returncode, "ingest its folders again" in said.stdout.replace("\n", " ")) == (0, True)
    assert json.loads(as_json.stdout)["incarnation"] == "new"


def test_a_run_is_followed_while_darkroom_is_away_for_a_moment(photos: Path) -> None:
    """As a job is; the command ended, while the run went on."""
    run: dict[str, Any] = {
        "id": "7", "state": "running", "dry_run": False, "total": 9, "read": 0, "published": 0, "left_out": {},
        "message": "",
    }  # fmt: skip
    ended = run | {"state": "done", "read": 9, "published": 9}
    told: list[Answer] = [(200, run | {"read": 4}), (503, {"detail": "starting"}), (200, ended)]
    with ScriptedApi({"POST /replay": [(202, run)], "GET /runs/7": told}) as api:
        shown = darkroom("replay", "raw-path", cwd=photos, DARKROOM_URL=api.url)
    assert (shown.returncode, shown.stdout) == (0, "9 messages published.\n"), shown.stderr
