"""The payload of a point that several files share."""

from functools import reduce
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rules.payload import FIRST_FILE_FIELDS, merge

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


@given(payloads, payloads)
def test_a_caption_is_not_lost_to_a_job_without_captions(one: dict[str, Any], other: dict[str, Any]) -> None:
    captions = {one["caption"], other["caption"]} - {None}
    assert {fold([one, other]).get("caption")} - {None} == captions
