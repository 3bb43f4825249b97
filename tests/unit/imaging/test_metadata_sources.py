"""Every place that a fact may be in, in every format, and which of them counts."""

import io
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from imaging.metadata import Metadata
from tests.unit.imaging.blocks import (
    ascii_text,
    exif,
    long,
    photoshop,
    rational,
    segment,
    short,
    undefined,
    with_properties,
)
from tests.unit.imaging.preparing import prepared

JPEG = io.BytesIO()
Image.new("RGB", (40, 30), (10, 90, 160)).save(JPEG, "JPEG")


def of_jpeg(tmp_path: Path, *, exif_block: bytes = b"", xmp: str = "", iptc: bytes = b"") -> Metadata:
    jpeg = JPEG.getvalue()
    if iptc:
        jpeg = segment(jpeg, 0xED, iptc)
    if xmp:
        jpeg = segment(jpeg, 0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp.encode())
    if exif_block:
        jpeg = segment(jpeg, 0xE1, exif_block)
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg)
    return prepared(path).metadata


CHANGED = ascii_text(306, b"2009:01:01 00:00:00")
DIGITISED = ascii_text(36868, b"2006:01:01 00:00:00")
ORIGINAL = ascii_text(36867, b"2001:01:01 00:00:00")
XMP_DATES = 'photoshop:DateCreated="2003-01-01" xmp:CreateDate="2007-01-01T00:00:00"'


@pytest.mark.parametrize(
    ("parts", "wanted"),
    [
        ({"exif_block": exif([CHANGED])}, "2009-01-01T00:00:00"),
        ({"exif_block": exif([CHANGED], [DIGITISED])}, "2006-01-01T00:00:00"),
        ({"exif_block": exif([CHANGED], [ORIGINAL, DIGITISED]), "xmp": XMP_DATES}, "2001-01-01T00:00:00"),
        ({"exif_block": exif([CHANGED], [DIGITISED]), "xmp": XMP_DATES}, "2003-01-01"),
        ({"exif_block": exif([CHANGED]), "xmp": 'xmp:CreateDate="2007-01-01T10:20:30Z"'}, "2007-01-01T10:20:30+00:00"),
        ({"exif_block": exif([], [ascii_text(36867, b"0000:00:00 00:00:00"), DIGITISED])}, "2006-01-01T00:00:00"),
        ({"exif_block": exif([ascii_text(36867, b"2001:01:01 00:00:00")])}, "2001-01-01T00:00:00"),
        ({"iptc": photoshop((2, 55, b"20040605"), (2, 60, b"100705+0200"))}, "2004-06-05T10:07:05+02:00"),
        ({"iptc": photoshop((2, 62, b"20040605"))}, "2004-06-05"),
        ({"iptc": photoshop((2, 55, b"20040605")), "xmp": 'photoshop:DateCreated="2003"'}, "2003"),
        (
            {
                "iptc": photoshop((2, 55, b"20040605"), (2, 60, b"100705+0200")),
                "xmp": 'photoshop:DateCreated="2004-06-05"',
            },
            "2004-06-05T10:07:05+02:00",
        ),
        (
            {
                "exif_block": exif(
                    [],
                    [ORIGINAL, ascii_text(36881, b"+09:00"), ascii_text(37521, b"042"), ascii_text(36880, b"-01:00")],
                )
            },
            "2001-01-01T00:00:00.042+09:00",
        ),
        ({}, None),
    ],
)
def test_which_date_counts(tmp_path: Path, parts: dict[str, Any], wanted: str | None) -> None:
    if "xmp" in parts:
        parts = parts | {"xmp": with_properties(parts["xmp"])}
    assert of_jpeg(tmp_path, **parts).taken_at == wanted


def test_windows_fields(tmp_path: Path) -> None:
    def wide(text: str) -> bytes:
        return (text + "\0").encode("utf-16-le")

    block = exif(
        [
            (40091, 1, len(wide("Größe")), wide("Größe")),
            (40092, 1, len(wide("At the sea")), wide("At the sea")),
            (40094, 1, len(wide("sea;sky; ")), wide("sea;sky; ")),
            (18249, 3, 1, b"\x4b\0"),
        ]
    )
    known = of_jpeg(tmp_path, exif_block=block)
    assert (known.title, known.description, known.tags, known.rating) == ("Größe", "At the sea", ["sea", "sky"], 4)


@pytest.mark.parametrize(
    ("entries", "xmp", "wanted"),
    [
        ([(18246, 3, 1, b"\3\0")], "", 3),
        ([(18246, 3, 1, b"\3\0")], 'xmp:Rating="5"', 5),
        ([(18246, 3, 1, b"\xff\xff")], "", None),
        ([(18246, 3, 1, b"\0\0")], "", 0),
        ([], 'MicrosoftPhoto:Rating="25"', 2),
        ([(18246, 3, 1, b"\3\0")], 'MicrosoftPhoto:Rating="25"', 3),
        ([(18249, 3, 1, b"\x63\0")], 'MicrosoftPhoto:Rating="25"', 2),
        # Nikon writes it into each picture.
        ([], 'MicrosoftPhoto:Rating="0"', None),
        ([(18249, 3, 1, b"\0\0")], "", None),
        ([], 'xmp:Rating="-1"', -1),
        ([], "", None),
    ],
)
def test_which_rating_counts(tmp_path: Path, entries: list[Any], xmp: str, wanted: float | None) -> None:
    assert of_jpeg(tmp_path, exif_block=exif(entries), xmp=with_properties(xmp)).rating == wanted


