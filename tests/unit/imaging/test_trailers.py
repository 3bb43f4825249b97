"""IPTC behind the end of a JPEG, where AFCP and FotoStation put it."""

import io
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imaging import trailers
from tests.unit.imaging.blocks import photoshop, segment
from tests.unit.imaging.preparing import prepared
from tests.unit.imaging.test_metadata_sources import JPEG

IPTC = b"\x1c\x02\x37\x00\x0820051223" + b"\x1c\x02\x78\x00\x0ba boat here"


def afcp(before: bytes, order: str = ">", iptc: bytes = IPTC) -> bytes:
    """A head, a directory of two values, the values, and where the head lies."""
    head = (b"AXS!" if order == ">" else b"AXS*") + struct.pack(f"{order}HHI", 1, 2, 0)
    values = len(before) + 12 + 24
    directory = (
        b"TEXT" + struct.pack(f"{order}II", 4, values) + b"IPTC" + struct.pack(f"{order}II", len(iptc), values + 4)
    )
    return before + head + directory + b"text" + iptc + head[:4] + struct.pack(f"{order}II", len(before), 0)


def fotostation(before: bytes, kind: int = 1, value: bytes = IPTC) -> bytes:
    return before + value + struct.pack(">HII", kind, len(value) + 10, 0xA1B2C3D4)


PLAIN = JPEG.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        afcp(PLAIN),
        afcp(PLAIN, "<"),
        fotostation(PLAIN),
        fotostation(fotostation(PLAIN), 2, b"crop"),
        afcp(fotostation(PLAIN, 3, b"thumb"), "<"),
        fotostation(afcp(PLAIN), 3, b"thumb"),
    ],
    ids=["AFCP", "AFCP, little-endian", "FotoStation", "two records", "AFCP behind it", "FotoStation behind it"],
)
def test_what_stands_behind_the_picture_counts(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    known = prepared(path).metadata
    assert (known.taken_at, known.description) == ("2005-12-23", "a boat here")


def test_what_stands_within_goes_before_it(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(afcp(segment(PLAIN, 0xED, photoshop((2, 120, b"within")))))
    assert prepared(path).metadata.description == "within"


@pytest.mark.parametrize(
    "content", [b"", PLAIN, afcp(PLAIN)[1:], b"AXS!" + bytes(8), fotostation(b"", value=b""), fotostation(b"")[20:]]
)
def test_none(content: bytes) -> None:
    assert trailers.iptc(io.BytesIO(content)) == b""


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_ones_never_raise(data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from([afcp(b"1234"), fotostation(afcp(b"1234")), fotostation(b"1234")])))
    for _ in range(data.draw(st.integers(1, 10))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    trailers.iptc(io.BytesIO(content))
