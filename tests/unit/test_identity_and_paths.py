"""Names that every process computes alike, and paths that survive the way through JSON."""

import base64
import json
import os
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidMessageError
from rules.identity import file_id, new_id, point_id
from rules.paths import from_wire, is_within, normal, readable, to_wire

parts = st.tuples(st.text(max_size=4), st.text(max_size=4), st.binary(max_size=4))
names = st.binary(min_size=1, max_size=12).map(lambda raw: raw.replace(b"\0", b"").replace(b"/", b""))
absolute = st.lists(names, max_size=5).map(lambda some: normal(b"/" + b"/".join(some)))


@given(parts, parts)
def test_two_files_have_two_names(one: tuple[str, str, bytes], other: tuple[str, str, bytes]) -> None:
    assert (file_id(*one) == file_id(*other)) == (one == other)


@pytest.mark.parametrize(
    "moved", [("a", "bc", b"/d"), ("abc", "", b"/d"), ("", "abc", b"/d"), ("ab", "c/", b"d"), ("ab", "c/d", b"")]
)
def test_what_moves_from_one_part_to_the_next_is_another_file(moved: tuple[str, str, bytes]) -> None:
    assert file_id(*moved) != file_id("ab", "c", b"/d")


def test_names_do_not_change_between_versions() -> None:
    assert file_id("job", "photos", b"/a.jpg") == "64ae15be7f72233a9ae833b976ed72ea"
    assert point_id("0" * 64) == "23e541a4-88a5-5e03-82ee-7a8fa3878a1f"


def test_a_point_id_is_one_that_qdrant_takes() -> None:
    assert uuid.UUID(point_id("ab" * 32)).version == 5


def test_new_names_differ() -> None:
    assert new_id() != new_id()


@given(absolute)
def test_any_path_survives_json(path: bytes) -> None:
    text, encoded = json.loads(json.dumps(to_wire(path)))
    assert from_wire(text, encoded) == path
    assert text == readable(path)
    assert (encoded is None) == (text.encode() == path)


@given(absolute)
def test_a_path_has_one_form(path: bytes) -> None:
    assert normal(path) == path
    assert normal(b"//" + path + b"/./") == path
    assert normal(path + b"/x/..") == path


def test_two_slashes_in_front_are_one() -> None:
    assert from_wire("//photos//a.jpg", None) == from_wire("/photos/./a.jpg", None) == b"/photos/a.jpg"


@given(st.text(max_size=20), st.one_of(st.none(), st.text(max_size=20)))
def test_other_text_is_refused_as_an_invalid_message(path: str, path_b64: str | None) -> None:
    try:
        found = from_wire(path, path_b64)
    except InvalidMessageError:
        return
    assert found.startswith(b"/")
    assert b"\0" not in found


@pytest.mark.parametrize(
    ("path", "path_b64"),
    [
        ("a.jpg", None),
        ("", None),
        ("/a\0.jpg", None),
        ("/a.jpg", "no base64"),
        ("/a.jpg", "é"),
        ("/a.jpg", ""),
        ("/a.jpg", base64.b64encode(b"a.jpg").decode()),
        ("/\ud800.jpg", None),
    ],
)
def test_what_is_no_absolute_path_is_refused(path: str, path_b64: str | None) -> None:
    with pytest.raises(InvalidMessageError, match="The path"):
        from_wire(path, path_b64)


def test_bytes_that_are_not_utf_8_are_shown_as_escapes() -> None:
    assert to_wire(b"/caf\xe9.jpg") == (r"/caf\xe9.jpg", base64.b64encode(b"/caf\xe9.jpg").decode())
    assert to_wire("/café\n.jpg".encode()) == ("/café\n.jpg", None)


@pytest.mark.parametrize(
    ("path", "roots", "inside"),
    [
        (b"/photos", (b"/photos",), True),
        (b"/photos/a", (b"/other", b"/photos"), True),
        (b"/photos2", (b"/photos",), False),
        (b"/", (b"/photos",), False),
        (b"/photos", (b"/",), True),
        (b"/photos", (), False),
    ],
)
def test_a_root_holds_what_is_below_it(path: bytes, roots: tuple[bytes, ...], inside: bool) -> None:
    assert is_within(path, roots) is inside


@given(absolute, absolute)
def test_within_is_what_the_standard_library_calls_common(path: bytes, root: bytes) -> None:
    assert is_within(path, (root,)) == (os.path.commonpath([path, root]) == root)
