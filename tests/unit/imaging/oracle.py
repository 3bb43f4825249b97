"""What exiftool's answer means in the fields of `Metadata`."""

import json
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Recorded = dict[str, Any]
"""Group and tag (`IFD0:Make`) to value, as `exiftool -j -a -G1` writes them; numbers but for those of `_PRINTED`."""

_DATES = (
    ("ExifIFD:DateTimeOriginal", "ExifIFD:SubSecTimeOriginal", "ExifIFD:OffsetTimeOriginal"),
    ("IFD0:DateTimeOriginal", "", ""),
    ("CIFF:DateTimeOriginal", "", ""),
    ("PictureInfo:DateTimeOriginal", "", ""),
    ("Reconyx:DateTimeOriginal", "", ""),
    ("Casio:DateTimeOriginal", "", ""),
    ("XMP-exif:DateTimeOriginal", "", ""),
    ("XMP-photoshop:DateCreated", "", ""),
    ("IPTC:DateCreated", "", "IPTC:TimeCreated"),
    ("ExifIFD:CreateDate", "ExifIFD:SubSecTimeDigitized", "ExifIFD:OffsetTimeDigitized"),
    ("XMP-xmp:CreateDate", "", ""),
    ("XMP-exif:DateTimeDigitized", "", ""),
    ("IPTC:DigitalCreationDate", "", "IPTC:DigitalCreationTime"),
    ("PNG:CreationTime", "", ""),
    ("IFD0:ModifyDate", "ExifIFD:SubSecTime", "ExifIFD:OffsetTime"),
)
_FIRST = {
    "orientation": ("IFD0:Orientation", "XMP-tiff:Orientation"),
    "camera_make": ("IFD0:Make", "CIFF:Make", "XMP-tiff:Make"),
    "camera_model": ("IFD0:Model", "CIFF:Model", "XMP-tiff:Model"),
    "lens": (
        "ExifIFD:LensModel",
        "XMP-exifEX:LensModel",
        "XMP-aux:Lens",
        "Canon:LensModel",
        "Nikon:Lens",
        "Composite:Lens",
        "Olympus:LensModel",
        "Panasonic:LensType",
        "XMP-microsoft:LensModel",
        "ExifIFD:LensInfo",
        "XMP-exifEX:LensInfo",
        "XMP-aux:LensInfo",
    ),
    "iso": (
        "ExifIFD:ISO",
        "ExifIFD:RecommendedExposureIndex",
        "ExifIFD:StandardOutputSensitivity",
        "Casio:ISO",
        "Kodak:ISO",
        "Pentax:ISO",
        "Composite:ISO",
        "XMP-exif:ISO",
        "XMP-exifEX:PhotographicSensitivity",
        "XMP-exifEX:RecommendedExposureIndex",
    ),
    "aperture": (
        "Kodak:FNumber",
        "ExifIFD:FNumber",
        "ExifIFD:ApertureValue",
        "PictureInfo:FNumber",
        "CIFF:ApertureValue",
        "XMP-exif:FNumber",
        "XMP-exif:ApertureValue",
    ),
    "exposure_time": (
        "Kodak:ExposureTime",
        "ExifIFD:ExposureTime",
        "ExifIFD:ShutterSpeedValue",
        "PictureInfo:ExposureTime",
        "CIFF:ShutterSpeedValue",
        "XMP-exif:ExposureTime",
        "XMP-exif:ShutterSpeedValue",
    ),
    "focal_length": ("ExifIFD:FocalLength", "CIFF:FocalLength", "XMP-exif:FocalLength"),
    "label": ("XMP-xmp:Label",),
    "title": ("XMP-dc:Title", "IPTC:ObjectName", "PNG:Title", "XMP-acdsee:Caption", "IFD0:XPTitle"),
    "description": (
        "XMP-dc:Description",
        "IPTC:Caption-Abstract",
        "PNG:Description",
        "PNG:Comment",
        "XMP-tiff:ImageDescription",
        "XMP-exif:UserComment",
        "XMP-acdsee:Notes",
        "IFD0:ImageDescription",
        "ExifIFD:UserComment",
        "IFD0:XPComment",
        "IFD0:XPSubject",
        "File:Comment",
    ),
}
_TAGS = (
    "XMP-dc:Subject",
    "IPTC:Keywords",
    "XMP-acdsee:Keywords",
    "XMP-mwg-kw:HierarchicalKeywords1",
    "XMP-mwg-kw:HierarchicalKeywords2",
)
_PEOPLE = (
    "XMP-mwg-rs:RegionName",
    "XMP-MP:RegionPersonDisplayName",
    "XMP-iptcExt:PersonInImageName",
    "XMP-iptcExt:PersonInImage",
    "XMP-mediapro:People",
)
_TREES = (
    ("XMP-lr:HierarchicalSubject", "|"),
    ("XMP-digiKam:TagsList", "/"),
    ("XMP-microsoft:LastKeywordXMP", "/"),
    ("XMP-mediapro:CatalogSets", "|"),
)
_RATINGS = ("XMP-xmp:Rating", "XMP-acdsee:Rating", "IFD0:Rating", "FujiFilm:Rating", "Sony:Rating")
_OF_CAMERAS = ("OLYMPUS DIGITAL CAMERA", "SONY DSC", "SAMSUNG CAMERA PICTURES", "KONICA MINOLTA DIGITAL CAMERA")

