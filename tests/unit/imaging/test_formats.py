import pytest

from imaging.formats import EXTENSIONS, is_listed, raw_format

LISTED = "jpg jpeg png bmp gif tif tiff webp heic heif avif dng cr2 cr3 nef arw rw2 orf raf pef srw kdc raw"


def test_extensions_are_those_of_the_contract() -> None:
    assert frozenset(LISTED.split()) == EXTENSIONS


@pytest.mark.parametrize("path", ["a.jpg", "/x/A.JPG", b"/caf\xe9/\xff.HeIc", "a.b.nef", "/with.dots/a.raw"])
def test_listed(path: bytes | str) -> None:
    assert is_listed(path)


@pytest.mark.parametrize("path", ["a.txt", "jpg", "/x/.jpg", "a.jpg.part", "/album.jpg/notes", "a.jpg~", ""])
def test_not_listed(path: str) -> None:
    assert not is_listed(path)


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"FUJIFILMCCD-RAW 0201", "RAF"),
        (b"IIU\0\x18\0\0\0\x88\xe7\x74\xd8", "RW2"),
        (b"IIRO\x08\0\0\0", "ORF"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1", "CR3"),
        (b"II*\0\x10\0\0\0CR\2\0", "CR2"),
        (b"II*\0\x08\0\0\0\0\0\0\0", None),
        (b"\xff\xd8\xff\xe0", None),
        (b"\0\0\0\x18ftypheic\0\0\0\0", None),
        (b"", None),
    ],
)
def test_raw_format_shows_in_the_first_bytes(head: bytes, name: str | None) -> None:
    assert raw_format(head) == name
