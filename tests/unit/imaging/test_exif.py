"""A field that is wrong is absent; nothing a file says can stop its picture."""

import io
import math
import struct
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from imaging import exif
from imaging.exif import Exif
from imaging.metadata import Metadata
from tests.photos import photo
from tests.unit.imaging.preparing import prepared

MAKE, MODEL, CAMERA, GPS = 271, 272, 34665, 34853


def metadata(tmp_path: Path, tags: dict[int, Any]) -> Metadata:
    block = Image.Exif()
    for tag, value in tags.items():
        block[tag] = value
    path = tmp_path / "a.jpg"
    Image.new("RGB", (40, 30)).save(path, exif=block)
    return prepared(path).metadata


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (IFDRational(1, 250), 0.004),
        ((IFDRational(28, 10),), 2.8),
        ((200, 0), 200.0),
        (IFDRational(1, 0), None),
        (IFDRational(0, 0), None),
        (math.inf, None),
        ("2.8", 2.8),
        (b"2.8\0", 2.8),
        (b"2.8 mm", None),
        ((), None),
        (None, None),
        (10**400, None),
    ],
)
def test_numbers(value: object, wanted: float | None) -> None:
    assert exif.number(value) == wanted


@pytest.mark.parametrize(
    ("value", "wanted"), [(0, None), (1, 1), (8, 8), (9, None), (-1, None), (b"6", 6), (6.5, None)]
)
def test_orientations(value: object, wanted: int | None) -> None:
    assert exif.orientation(Exif(main={274: value})) == wanted


@pytest.mark.parametrize(
    ("camera", "wanted"),
    [
        ({34855: 100}, 100),
        ({34855: (400, 400)}, 400),
        ({34855: 65_535, 34866: 102_400}, 102_400),
        ({34855: 65_535}, None),
        ({34867: 640}, 640),
        ({34855: 0}, None),
        ({34855: (0, 200)}, 200),
        ({34855: b"400\0"}, 400),
        ({34855: 65_535, 34865: 102_400}, 102_400),
        ({34855: "auto"}, None),
    ],
)
def test_iso(camera: dict[int, object], wanted: int | None) -> None:
    assert exif.iso(Exif(camera=camera)) == wanted


def test_apex_values_stand_in() -> None:
    apex = Exif(camera={37378: IFDRational(6), 37377: IFDRational(7)})
    assert exif.aperture(apex) == 8.0
    assert exif.exposure_time(apex) == 1 / 128
    wild = Exif(camera={37378: IFDRational(10**9), 37377: IFDRational(-(10**9))})
    assert exif.aperture(wild) is None
    assert exif.exposure_time(wild) is None


DEGREES = (IFDRational(43), IFDRational(28), IFDRational(2814, 1000))


@pytest.mark.parametrize(
    ("gps", "wanted"),
    [
        ({1: "N", 2: DEGREES, 3: "E", 4: (11, 53, 6)}, (43.46744833333333, 11.885)),
        ({1: "S", 2: (33, 30, 0), 3: "W", 4: (70, 0, 36)}, (-33.5, -70.01)),
        ({1: "n\0", 2: (33.5,), 3: "e", 4: 70}, (33.5, 70.0)),
        ({1: "N", 2: (91, 0, 0), 3: "E", 4: (11, 0, 0)}, None),
        ({1: "N", 2: (45, 0, 0), 3: "E", 4: (180, 0, 1)}, None),
        ({1: "N", 2: (45, 0, 0), 3: "E", 4: (IFDRational(1, 0), 0, 0)}, None),
        ({1: "N", 2: (45, 0, -9), 3: "E", 4: (11, 0, 0)}, None),
        # Where no side is named, the numbers are taken as they are, as exiftool does.
        ({2: (45, 0, 0), 4: (11, 0, 0)}, (45.0, 11.0)),
        ({2: (-45, 30, 0), 4: (-11, 0, 0)}, (-45.5, -11.0)),
        ({1: " ", 2: (45, 0, 0), 3: "?", 4: (11, 0, 0)}, (45.0, 11.0)),
        ({1: "N", 2: (45, 0, 0, 7), 3: "W", 4: (11, 0, 0, 7)}, (45.0, -11.0)),
        ({1: b"N", 2: b"48,51,30", 3: b"W", 4: b"2 21 0"}, (48.858333333, -2.35)),
        ({1: "S", 2: (-45, 0, 0), 3: "W", 4: (-11, 0, 0)}, (-45.0, -11.0)),
        ({1: "N", 2: (45, 0, 0)}, None),
        ({1: "N", 2: (0, 0, 0), 3: "E", 4: (0, 0, 0)}, None),
        ({1: "N", 2: (0, 0, 0), 3: "E", 4: (9, 0, 0)}, (0.0, 9.0)),
        ({1: 7, 2: "45", 3: b"E", 4: None}, None),
    ],
)
def test_positions(gps: dict[int, object], wanted: tuple[float, float] | None) -> None:
    found = exif.position(Exif(gps=gps))
    assert found == (None if wanted is None else pytest.approx(wanted, abs=1e-9))


