"""Metadata agrees with exiftool, which reads it independently, field by field.

Of real photographs exiftool's answer is recorded; files of every kind of metadata are made by exiftool itself.
"""

import subprocess
from pathlib import Path

import pillow_heif
import pytest
from PIL import Image

from imaging.metadata import Metadata
from tests.photos import PHOTOS, photo
from tests.unit.imaging.expected import EXIFTOOL
from tests.unit.imaging.oracle import Recorded, ask, fields
from tests.unit.imaging.preparing import prepared

pillow_heif.register_heif_opener()


def assert_agree(known: Metadata, said: Recorded) -> None:
    ours = known.model_dump()
    for field, value in fields(said).items():
        found = ours[field]
        if isinstance(value, float):
            assert found == pytest.approx(value, rel=1e-4), field
        elif field == "gps" and value is not None:
            assert found == {axis: pytest.approx(degrees, abs=1e-6) for axis, degrees in value.items()}
        elif field in ("tags", "people"):
            assert sorted(found or []) == sorted(value or []), field
        else:
            assert found == value, field


@pytest.mark.parametrize("name", EXIFTOOL)
def test_agrees_with_exiftool(name: str) -> None:
    said = EXIFTOOL[name]
    known = prepared(photo(name)).metadata
    assert (known.width, known.height) == _upright(said)
    assert known.file_size == photo(name).stat().st_size
    assert_agree(known, said)


def test_what_the_file_does_not_know_is_absent() -> None:
    known = prepared(photo("jpg/orientation/landscape_6.jpg")).metadata.model_dump(exclude_none=True)
    assert set(known) == {"width", "height", "format", "mode", "file_size", "orientation"}


@pytest.mark.system
def test_literals_are_what_exiftool_says() -> None:
    assert ask(PHOTOS, EXIFTOOL) == EXIFTOOL


WRITTEN = {
    "exif": (
        "-Make=Canon",
        "-Model=EOS R5",
        "-LensModel=RF 50mm F1.2",
        "-ISO=400",
        "-FNumber=2.8",
        "-ExposureTime=1/250",
        "-FocalLength=50",
        "-EXIF:DateTimeOriginal=2021:04:11 15:47:53",
        "-OffsetTimeOriginal=+09:00",
        "-SubSecTimeOriginal=25",
        "-EXIF:GPSLatitude=48.8583",
        "-EXIF:GPSLatitudeRef=N",
        "-EXIF:GPSLongitude=2.2945",
        "-EXIF:GPSLongitudeRef=W",
    ),
    "exif-digitised": (
        "-ExifIFD:CreateDate=2021:04:11 15:47:53",
        "-SubSecTimeDigitized=007",
        "-ModifyDate=2022:01:01 00:00:00",
    ),
    "exif-changed": ("-IFD0:ModifyDate=2022:01:01 00:00:00", "-SubSecTime=5", "-OffsetTime=-03:00"),
    "windows": (
        "-XPTitle=Größe",
        "-XPComment=At the sea",
        "-XPKeywords=sea;Zürich",
        "-IFD0:RatingPercent=75",
    ),
    "rating": ("-IFD0:Rating=3", "-IFD0:RatingPercent=50", "-UserComment=海 and sky"),
    "xmp": (
        "-XMP-dc:Title=Größe",
        "-XMP-dc:Description=At the sea",
        "-XMP-dc:Subject=sea",
        "-XMP-dc:Subject=Zürich",
        "-XMP-lr:HierarchicalSubject=Places|France|Paris",
        "-XMP-xmp:Rating=4",
        "-XMP-xmp:Label=Red",
        "-XMP-exif:GPSLatitude=-33.5",
        "-XMP-exif:GPSLongitude=151.25",
        "-XMP-exif:DateTimeOriginal=2020:01:02 03:04:05.678+01:00",
        "-XMP-aux:Lens=Lens 50",
        "-XMP-exif:ISO=200",
        "-XMP-exif:FNumber=4",
        "-XMP-exif:ExposureTime=0.004",
        "-XMP-exif:FocalLength=85",
        "-XMP-tiff:Make=Leica",
        "-XMP-tiff:Model=M11",
    ),
    "xmp-created": ("-XMP-xmp:CreateDate=2020:01:02 03:04:05Z", "-XMP-xmp:Rating=-1"),
    "xmp-digitised": ("-XMP-exif:DateTimeDigitized=2020:01:02 03:04:05.5",),
    "xmp-year": ("-XMP-photoshop:DateCreated=1978", "-XMP-microsoft:RatingPercent=25"),
    "xmp-month": ("-XMP-photoshop:DateCreated=1978:06",),
    "xmp-day": ("-XMP-photoshop:DateCreated=1978:06:05",),
    "people": (
        "-RegionInfo={AppliedToDimensions={W=40,H=30,Unit=pixel},RegionList=["
        "{Area={W=0.1,H=0.1,X=0.5,Y=0.5,Unit=normalized},Name=Ann,Type=Face},"
        "{Area={W=0.1,H=0.1,X=0.6,Y=0.5,Unit=normalized},Name=Zoë,Type=Face}]}",
        "-RegionInfoMP={Regions=[{Rectangle=0.1|, 0.1|, 0.2|, 0.2,PersonDisplayName=Bob}]}",
        "-XMP-iptcExt:PersonInImage=Carl",
    ),
    "lens-range": ("-ExifIFD:LensInfo=18 55 3.5 5.6", "-StandardOutputSensitivity=102400"),
    "xmp-lens-range": ("-XMP-exifEX:LensInfo=50 50 1.8 1.8", "-XMP-exifEX:PhotographicSensitivity=400"),
    "xmp-apex": (
        "-XMP-exif:ApertureValue=5.6",
        "-XMP-exif:ShutterSpeedValue=1/250",
        "-XMP-exifEX:RecommendedExposureIndex=800",
        "-XMP-aux:LensInfo=18 55 3.5 5.6",
    ),
    "xmp-camera": (
        "-XMP-microsoft:LensModel=EF 50",
        "-XMP-tiff:ImageDescription=At the sea",
        "-XMP-microsoft:LastKeywordXMP=Places/Italy",
    ),
    "acdsee": (
        "-XMP-acdsee:Rating=3",
        "-XMP-acdsee:Caption=Sea",
        "-XMP-acdsee:Notes=At the sea",
        "-XMP-acdsee:Keywords=sea",
    ),
    "people-details": ("-PersonInImageWDetails={PersonName=Ann}", "-XMP-mediapro:People=Bob"),
    "keywords-mwg": (
        "-KeywordInfo={Hierarchy=[{Keyword=Places,Children=[{Keyword=Italy}]}]}",
        "-XMP-mediapro:CatalogSets=Places|Rome",
    ),
    "stars-and-percent": ("-IFD0:Rating=3", "-XMP-microsoft:RatingPercent=99"),
    "tree": ("-XMP-digiKam:TagsList=Places/Italy", "-XMP-dc:Subject=Italy"),
    "no-fix": (
        "-EXIF:GPSLatitude=0",
        "-EXIF:GPSLatitudeRef=N",
        "-EXIF:GPSLongitude=0",
        "-EXIF:GPSLongitudeRef=E",
        "-ImageDescription=OLYMPUS DIGITAL CAMERA",
        "-LensModel=----",
        "-UserComment=   ",
    ),
}
IPTC = {
    "iptc": (
        "-IPTC:ObjectName=Größe",
        "-IPTC:Caption-Abstract=At the sea",
        "-IPTC:Keywords=sea",
        "-IPTC:Keywords=Zürich",
        "-IPTC:DateCreated=2004:06:05",
        "-IPTC:TimeCreated=10:07:05+02:00",
    ),
    "iptc-utf8": ("-CodedCharacterSet=UTF8", "-IPTC:ObjectName=海", "-IPTC:Keywords=Łódź"),
    "iptc-digitised": ("-IPTC:DigitalCreationDate=2004:06:05", "-IPTC:DigitalCreationTime=10:07:05+02:00"),
}
PNG = {
    "png": ("-PNG:Title=Größe", "-PNG:Description=At the sea", "-PNG:CreationTime=2004:06:05 10:07:05+02:00"),
    "png-comment": ("-PNG:Comment=At the sea",),
}
COMMENT = {"comment": ("-Comment=At the sea",)}
FORMATS = {
    "jpg": "JPEG",
    "tif": "TIFF",
    "png": "PNG",
    "webp": "WEBP",
    "heic": "HEIF",
    "avif": "AVIF",
    "jp2": "JPEG2000",
    "gif": "GIF",
}


