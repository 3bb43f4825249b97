"""Metadata of real photographs agrees with exiftool, which reads them independently."""

import json
import subprocess

import pytest

from tests.photos import PHOTOS, photo
from tests.unit.imaging.expected import EXIFTOOL, TAGS, Recorded
from tests.unit.imaging.preparing import prepared


@pytest.mark.parametrize("name", EXIFTOOL)
def test_agrees_with_exiftool(name: str) -> None:
    said = EXIFTOOL[name]
    known = prepared(photo(name)).metadata.model_dump(exclude_none=True)

    assert (known["width"], known["height"]) == _upright(said)
    assert known["file_size"] == photo(name).stat().st_size
    for field, value in _fields(said).items():
        assert known.get(field) == (pytest.approx(value, rel=1e-6) if isinstance(value, float) else value), field


def test_what_the_file_does_not_know_is_absent() -> None:
    known = prepared(photo("jpg/orientation/landscape_6.jpg")).metadata.model_dump(exclude_none=True)
    assert set(known) == {"width", "height", "format", "mode", "file_size", "orientation"}


@pytest.mark.system
def test_literals_are_what_exiftool_says() -> None:
    output = subprocess.run(
        ["exiftool", "-n", "-j", *(f"-{tag}" for tag in TAGS), *EXIFTOOL],
        cwd=PHOTOS,
        capture_output=True,
        check=True,
    ).stdout
    said = {record.pop("SourceFile"): record for record in json.loads(output)}
    assert said == EXIFTOOL


def _upright(said: Recorded) -> tuple[int, int]:
    """HEIC is turned by its own rotation (QuickTime tag), everything else by EXIF orientation."""
    width, height = said["ImageWidth"], said["ImageHeight"]
    assert isinstance(width, int)
    assert isinstance(height, int)
    lies = said.get("Rotation") in (90, 270) if said["FileType"] == "HEIC" else said.get("Orientation") in (5, 6, 7, 8)
    return (height, width) if lies else (width, height)


def _fields(said: Recorded) -> dict[str, object]:
    gps = {"lat": said["GPSLatitude"], "lon": said["GPSLongitude"]} if "GPSLatitude" in said else None
    return {
        "orientation": said.get("Orientation"),
        "camera_make": said.get("Make"),
        "camera_model": said.get("Model"),
        "lens": said.get("LensModel", said.get("Lens")),
        "iso": said.get("ISO"),
        "aperture": _float(said.get("FNumber")),
        "exposure_time": _float(said.get("ExposureTime")),
        "focal_length": _float(said.get("FocalLength")),
        "taken_at": _iso_8601(said),
        "gps": gps and {axis: pytest.approx(degrees, abs=1e-7) for axis, degrees in gps.items()},
        "tags": said.get("Subject"),
        "title": said.get("Title") or None,
    }


def _float(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def _iso_8601(said: Recorded) -> str | None:
    if "DateTimeOriginal" not in said:
        return None
    date, time = str(said["DateTimeOriginal"]).split(" ")
    return f"{date.replace(':', '-')}T{time.replace('Z', '+00:00')}{said.get('OffsetTimeOriginal', '')}"
