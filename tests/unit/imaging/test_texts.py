"""Texts as pictures hold them."""

import pytest

from imaging.exif import text, wide_text
from imaging.texts import decoded, written


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
