"""`darkroom models eval`: how often a model finds a person's own pictures by what they say of them."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from embedded.models.shelf import Shelf
from tests import pictures
from tests.cli.command import darkroom
from tests.ml import tiny_models
from tests.models import colours

PICTURES = {
    "sea.jpg": pictures.painted(("blue", 80), ("yellow", 20)),
    "wood/forest.jpg": pictures.painted(("lime", 100)),  # Pillow's green is a dark one
    "fire.jpg": pictures.painted(("red", 60), ("black", 40)),
    "beach.jpg": pictures.painted(("blue", 50), ("yellow", 50)),
}
TEXTS = [
    ("sea.jpg", "the blue sea"),
    ("wood/forest.jpg", "grass"),
    ("fire.jpg", "a fire at night"),
    ("fire.jpg", "sky"),  # which is wrong, and found last but one
]


@pytest.fixture
def person(tmp_path: Path) -> Path:
    colours.write(Shelf(tmp_path / "data").at("colours"))
    for name, content in PICTURES.items():
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(content)
    (tmp_path / "photos/again.jpg").write_bytes(PICTURES["sea.jpg"])
    (tmp_path / "photos/notes.txt").write_text("no picture")
    say(tmp_path, *({"file": file, "text": text} for file, text in TEXTS))
    return tmp_path


def say(person: Path, *lines: object) -> None:
    (person / "captions.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def evaluate(person: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    return darkroom(
        *("models", "eval", "photos", "captions.jsonl", *options), cwd=person, DARKROOM_DATA=str(person / "data")
    )


def test_it_tells_the_share_of_texts_that_find_their_picture(person: Path) -> None:
    (person / "photos/broken.jpg").write_bytes(b"no picture")
    run = evaluate(person, "--model", "colours", "--json")
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["model"] == "colours"
    assert found["model_id"].startswith("siglip-")
    # Of equal ones there is one.
    assert (found["pictures"], found["texts"]) == (4, 4)
    assert found["recall"] == {"1": 0.75, "5": 1.0, "10": 1.0}
    assert [one["place"] for one in found["places"]][:3] == [1, 1, 1]
    assert found["places"][3] | {"line": 4, "file": "fire.jpg", "text": "sky"} == found["places"][3]
    assert found["places"][3]["place"] > 1
    (broken,) = found["left_out"]
    assert broken["file"].endswith("/photos/broken.jpg")


def test_the_model_that_is_in_use_is_measured_and_shown_as_a_table(person: Path) -> None:
    Shelf(person / "data").choose("colours")
    run = evaluate(person)
    assert re.search(r"^MODEL +PICTURES +TEXTS +@1 +@5 +@10$", run.stdout, re.MULTILINE), run.stderr
    assert re.search(r"^colours +4 +4 +75\.0% +100\.0% +100\.0%$", run.stdout, re.MULTILINE)


def test_lines_that_are_wrong_are_named_before_anything_is_loaded(person: Path) -> None:
    say(
        person,
        {"file": "sea.jpg", "text": "the sea"},
        {"file": "gone.jpg", "text": "x"},
        {"file": "../captions.jsonl", "text": "x"},
        {"file": "notes.txt", "text": "x"},
        {"file": "sea.jpg"},
    )
    run = evaluate(person, "--model", "colours")
    assert run.returncode == 1
    assert run.stderr.splitlines() == [
        "darkroom: captions.jsonl cannot be used:",
        f"line 2: gone.jpg: there is no such file in {person}/photos",
        f"line 3: ../captions.jsonl: it does not lie in {person}/photos",
        "line 4: notes.txt: its extension is not that of a photograph",
        'line 5: it must look like {"file": "a.jpg", "text": "a dog"} (text does not)',
    ]
    say(person, *({"file": f"{number}.jpg", "text": "x"} for number in range(12)))
    assert "line 10: 9.jpg: there is no" in (said := evaluate(person, "--model", "colours").stderr)
    assert said.endswith("and 2 more lines.\n")
    say(person)
    assert "captions.jsonl has no texts" in evaluate(person, "--model", "colours").stderr


def test_a_picture_that_cannot_be_used_is_named_by_its_line(person: Path) -> None:
    (person / "photos/sea.jpg").write_bytes(PICTURES["sea.jpg"][:200])
    run = evaluate(person, "--model", "colours")
    assert run.returncode == 1
    assert re.search(r"The picture of line 1 cannot be used: .*sea\.jpg", run.stderr)


@pytest.mark.parametrize("name", ["visual", "blind"])
def test_a_model_that_knows_no_words_is_refused(person: Path, name: str) -> None:
    tiny_models.write_vision(person / "blind/vision")
    darkroom("models", "import", "blind", "--name", "blind", cwd=person, DARKROOM_DATA=str(person / "data"))
    run = evaluate(person, "--model", name)
    assert run.returncode == 1
    assert f"{name} knows no words" in run.stderr
    assert "darkroom models get" in run.stderr


def test_what_is_not_there_is_said(person: Path) -> None:
    assert "'other' is not here" in evaluate(person, "--model", "other").stderr
    wrong = darkroom("models", "eval", "nowhere", "captions.jsonl", cwd=person)
    assert (wrong.returncode, "nowhere" in wrong.stderr) == (2, True)
