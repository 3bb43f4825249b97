"""What cameras wrote before EXIF, laid out as they did."""

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imaging import before_exif, exif
from tests.unit.imaging.blocks import exif as exif_block
from tests.unit.imaging.blocks import segment, short
from tests.unit.imaging.preparing import prepared
from tests.unit.imaging.test_metadata_sources import JPEG

TIME = 972_687_386
"""27 October 2000, 22:56:26."""


def heap(values: dict[int, bytes], heaps: dict[int, bytes] | None = None) -> bytes:
    """Values, then their directory, then its place. A value of 8 bytes at most may stand in its entry (0x4000)."""
    data, entries = b"", b""
    for tag, value in (values | (heaps or {})).items():
        if tag & 0x4000:
            entries += struct.pack("<H", tag) + value.ljust(8, b"\0")
        else:
            entries += struct.pack("<HII", tag, len(value), len(data))
            data += value
    directory = struct.pack("<H", len(entries) // 10) + entries
    return data + directory + struct.pack("<I", len(data))


def canon() -> bytes:
    camera = heap({0x080A: b"Canon\0Canon PowerShot A5\0\0"})
    taken = {0x180E: struct.pack("<I8x", TIME), 0x1818: struct.pack("<3f", 0, 5, 4.5), 0x5029: b"\1\0\5\0"}
    return b"II\x1a\0\0\0HEAPJPGM".ljust(26, b"\0") + heap({}, {0x300A: heap(taken), 0x2807: camera})


OLYMPUS = b"OLYMPUS OPTICAL CO.,LTD.\0 713\r\n[picture info]\r\nTimeDate=909698819\r\nShutter=33363\r\nFNumber=F2.8\r\n"


def test_canon(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(segment(JPEG.getvalue(), 0xE0, canon()))
    known = prepared(path).metadata
    assert (known.camera_make, known.camera_model) == ("Canon", "Canon PowerShot A5")
    assert (known.taken_at, known.focal_length) == ("2000-10-27T22:56:26", 5)
    assert known.exposure_time == pytest.approx(1 / 32)
    assert known.aperture == pytest.approx(4.757, abs=0.001)


def test_olympus(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(segment(JPEG.getvalue(), 0xEC, OLYMPUS))
    known = prepared(path).metadata
    assert (known.taken_at, known.exposure_time, known.aperture) == ("1998-10-29T22:06:59", 0.033363, 2.8)


@pytest.mark.parametrize(
    ("date", "wanted"),
    [(b"1998.10.24.12.08.57\0", "1998-10-24T12:08:57"), (b"\0" * 20, None), (b"1998.10", "1998-10"), (b"", None)],
    ids=["whole", "blank", "cut", "absent"],
)
def test_casio(tmp_path: Path, date: bytes, wanted: str | None) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(segment(JPEG.getvalue(), 0xE1, b"QVCI\0".ljust(0x4D, b"\1") + date))
    assert prepared(path).metadata.taken_at == wanted


def test_exif_goes_before_them(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(segment(segment(JPEG.getvalue(), 0xEC, OLYMPUS), 0xE1, exif_block([short(274, 1)])))
    assert prepared(path).metadata.taken_at is None


def test_a_heap_that_is_its_own_part_ends() -> None:
    endless = struct.pack("<HHII", 1, 0x2807, 16, 0) + struct.pack("<I", 0)
    assert before_exif.read([("APP0", b"II\x0e\0\0\0HEAPJPGM" + endless)]).camera == {}


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([("APP0", canon()), ("APP12", OLYMPUS)]), st.data())
def test_damaged_segments_never_raise(whole: tuple[str, bytes], data: st.DataObject) -> None:
    name, body = whole
    broken = bytearray(body[: data.draw(st.integers(14, len(body)))])
    for _ in range(data.draw(st.integers(0, 10))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    found = before_exif.read([(name, bytes(broken))])
    exif.taken_at(found)
    exif.exposure_time(found)