def test_texts_of_cameras_are_none(tmp_path: Path) -> None:
    block = exif(
        [ascii_text(270, b"OLYMPUS DIGITAL CAMERA         "), ascii_text(271, b"SAMSUNG"), ascii_text(272, b"----")],
        [undefined(37510, b"ASCII\0\0\0" + b" " * 100), ascii_text(42036, b"----")],
    )
    known = of_jpeg(tmp_path, exif_block=block)
    assert (known.description, known.camera_make, known.camera_model, known.lens) == (None, "SAMSUNG", None, None)


def test_a_comment_is_the_description_where_there_is_no_other(tmp_path: Path) -> None:
    comment = undefined(37510, b"UNICODE\0" + "Größe".encode("utf-16-be"))
    assert of_jpeg(tmp_path, exif_block=exif([], [comment])).description == "Größe"
    assert of_jpeg(tmp_path, exif_block=exif([ascii_text(270, b"At the sea")], [comment])).description == "At the sea"


@pytest.mark.parametrize("format_name", ["JPEG", "GIF"])
def test_the_comment_of_a_file_is_the_last_resort(tmp_path: Path, format_name: str) -> None:
    path = tmp_path / "a"
    Image.new("L", (40, 30), 90).save(path, format_name, comment=b"At the sea")
    assert prepared(path).metadata.description == "At the sea"
    jpeg = segment(JPEG.getvalue(), 0xFE, b"At the sea")
    path.write_bytes(segment(jpeg, 0xE1, exif([ascii_text(270, b"In the hills")])))
    assert prepared(path).metadata.description == "In the hills"


@pytest.mark.parametrize("name", [b"UNICODE\0", b"Unicode\0"], ids=["capitals", "small"])
def test_a_wide_comment_may_have_the_order_of_its_block(tmp_path: Path, name: bytes) -> None:
    comment = undefined(37510, name + "海山川".encode("utf-16-be"))
    assert of_jpeg(tmp_path, exif_block=exif([], [comment], ">")).description == "海山川"


def test_of_a_lens_without_a_name_its_range_is_known(tmp_path: Path) -> None:
    lens = rational(42034, (18, 1), (55, 1), (35, 10), (56, 10))
    assert of_jpeg(tmp_path, exif_block=exif([], [lens])).lens == "18-55mm f/3.5-5.6"
    assert of_jpeg(tmp_path, exif_block=exif([], [lens, ascii_text(42036, b"EF-S")])).lens == "EF-S"


def test_xmp_whose_segment_is_named_wrongly(tmp_path: Path) -> None:
    """As a large agency writes it."""
    jpeg = segment(
        JPEG.getvalue(), 0xE1, b"XMP\0://ns.adobe.com/xap/1.0/\0" + with_properties('xmp:Label="Red"').encode()
    )
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg)
    assert prepared(path).metadata.label == "Red"


def test_offsets_beyond_all_files_do_not_fail_a_picture(tmp_path: Path) -> None:
    big = b"Exif\0\0II+\0\x08\0\0\0" + (16).to_bytes(8, "little") + (1).to_bytes(8, "little")
    for place in (1 << 62, (1 << 64) - 1):
        entry = b"\x0f\x01\x02\0" + (20).to_bytes(8, "little") + place.to_bytes(8, "little")
        assert of_jpeg(tmp_path, exif_block=big + entry + bytes(8)).camera_make is None
    path = tmp_path / "a.jp2"
    Image.new("RGB", (40, 30)).save(path, "JPEG2000")
    path.write_bytes(path.read_bytes() + b"\0\0\0\x01free" + (1 << 63).to_bytes(8) + bytes(8))
    assert prepared(path).metadata.width == 40


def test_texts_are_composed(tmp_path: Path) -> None:
    """macOS writes letters and their accents apart: what looks the same is the same."""
    elements = "<dc:subject><rdf:Bag><rdf:li>Zu\u0308rich</rdf:li><rdf:li>Z\u00fcrich</rdf:li></rdf:Bag></dc:subject>"
    assert of_jpeg(tmp_path, xmp=with_properties(elements=elements)).tags == ["Z\u00fcrich"]


