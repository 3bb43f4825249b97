"""The payload of a point that several files share."""

from functools import reduce
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rules.name_key import name_key
from rules.payload import FIRST_FILE_FIELDS, merge
from rules.search.lookup import lookup

paths = st.sampled_from(["/a.jpg", "/b.jpg", "/c.jpg"])
payloads = st.builds(
    lambda path, job, caption: {
        "filename": path[1:],
        "full_path": path,
        "paths": [path],
        "job_id": job,
        "ingested_at": f"time of {job}",
        "caption": caption,
        "width": 40,
        "iso": None,
    },
    paths,
    st.sampled_from(["job-1", "job-2"]),
    st.sampled_from([None, "A red picture."]),
)


def fold(payloads: list[dict[str, Any]]) -> dict[str, Any]:
    return reduce(merge, payloads, {})


@given(st.lists(payloads, min_size=1, max_size=5), st.data())
def test_a_file_that_comes_again_changes_nothing(some: list[dict[str, Any]], data: st.DataObject) -> None:
    merged = fold(some)
    assert merge(merged, data.draw(st.sampled_from(some))) == merged


@given(st.lists(payloads, min_size=1, max_size=5), st.data())
def test_paths_are_united_in_any_order(some: list[dict[str, Any]], data: st.DataObject) -> None:
    united = sorted({path for payload in some for path in payload["paths"]})
    assert fold(data.draw(st.permutations(some)))["paths"] == united


@given(st.lists(payloads, min_size=1, max_size=5))
def test_the_first_file_gives_its_name_and_unknown_fields_are_absent(some: list[dict[str, Any]]) -> None:
    merged = fold(some)
    assert {name: merged[name] for name in FIRST_FILE_FIELDS} == {name: some[0][name] for name in FIRST_FILE_FIELDS}
    assert None not in merged.values()


def test_what_is_sorted_and_looked_up_by_follows_from_the_names() -> None:
    new = {"filename": "B.jpg", "paths": ["/B.jpg"], "camera_make": "Canon", "camera_model": "EOS R5", "lens": None}
    merged = merge({"filename": "a.jpg"}, new)
    assert merged["name_key"] == name_key("A.JPG")
    assert "canon eos r5" in lookup(merged)["text"]
    assert "canon" not in lookup(merge({}, {"filename": "B.jpg", "paths": []}))["text"]


@given(st.lists(st.text(max_size=30), min_size=2, max_size=5, unique=True))
def test_keys_of_names_sort_as_the_names_do(names: list[str]) -> None:
    keys = {name: [*name_key(name).values()] for name in names}
    compared = {name: name.casefold().encode()[:24].rstrip(b"\0") for name in names}
    assert sorted(keys.values()) == [keys[name] for name in sorted(names, key=lambda name: compared[name])]
    assert all(0 <= part < 1 << 53 for key in keys.values() for part in key)


@given(payloads, payloads)
def test_a_caption_is_not_lost_to_a_job_without_captions(one: dict[str, Any], other: dict[str, Any]) -> None:
    captions = {one["caption"], other["caption"]} - {None}
    assert {fold([one, other]).get("caption")} - {None} == captions
