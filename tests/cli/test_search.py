"""`search` and `similar`, and how they look in terminals of several kinds and widths."""

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cli.pictures import picture, protocol
from tests import pictures
from tests.cli.command import darkroom
from tests.cli.scripted_api import ScriptedApi
from tests.cli.terminal import in_terminal, lines

LONG = "/photos/" + "a-folder-with-a-long-name/" * 5 + "boat.jpg"


def hit(number: int, **payload: Any) -> dict[str, Any]:
    return {"id": f"id-{number}", "score": 0.9 - number / 100, "filename": f"{number}.jpg", "payload": payload}


FOUND = {
    "results": [
        hit(1, full_path=LONG, taken_at="2024-06-01T12:00:00", caption="A boat on a lake, " * 5),
        hit(2, full_path="/photos/two [red].jpg"),
    ],
    "total": 17,
    "mode": "semantic",
}


def test_search_asks_the_api_and_gives_one_line_a_picture_to_a_pipe(tmp_path: Path) -> None:
    with ScriptedApi({"POST /search": [(200, FOUND)]}) as api:
        run = darkroom("search", "a boat", "--collection", "home", "-n", "5", cwd=tmp_path, DARKROOM_URL=api.url)
    assert run.returncode == 0, run.stderr
    assert api.asked == [("POST /search", "", {"query": "a boat", "limit": 5, "collection": "home"})]
    _, first, second, summary = run.stdout.splitlines()
    assert LONG in first
    assert "2024-06-01" in first
    assert "/photos/two [red].jpg" in second
    assert summary == "2 of 17 pictures."


def test_filters_go_to_the_api(tmp_path: Path) -> None:
    options = ["--from", "2023", "--until", "2024-05", "--rating", "4", "--label", "Red"]
    options += ["--person", "Ann", "--person", "Bob", "--tag", "sea"]
    wanted = {
        "taken_at": {"gte": "2023", "lte": "2024-05"},
        "rating": {"gte": 4},
        "label": "Red",
        "people": ["Ann", "Bob"],
        "tags": ["sea"],
    }
    (file,) = pictures.write(tmp_path, range(1, 2))
    with ScriptedApi({"POST /search": [(200, FOUND)], "POST /search/image": [(200, FOUND)]}) as api:
        run = darkroom("search", "a boat", *options, cwd=tmp_path, DARKROOM_URL=api.url)
        like = darkroom("similar", str(file), *options, cwd=tmp_path, DARKROOM_URL=api.url)
    assert (run.returncode, like.returncode) == (0, 0), run.stderr + like.stderr
    (_, _, body), (_, _, form) = api.asked
    assert body == {"query": "a boat", "limit": 10, "filters": wanted}
    assert b'"people": ["Ann", "Bob"]' in form


def test_search_finds_nothing_and_says_how_it_looked(tmp_path: Path) -> None:
    answer = {"results": [], "total": 0, "mode": "keywords", "hint": "No picture has “zebra”."}
    with ScriptedApi({"POST /search": [(200, answer)]}) as api:
        run = darkroom("search", "zebra", cwd=tmp_path, DARKROOM_URL=api.url)
        as_json = darkroom("search", "zebra", "--json", cwd=tmp_path, DARKROOM_URL=api.url)
    assert run.returncode == as_json.returncode == 1
    assert "0 of 0 pictures, by words only.\nNo picture has “zebra”." in run.stdout
    assert json.loads(as_json.stdout) == answer | {"next": None, "likely": None, "standing_out": None, "pending": 0}


def test_a_query_that_cannot_be_read_is_shown_with_the_place(tmp_path: Path) -> None:
    problem = {
        "detail": "At character 7 of the query: a year, month or day is expected, as in date:2024-05..2024-08",
        "query_error": {"position": 6, "length": 7, "expected": "a year, month or day", "example": "date:2024"},
    }
    with ScriptedApi({"POST /search": [(422, problem)]}) as api:
        run = darkroom("search", "海", "date:2024-13", cwd=tmp_path, DARKROOM_URL=api.url)
    assert run.returncode == 1
    assert api.asked[0][2] == {"query": "海 date:2024-13", "limit": 10}
    lines = run.stderr.splitlines()
    assert "a year, month or day is expected, as in date:2024-05..2024-08" in lines[0]
    assert lines[1:] == ["  海 date:2024-13", "         ^^^^^^^"]  # a wide character takes two columns


def test_search_says_why_and_how_many_are_likely(tmp_path: Path) -> None:
    reasons = [
        {"kind": "word", "word": "raptor", "field": "tags", "value": "raptors"},
        {"kind": "meaning", "similarity": 0.15, "probability": 0.53},
    ]
    found = {
        "results": [hit(1, full_path="/a.jpg") | {"reasons": reasons, "probability": 0.53}],
        "total": 40,
        "mode": "semantic",
        "likely": {"sure": 12, "maybe": 30},
        "next": "abc",
    }
    with ScriptedApi({"POST /search": [(200, found)]}) as api:
        run = darkroom("search", "--mode", "semantic", "--min-score", "0.1", "--cursor", "x", "--", "raptor", "-zoo",
                       cwd=tmp_path, DARKROOM_URL=api.url)  # fmt: skip
    assert run.returncode == 0, run.stderr
    asked = {"query": "raptor -zoo", "limit": 10, "mode": "semantic", "min_score": 0.1, "cursor": "x"}
    assert api.asked[0][2] == asked
    assert "raptor in tags: raptors; meaning 53%" in run.stdout
    assert "1 of 40 pictures. 12 sure, 30 maybe." in run.stdout


