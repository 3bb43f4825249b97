"""IPTC in every charset that programs wrote it in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imaging.iptc import Block, of_photoshop
from tests.unit.imaging.blocks import photoshop


def block(*sets: tuple[int, int, bytes]) -> Block:
    return Block(of_photoshop(photoshop(*sets)))


@pytest.mark.parametrize(
    ("escape", "encoding", "title"),
    [
        (b"\x1b%G", "utf-8", "Größe 海"),
        (None, "utf-8", "Größe 海"),
        (None, "cp1252", "Größe — 5 €"),
        (b"\x1b.A", "latin-1", "Größe"),
        (b"\x1b-B", "iso8859_2", "Łódź"),
        (b"\x1b-L", "iso8859_5", "Москва"),
        (b"\x1b-F", "iso8859_7", "Αθήνα"),
        (b"\x1b$B", "iso2022_jp", "海"),
    ],
)
def test_charsets(escape: bytes | None, encoding: str, title: str) -> None:
    sets = [(1, 90, escape)] if escape else []
    assert block(*sets, (2, 5, title.encode(encoding))).title == title


def test_what_declares_utf_8_and_is_not_loses_no_letter() -> None:
    assert block((1, 90, b"\x1b%G"), (2, 5, "Größe".encode("latin-1"))).title == "Größe"


def test_fields() -> None:
    found = block(
        (2, 5, b"Title"),
        (2, 25, b"sea"),
        (2, 25, b"  "),
        (2, 25, b"sky"),
        (2, 55, b"20040605"),
        (2, 60, b"100705+0200"),
        (2, 62, b"20050000"),
        (2, 120, b"At the sea\0"),
    )
    assert (found.title, found.description, found.keywords) == ("Title", "At the sea", ["sea", "sky"])
    assert (found.created, found.digitised) == ("20040605 100705+0200", "20050000")


def test_a_long_value_has_the_length_of_its_length() -> None:
    data = b"\x1c\x02\x78\x80\x04\x00\x00\x00\x03sea"
    assert Block(data).description == "sea"


@given(st.binary(max_size=200))
def test_rubbish_never_raises(data: bytes) -> None:
    found = Block(of_photoshop(b"Photoshop 3.0\x008BIM" + data) or b"\x1c" + data)
    assert found.title is None or found.title
