"""When the vectors of another model may serve, and which points have to be looked at again."""

from typing import Any, NamedTuple

import pytest

from rules import reembedding as rules
from rules.payload import embedded_anew, of_former


class Job(NamedTuple):
    job_id: str
    model_id: str | None


def test_jobs_of_any_other_model_are_waited_for_but_not_the_own() -> None:
    jobs = [Job("own", "new"), Job("b", "old"), Job("a", None), Job("c", "new"), Job("d", "third")]
    assert rules.feeds(jobs, "own", "new") == ["a", "b", "d"]
    assert rules.feeds([Job("own", "new")], "own", "new") == []


@pytest.mark.parametrize(
    ("known", "wanted", "lacks"),
    [
        ({"paths": ["/a", "/b"]}, {"paths": ["/a"]}, False),
        ({"paths": ["/a"]}, {"paths": ["/a", "/b"]}, True),
        ({"paths": []}, {"paths": []}, False),  # archived
        ({}, {}, False),  # of another program
        ({"paths": ["/a"]}, {"paths": ["/a"], "more_paths": "list"}, None),
        ({"paths": ["/a"], "more_paths": "list"}, {"paths": ["/b"]}, None),
        ({"paths": ["/a"], "more_paths": "list"}, {"paths": ["/a"]}, False),
    ],
)
def test_a_point_lacks_what_paths_came_to_the_former_meanwhile(
    known: dict[str, Any], wanted: dict[str, Any], lacks: bool | None
) -> None:
    assert rules.lacks_paths(known, wanted) is lacks


def test_a_point_that_failed_is_tried_again_when_it_has_changed() -> None:
    before = rules.version("p", {"paths": ["/a", "/b"]}, 2)
    assert rules.version("p", {"paths": ["/b", "/a"]}, 2) == before
    assert rules.version("p", {"paths": ["/a", "/c"]}, 2) != before
    assert rules.version("p", {"paths": ["/a", "/b"]}, 120) != before
    assert rules.version("q", {"paths": ["/a", "/b"]}, 2) != before


def test_a_person_is_told_why_and_what_to_do() -> None:
    said = rules.stays("home", "old", "new", 1)
    assert said.startswith("1 picture of home has no vector of new, so the collection stays with old.")
    assert "--accept-failed" in said
    assert rules.stays("home", "old", "new", 3).startswith("3 pictures of home have no vector")
    assert rules.waits(["a"]).startswith("Waiting for the end of job a, which")
    assert "job a and 2 more," in rules.waits(["a", "b", "c"])
    assert rules.ended("home", "new", 5, 5) == "All 5 pictures of home have vectors of new."
    assert rules.ended("home", "new", 5, 4).startswith("4 of 5 pictures")


def test_a_point_keeps_its_first_file_and_all_paths() -> None:
    known = {"filename": "a.jpg", "full_path": "/a.jpg", "job_id": "j", "ingested_at": "t", "caption": "old words",
             "paths": ["/a.jpg"], "more_paths": "list", "read_at": 5.0, "revision": "r"}  # fmt: skip
    kept = of_former(known, ["/a.jpg", "/b.jpg"])
    new = {"filename": "b.jpg", "full_path": "/b.jpg", "job_id": "k", "ingested_at": "u", "paths": ["/b.jpg"],
           "iso": 100, "caption": None}  # fmt: skip
    made = embedded_anew(kept, new)
    assert made == {"filename": "a.jpg", "full_path": "/a.jpg", "job_id": "j", "ingested_at": "t", "iso": 100,
                    "caption": "old words", "paths": ["/a.jpg", "/b.jpg"]}  # fmt: skip
    assert embedded_anew(kept, new | {"caption": "new words"})["caption"] == "new words"
