"""What thermal cameras write beside EXIF: a file of their own, cut into segments of a JPEG."""

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imaging import flir
from tests.unit.imaging.blocks import ascii_text, segment
from tests.unit.imaging.blocks import exif as exif_block
from tests.unit.imaging.preparing import prepared
from tests.unit.imaging.test_metadata_sources import JPEG

TIME = 1_328_966_228
"""11 February 2012, 14:17:08, by the clock of a camera that is an hour ahead of UTC."""


def record(order: str, *, minutes: int = -60, seconds: int = TIME) -> bytes:
    camera = bytearray(struct.pack(f"{order}H", 2).ljust(0x400, b"\0"))
    camera[0x170 : 0x170 + 5] = b"FOL7\0"
    struct.pack_into(f"{order}IIh", camera, 0x384, seconds, 253, minutes)
    return bytes(camera)


def flir_file(order: str = ">", camera_order: str = ">", camera: bytes | None = None) -> bytes:
    """Header, a directory of two records, and what the camera says of itself."""
    camera = record(camera_order) if camera is None else camera
    head = b"FFF\0".ljust(20, b"\0") + struct.pack(f"{order}III", 100, 64, 2)
    entries = [(0x21, 0, 0), (0x20, 64 + 64, len(camera))]
    directory = b"".join(struct.pack(f"{order}HHIIII12x", kind, 1, 100, 1, at, size) for kind, at, size in entries)
    return head.ljust(64, b"\0") + directory + camera


def segments(whole: bytes, count: int) -> list[bytes]:
    size = -(-len(whole) // count)
    parts = [whole[start : start + size] for start in range(0, len(whole), size)]
    return [b"FLIR\0\1" + bytes([number, count - 1]) + part for number, part in enumerate(parts)]


@pytest.mark.parametrize("camera_order", ["<", ">"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("count", [1, 3])
def test_flir(tmp_path: Path, order: str, camera_order: str, count: int) -> None:
    taken = ascii_text(36867, b"2012:02:11 14:17:08")
    jpeg = JPEG.getvalue()
    for body in segments(flir_file(order, camera_order), count):  # the last comes first
        jpeg = segment(jpeg, 0xE1, body)
    path = tmp_path / "a.jpg"
    path.write_bytes(segment(jpeg, 0xE1, exif_block([], [taken])))
    known = prepared(path).metadata
    assert (known.taken_at, known.lens) == ("2012-02-11T14:17:08.253+01:00", "FOL7")


def test_a_date_of_another_time_than_that_of_exif_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    jpeg = segment(JPEG.getvalue(), 0xE1, segments(flir_file(), 1)[0])
    path.write_bytes(segment(jpeg, 0xE1, exif_block([], [ascii_text(36867, b"2010:01:01 00:00:00")])))
    assert prepared(path).metadata.taken_at == "2010-01-01T00:00:00"


def test_without_exif(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(segment(JPEG.getvalue(), 0xE1, segments(flir_file(), 1)[0]))
    assert prepared(path).metadata.taken_at == "2012-02-11T14:17:08.253+01:00"


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_ones_never_raise(data: st.DataObject) -> None:
    whole = bytearray(flir_file())
    for _ in range(data.draw(st.integers(1, 10))):
        whole[data.draw(st.integers(4, len(whole) - 1))] = data.draw(st.integers(0, 255))
    flir.read([("APP1", body) for body in segments(bytes(whole[: data.draw(st.integers(1, len(whole)))]), 1)])


@pytest.mark.parametrize("minutes", [-32_768, 32_767])
@pytest.mark.parametrize("seconds", [0, 2**32 - 1])
def test_impossible_dates_are_none_or_dates(minutes: int, seconds: int) -> None:
    camera = record(">", minutes=minutes, seconds=seconds)
    flir.read([("APP1", body) for body in segments(flir_file(camera=camera), 1)])
