"""Texts as pictures hold them."""

from typing import Literal

import pytest

from imaging.exif import text, wide_text
from imaging.texts import decoded, file_comment, japanese, wide, written


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("Canon\0\0\0", "Canon"),
        ("  NIKON  ", "NIKON"),
        (b"Z\xc3\xbcrich", "Zürich"),
        (b"M\xfcnchen", "München"),
        (b"\x93quoted\x94", "“quoted”"),
        ("Zu\u0308rich", "Zürich"),
        ("a\x07b\x1b[0m", "ab[0m"),
        ("\U0001f468\u200d\U0001f469", "\U0001f468\u200d\U0001f469"),
        ("line\r\nline", "line\nline"),
        ("\0Canon", None),
        ("", None),
        ("  \u00a0 ", None),
        (b"Pentax\0rest", "Pentax"),
        (42, None),
        (None, None),
        ("x" * 100_000, "x" * 2_000),
    ],
)
def test_texts(value: object, wanted: str | None) -> None:
    assert text(value) == wanted


@pytest.mark.parametrize(
    "default",
    [
        "OLYMPUS DIGITAL CAMERA         ",
        "KONICA MINOLTA DIGITAL CAMERA",
        "SAMSUNG CAMERA PICTURES",
        "<Digimax S500 / Kenox S500>",
        "SONY DSC",
        "Minolta DSC",
        "DCIM\\100GOPRO\\GOPR0001.JPG",
        "----",
        " . ",
        "\0\0\0",
        "",
    ],
)
def test_what_a_camera_writes_for_nobody_is_nothing(default: str) -> None:
    assert written(default) is None


@pytest.mark.parametrize("title", ["At the sea", "海", "5", "Sony DSC and I", "Ω", "—5—"])
def test_what_a_person_wrote_stays(title: str) -> None:
    assert written(title) == title


def test_windows_texts() -> None:
    assert wide_text("Größe\0".encode("utf-16-le")) == "Größe"
    assert wide_text("x") is None
    assert decoded(b"\x81\xff") == "ÿ"


@pytest.mark.parametrize("text", ["At the sea", "Größe 海", "Привет", "海山川の日に行った"])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_the_order_of_wide_texts_shows_in_their_high_bytes(text: str, encoding: str) -> None:
    assert wide(text.encode(encoding), "<") == wide(text.encode(encoding), ">") == text


@pytest.mark.parametrize(("encoding", "order"), [("utf-16-le", "<"), ("utf-16-be", ">")])
def test_a_wide_text_that_does_not_show_its_order_is_in_that_of_the_block(
    encoding: str, order: Literal["<", ">"]
) -> None:
    assert wide("海山川".encode(encoding), order) == "海山川"


@pytest.mark.parametrize("value", ["海の日".encode(name) for name in ("iso2022_jp", "euc_jp", "shift_jis")])
def test_japanese(value: bytes) -> None:
    assert japanese(value) == "海の日"


def test_japanese_without_escapes() -> None:
    assert japanese("海の日".encode("iso2022_jp")[3:-3] + b"\0\0") == "海の日"


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (
            b"Die Insel Stromboli mit dem Vulkan Stromboli, 1000m hoch",
            "Die Insel Stromboli mit dem Vulkan Stromboli, 1000m hoch",
        ),
        (b"Lovely smoke effect here\0", "Lovely smoke effect here"),
        ("Größe".encode(), "Größe"),
        ("Größe".encode("latin-1"), "Größe"),
        (b"one line\r\nand another", "one line\nand another"),
        (b"made in Italy by Ann", "made in Italy by Ann"),
        (b"Adobe houses, Taos", "Adobe houses, Taos"),
        (b"Copyright 2004 Ann", "Copyright 2004 Ann"),
        (b"CREATOR: gd-jpeg v1.0 (using IJG JPEG v62), quality = 85\n", None),
        (b"File written by Adobe Photoshop\xa8 4.0", None),
        (b"Intel(R) JPEG Library, version [1.51.12.44]", None),
        (b"JPEG Encoder Copyright 1998, James R. Weeks and BioElectroMech.", None),
        (b"Optimized by JPEGmini 3.9.2.5L 0x5a8d1c2b", None),
        (b"Processed By eBay with ImageMagick, z1.1.0. ||B2", None),
        (b"LEAD Technologies Inc. V1.01", None),
        (b"ACD Systems Digital Imaging", None),
        (b"U-Lead Systems, Inc.", None),
        (b"Handmade Software, Inc. Image Alchemy v1.9", None),
        (b"Software: Microsoft Office", None),
        (b"Created with The GIMP", None),
        (b"Lavc58.54.100", None),
        (b"AppleMark\n", None),
        (b"*", None),
        (b"AE\x01\x02\x03debug", None),
        (b"", None),
        ("a text of a PNG", None),
        (None, None),
    ],
    ids=lambda value: str(value)[:40],
)
def test_comments_of_a_file_are_those_of_people(value: object, wanted: str | None) -> None:
    assert file_comment(value) == wanted