_WITH_RANGES = ("ExifIFD", "XMP-exifEX", "XMP-aux")
_PRINTED = ("Nikon:Lens", "Composite:Lens", "Pentax:ISO", *(f"{group}:LensInfo" for group in _WITH_RANGES))
"""Of these the words count; the numbers behind them are a code, or a part."""
TAGS = sorted(
    {
        *(tag for sources in _DATES for tag in sources if tag),
        *(tag for sources in _FIRST.values() for tag in sources),
        *_TAGS,
        *(tag for tag, _ in _TREES),
        *_RATINGS,
        "File:FileType",
        "File:ImageWidth",
        "File:ImageHeight",
        "PNG:ImageWidth",
        "PNG:ImageHeight",
        "IFD0:ImageWidth",
        "IFD0:ImageHeight",
        "RIFF:ImageWidth",
        "RIFF:ImageHeight",
        "Meta:ImageWidth",
        "Meta:ImageHeight",
        "QuickTime:Rotation",
        "Composite:GPSLatitude",
        "Composite:GPSLongitude",
        "XMP-exif:GPSLatitude",
        "XMP-exif:GPSLongitude",
        "XMP-microsoft:RatingPercent",
        "IFD0:RatingPercent",
        *_PEOPLE,
        "IFD0:XPKeywords",
    }
)


def ask(folder: Path, names: Iterable[str]) -> dict[str, Recorded]:
    """Ask exiftool about files below a folder."""
    command = [
        "exiftool",
        "-q",
        "-j",
        "-a",
        "-G1",
        *(f"-{tag}{'' if tag in _PRINTED else '#'}" for tag in TAGS),
        *names,
    ]
    answer = subprocess.run(command, cwd=folder, capture_output=True, check=True).stdout
    return {record.pop("SourceFile"): record for record in json.loads(answer)}


def fields(said: Recorded) -> dict[str, Any]:
    """Return what the fields of `Metadata` have to be; None for what the file does not know."""
    found: dict[str, Any] = {field: _first(said, sources) for field, sources in _FIRST.items()}
    if str(found["description"]).startswith("<Digimax"):  # which is the camera's name
        found["description"] = None
    return found | {
        "iso": round(found["iso"]) if found["iso"] else None,
        "taken_at": next((date for date in (_date(said, *sources) for sources in _DATES) if date), None),
        "gps": _position(said),
        "rating": _rating(said),
        "tags": _tags(said) or None,
        "people": _texts(said, *_PEOPLE) or None,
    }


def _first(said: Recorded, sources: Iterable[str]) -> Any:
    for source in sources:
        value = said.get(source)
        if isinstance(value, str):
            value = value.strip(" \0")
            if value in _OF_CAMERAS or not value.strip("-. "):
                continue
            if re.fullmatch(r"\d+\.\d+", value):
                value = float(value)  # which are texts in its JSON where they have many digits
        if value not in (None, "", 0):
            return value
    return None


def _date(said: Recorded, date: str, fraction: str, offset: str) -> str | None:
    written = str(said.get(date, "")).strip()
    if not re.match(r"(?!0000)\d{4}", written):
        return None
    day, _, time = written.partition(" ")
    if offset.startswith("IPTC") and said.get(offset):
        time = said[offset]
    digits = str(said.get(fraction, "")).strip().rstrip("0") if fraction else ""
    zone = str(said.get(offset, "")) if offset.startswith("ExifIFD") else ""
    clock = re.match(r"([\d:]*)(\.\d+)?(.*)", time)
    assert clock is not None
    whole, own, own_zone = clock.groups()
    if not whole:
        return day.replace(":", "-")
    whole = whole if whole.count(":") == 2 else f"{whole}:00"
    own = (own or "").rstrip("0").rstrip(".")
    return (
        f"{day.replace(':', '-')}T{whole}{own or (f'.{digits}' if digits else '')}"
        f"{(own_zone or zone).replace('Z', '+00:00')}"
    )


def _position(said: Recorded) -> dict[str, float] | None:
    for group in ("Composite", "XMP-exif"):
        place = said.get(f"{group}:GPSLatitude"), said.get(f"{group}:GPSLongitude")
        if all(isinstance(degrees, (int, float)) for degrees in place) and place != (0, 0):
            return {"lat": place[0], "lon": place[1]}  # type: ignore[dict-item]  # numbers, as was just seen
    return None


def _rating(said: Recorded) -> float | None:
    stars = next((said[tag] for tag in _RATINGS if tag in said), None)
    percent = said.get("XMP-microsoft:RatingPercent", said.get("IFD0:RatingPercent"))
    if stars is None and percent is not None:
        stars = {0: None, 1: 1, 25: 2, 50: 3, 75: 4, 99: 5}[percent]
    return stars


def _texts(said: Recorded, *tags: str) -> list[str]:
    found: list[str] = []
    for tag in tags:
        value = said.get(tag, [])
        found += [str(one).strip() for one in (value if isinstance(value, list) else [value])]
    return list(dict.fromkeys(text for text in found if text))


def _tags(said: Recorded) -> list[str]:
    found = _texts(said, *_TAGS)
    for tag, separator in _TREES:
        for path in _texts(said, tag):
            found += [path, *path.split(separator)]
    found += [word.strip() for word in str(said.get("IFD0:XPKeywords", "")).split(";") if word.strip()]
    return list(dict.fromkeys(found))
