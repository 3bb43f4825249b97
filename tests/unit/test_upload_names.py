"""What becomes of the names that come with uploads."""

import pytest

from api.uploads.receiving import MAX_NAME_BYTES, safe_name


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\photos\\a.jpg", "a.jpg"),
        (".hidden.jpg", "hidden.jpg"),
        ("..", "file"),
        ("a\x00b\n.jpg", "ab.jpg"),
        ("  ", "file"),
        ("\u202egpj.exe", "gpj.exe"),
        ("a\x9b5m\u2028b\u2067.jpg", "a5mb.jpg"),
        ("\U0001f468\u200d\U0001f469.jpg", "\U0001f468\u200d\U0001f469.jpg"),
        ("ä" * 300 + ".jpg", "ä" * 98 + ".jpg"),
        ("a." + "x" * 300, "a." + "x" * (MAX_NAME_BYTES - 2)),
    ],
)
def test_a_name_never_leaves_its_folder_and_fits_the_disk(name: str, kept: str) -> None:
    assert safe_name(name) == kept
    assert len(safe_name(name).encode()) <= MAX_NAME_BYTES