def test_one_bad_field_leaves_the_others(tmp_path: Path) -> None:
    known = metadata(
        tmp_path,
        {
            MAKE: "  ",
            MODEL: "Good",
            CAMERA: {33434: IFDRational(1, 0), 33437: IFDRational(4), 36867: "0000:00:00 00:00:00"},
        },
    )
    assert known.model_dump(
        exclude_none=True, include={"camera_make", "camera_model", "exposure_time", "aperture", "taken_at"}
    ) == {
        "camera_model": "Good",
        "aperture": 4.0,
    }


@pytest.mark.parametrize(
    ("comment", "wanted"),
    [
        (b"ASCII\0\0\0At the sea   ", "At the sea"),
        (b"ASCII\0\0\0" + "Größe".encode(), "Größe"),
        (b"UNICODE\0" + "Größe".encode("utf-16-le"), "Größe"),
        (b"UNICODE\0" + "Größe".encode("utf-16-be"), "Größe"),
        (b"UNICODE\0" + "\ufeffGröße".encode("utf-16-le"), "Größe"),
        (b"JIS\0\0\0\0\0" + "海".encode("iso2022_jp"), "海"),
        (b"\0\0\0\0\0\0\0\0undefined", "undefined"),
        (b"        spaces", "spaces"),
        (b"no charset at all", "no charset at all"),
        (b"ASCII\0\0\0" + b"\0" * 500, None),
        (b"ASCII\0\0\0----", None),
        (b"ASCII\0", None),
        ("text", None),
        (None, None),
    ],
)
def test_comments_in_every_charset(comment: object, wanted: str | None) -> None:
    assert exif.comment(Exif(camera={37510: comment})) == wanted


def test_dates_with_what_belongs_to_them() -> None:
    camera = {36867: b"2021:04:11 15:47:53\0", 36881: b"+09:00", 37521: b"25", 36868: b"2022:01:01 00:00:00"}
    found = Exif(main={306: b"2023:01:01 00:00:00"}, camera=camera)
    assert exif.taken_at(found) == "2021-04-11T15:47:53.25+09:00"
    assert exif.digitised_at(found) == "2022-01-01T00:00:00"
    assert exif.changed_at(found) == "2023-01-01T00:00:00"


def test_directories_that_point_at_themselves(tmp_path: Path) -> None:
    """IFD pointers to offset 8, which is the main directory itself, and beyond the end."""
    for offset in (8, 2**32 - 1):
        known = metadata(tmp_path, {MODEL: "Good", 330: offset})
        assert known.camera_model == "Good"


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_blocks_never_raise(data: st.DataObject) -> None:
    with Image.open(photo("jpg/gps/DSCN0010.jpg")) as image:
        block = bytearray(image.info["exif"])
    for _ in range(data.draw(st.integers(1, 12))):
        block[data.draw(st.integers(6, 1_100))] = data.draw(st.integers(0, 255))
    found = exif.parse(bytes(block[: data.draw(st.integers(0, len(block)))]))
    for field in (exif.taken_at, exif.iso, exif.aperture, exif.exposure_time, exif.focal_length, exif.position):
        field(found)


def test_a_directory_that_claims_gigabytes_costs_little() -> None:
    """1,000 entries that all claim the same 4 MB: what one directory may read is bounded."""
    size = 4 << 20
    entries = b"".join(struct.pack("<HHII", tag, 7, size, 20_000) for tag in range(1, 1_001))
    file = io.BytesIO(b"II*\0\x08\0\0\0" + struct.pack("<H", 1_000) + entries + bytes(size + 20_000))
    began = time.process_time()
    found = exif.read(file)
    assert sum(len(value) for value in found.main.values() if isinstance(value, bytes)) <= 16 << 20
    assert time.process_time() - began < 5


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_rubbish_blocks_never_raise(rubbish: bytes) -> None:
    assert exif.parse(rubbish).gps is not None
    assert exif.read(io.BytesIO(b"II*\0\x08\0\0\0" + rubbish)).gps is not None