def test_label_people_and_position_of_xmp(tmp_path: Path) -> None:
    packet = with_properties(
        'xmp:Label="Red" exif:GPSLatitude="48,51.5N" exif:GPSLongitude="2,21E"',
        "<Iptc4xmpExt:PersonInImage><rdf:Bag><rdf:li>Ann</rdf:li></rdf:Bag></Iptc4xmpExt:PersonInImage>",
    )
    known = of_jpeg(tmp_path, xmp=packet)
    assert (known.label, known.people) == ("Red", ["Ann"])
    assert known.gps is not None
    assert known.gps.lat == pytest.approx(48.858333, abs=1e-6)
    assert known.gps.lon == pytest.approx(2.35)


def test_xmp_that_did_not_fit_into_one_segment(tmp_path: Path) -> None:
    first, second = with_properties('xmp:Label="Red"'), with_properties('xmp:Rating="4"').encode()
    half = len(second) // 2
    jpeg = JPEG.getvalue()
    for start, part in ((half, second[half:]), (0, second[:half])):
        head = b"http://ns.adobe.com/xmp/extension/\0" + b"A" * 32 + len(second).to_bytes(4) + start.to_bytes(4)
        jpeg = segment(jpeg, 0xE1, head + part)
    jpeg = segment(jpeg, 0xE1, b"http://ns.adobe.com/xap/1.0/\0" + first.encode())
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg)
    known = prepared(path).metadata
    assert (known.label, known.rating) == ("Red", 4)


def of_png(tmp_path: Path, texts: PngInfo, **options: Any) -> Metadata:
    path = tmp_path / "a.png"
    Image.new("RGB", (40, 30)).save(path, pnginfo=texts, **options)
    return prepared(path).metadata


def test_texts_of_png(tmp_path: Path) -> None:
    texts = PngInfo()
    texts.add_text("Title", "Größe")
    texts.add_itxt("Description", "海")
    texts.add_text("Creation Time", "Sat, 05 Jun 2004 10:07:05 +0200", zip=True)
    known = of_png(tmp_path, texts)
    assert (known.title, known.description, known.taken_at) == ("Größe", "海", "2004-06-05T10:07:05+02:00")


def test_exif_of_png(tmp_path: Path) -> None:
    assert of_png(tmp_path, PngInfo(), exif=exif([], [ORIGINAL])).taken_at == "2001-01-01T00:00:00"


def test_blocks_that_imagemagick_writes_into_png_as_text(tmp_path: Path) -> None:
    def raw(name: str, block: bytes) -> str:
        return f"\n{name}\n{len(block):8}\n{block.hex()}\n"

    texts = PngInfo()
    texts.add_text("Raw profile type exif", raw("exif", exif([], [ORIGINAL])), zip=True)
    texts.add_text(
        "Raw profile type iptc", raw("IPTC profile", photoshop((2, 25, b"sea"), (2, 105, b"x" * 60))[14:]), zip=True
    )
    texts.add_text("Raw profile type xmp", raw("xmp", with_properties('xmp:Rating="4"').encode()), zip=True)
    known = of_png(tmp_path, texts)
    assert (known.taken_at, known.tags, known.rating) == ("2001-01-01T00:00:00", ["sea"], 4)


def test_a_text_of_several_megabytes_does_not_fail_a_png(tmp_path: Path) -> None:
    texts = PngInfo()
    texts.add_text("Comment", "x" * (3 << 20), zip=True)
    known = of_png(tmp_path, texts)
    assert known.description is not None
    assert len(known.description) == 2_000
    assert len(zlib.compress(b"x" * (3 << 20))) < 10_000


@pytest.mark.parametrize("format_name", ["TIFF", "WEBP", "AVIF", "HEIF"])
def test_exif_in_every_format(tmp_path: Path, format_name: str) -> None:
    path = tmp_path / "a"
    block = exif([ascii_text(271, b"Canon")], [ORIGINAL])
    image = Image.new("RGB", (40, 30))
    if format_name == "TIFF":
        tags = Image.Exif()
        tags.load(block)
        image.save(path, "TIFF", exif=tags)
    else:
        image.save(path, format_name, exif=block)
    known = prepared(path).metadata
    assert (known.camera_make, known.taken_at) == ("Canon", "2001-01-01T00:00:00")


@pytest.mark.parametrize("kind", [1, 4, 7])
def test_iptc_of_tiff_whatever_type_it_is_declared_as(tmp_path: Path, kind: int) -> None:
    data = photoshop((2, 5, b"Title"), (2, 25, b"sea"))[26:]
    data = data.ljust(-(-len(data) // 4) * 4, b"\0")

    def tiff(strip: int) -> bytes:
        layout = [short(256, 4), short(257, 4), short(258, 8), short(259, 1), short(262, 1), short(278, 4)]
        iptc = (33723, kind, len(data) // (4 if kind == 4 else 1), data)
        return exif([*layout, long(273, strip), long(279, 16), iptc])[6:]

    path = tmp_path / "a.tif"
    path.write_bytes(tiff(len(tiff(0))) + bytes(range(16)))
    known = prepared(path).metadata
    assert (known.title, known.tags) == ("Title", ["sea"])