def _kinds(extension: str) -> dict[str, tuple[str, ...]]:
    if extension == "gif":  # has XMP and a comment alone
        return COMMENT | {
            kind: arguments
            for kind, arguments in WRITTEN.items()
            if kind.startswith(("xmp", "people", "acdsee", "keywords"))
        }
    comment = COMMENT if extension == "jpg" else {}
    return (
        WRITTEN | comment | (IPTC if extension in ("jpg", "tif", "png") else {}) | (PNG if extension == "png" else {})
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small pictures of all formats, into each of which exiftool has written one kind of metadata."""
    folder = tmp_path_factory.mktemp("written")
    commands: list[str] = []
    for extension, name in FORMATS.items():
        for kind, arguments in _kinds(extension).items():
            path = folder / f"{kind}.{extension}"
            Image.new("RGB", (40, 30), (10, 90, 160)).save(path, name)
            commands += ["-q", "-overwrite_original", "-charset", "iptc=latin", *arguments, str(path), "-execute"]
    script = folder / "arguments"
    script.write_text("\n".join(commands), "utf-8")
    done = subprocess.run(["exiftool", "-@", str(script)], capture_output=True, text=True, check=False)
    assert "Error" not in done.stderr, done.stderr
    return folder


@pytest.mark.system
@pytest.mark.parametrize("extension", FORMATS)
def test_agrees_on_what_exiftool_wrote(written: Path, extension: str) -> None:
    names = [f"{kind}.{extension}" for kind in _kinds(extension)]
    said = ask(written, names)
    wrong = []
    for name in names:
        try:
            assert_agree(prepared(written / name).metadata, said[name])
        except AssertionError as error:
            wrong.append(f"{name}: {' '.join(str(error).split())[:300]}")
    assert wrong == []
    # What is compared is there: no field is None in all of these files.
    known = [field for answer in said.values() for field, value in fields(answer).items() if value is not None]
    of_the_pixels = {"width", "height", "format", "mode", "file_size", "orientation", "damaged"}
    assert {*known} >= {*Metadata.model_fields} - of_the_pixels


def _upright(said: Recorded) -> tuple[int, int]:
    """HEIC is turned by its own rotation (QuickTime tag), everything else by EXIF orientation."""
    sizes = [
        (said[f"{group}:ImageWidth"], said[f"{group}:ImageHeight"])
        for group in ("File", "Meta", "IFD0", "PNG")
        if f"{group}:ImageWidth" in said
    ]
    width, height = sizes[0]
    is_heic = said["File:FileType"] in ("HEIC", "HEIF")
    lies = said.get("QuickTime:Rotation") in (90, 270) if is_heic else said.get("IFD0:Orientation") in (5, 6, 7, 8)
    return (height, width) if lies else (width, height)