def test_search_says_how_many_stand_out(tmp_path: Path) -> None:
    with ScriptedApi({"POST /search": [(200, FOUND | {"standing_out": 7})]}) as api:
        run = darkroom("search", "raptor", cwd=tmp_path, DARKROOM_URL=api.url)
    assert "pictures. 7 stand out." in run.stdout


def test_similar_sends_the_file(tmp_path: Path) -> None:
    (file,) = pictures.write(tmp_path, range(1, 2))
    with ScriptedApi({"POST /search/image": [(200, FOUND)]}) as api:
        run = darkroom("similar", str(file), "--json", cwd=tmp_path, DARKROOM_URL=api.url)
        missing = darkroom("similar", "gone.jpg", cwd=tmp_path, DARKROOM_URL=api.url)
    assert run.returncode == 0, run.stderr
    assert [each["id"] for each in json.loads(run.stdout)["results"]] == ["id-1", "id-2"]
    ((_, _, body),) = api.asked
    assert file.read_bytes() in body
    assert missing.returncode == 1
    assert "gone.jpg cannot be read" in missing.stderr


@pytest.mark.parametrize("columns", [80, 50])
def test_a_table_fits_the_terminal_and_loses_nothing(tmp_path: Path, columns: int) -> None:
    with ScriptedApi({"POST /search": [(200, FOUND)]}) as api:
        code, written = in_terminal("search", "a boat", columns=columns, cwd=tmp_path, DARKROOM_URL=api.url)
    assert code == 0
    shown = lines(written)
    assert max(map(len, shown)) <= columns
    begin = next(line for line in shown if "PICTURE" in line).index("PICTURE")
    folded = "".join(re.split(r"\s{2,}", line[begin:])[0] for line in shown if line[begin - 1 : begin] == " ")
    assert LONG in folded
    assert "2024-06-01" in "".join(shown)


def jpeg() -> bytes:
    image = Image.new("RGB", (60, 40), (200, 30, 30))
    image.paste((30, 30, 200), (0, 0, 30, 40))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def test_a_terminal_that_can_show_pictures_gets_them(tmp_path: Path) -> None:
    one = FOUND | {"results": [hit(1, full_path="/photos/1.jpg")]}
    with ScriptedApi({"POST /search": [(200, one)], "GET /images/id-1/thumbnail": [(200, jpeg())]}) as api:
        settings = {"DARKROOM_URL": api.url, "TERM": "xterm-kitty"}
        _, written = in_terminal("search", "x", columns=80, cwd=tmp_path, **settings)
        _, multiplexed = in_terminal("search", "x", columns=80, cwd=tmp_path, TMUX="yes", **settings)
    sent = "".join(re.findall(r"\x1b_G[^;]*;([A-Za-z0-9+/=]*)\x1b\\", written))
    with Image.open(io.BytesIO(base64.b64decode(sent))) as image:
        assert (image.format, image.size) == ("PNG", (60, 40))
    assert "/photos/1.jpg" in written
    assert "\x1b_G" not in multiplexed


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"TERM": "xterm-256color"}, None),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "iterm2"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, "kitty"),
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM": "foot"}, "sixel"),
        ({"TERM": "tmux-256color", "TERM_PROGRAM": "iTerm.app"}, None),
        ({}, None),
    ],
)
def test_terminals_are_told_by_their_environment(environment: dict[str, str], expected: str | None) -> None:
    assert protocol(environment) == expected


def test_a_sixel_picture_is_the_picture() -> None:
    """Decode it again: each `#n;2;r;g;b` is a colour in percent, each letter six pixels below each other."""
    shown = picture(jpeg(), "sixel")
    match = re.fullmatch(r'\x1bPq"1;1;(\d+);(\d+)((?:#\d+;2;\d+;\d+;\d+)+)(.*)\x1b\\', shown)
    assert match is not None
    assert (match[1], match[2]) == ("60", "40")
    colours = {
        int(number): (int(r), int(g), int(b)) for number, r, g, b in re.findall(r"#(\d+);2;(\d+);(\d+);(\d+)", match[3])
    }
    pixels: dict[tuple[int, int], tuple[int, int, int]] = {}
    for band, text in enumerate(match[4].split("-")):
        for number, letters in re.findall(r"#(\d+)([?-~]*)", text):
            for x, letter in enumerate(letters):
                for bit in range(6):
                    if ord(letter) - 63 >> bit & 1:
                        pixels[x, 6 * band + bit] = colours[int(number)]
    assert len(pixels) == 60 * 40
    assert pixels[5, 5][2] > 60 > pixels[5, 5][0]
    assert pixels[55, 35][0] > 60 > pixels[55, 35][2]


def test_iterm_gets_the_jpeg_as_it_is() -> None:
    shown = picture(jpeg(), "iterm2")
    assert shown.startswith("\x1b]1337;File=inline=1;")
    assert base64.b64decode(shown.rpartition(":")[2].rstrip("\a")) == jpeg()
