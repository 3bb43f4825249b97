"""What cannot be prepared says why, in words, and whether the file or its content is to blame."""

import os
import time
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from cli.samples.scenes import scene
from core.errors import ContentError, FileChangedError, FileError
from imaging.decoding import prepare
from imaging.hashing import FileStamp, stamp
from tests.deadlines import HANG_SECONDS
from tests.photos import photo
from tests.unit.imaging.preparing import MAX_BYTES, MAX_PIXELS, decoded, prepared
from tests.unit.imaging.test_decoding import SAVED


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty: it has 0 bytes"),
        (b"milk\nbread\n", "holds text, not a picture"),
        (b"x" + "ß\n".encode() * 300, "holds text, not a picture"),
        (bytes(range(256)) * 40, "is no picture in a format that Darkroom knows"),
        (b"\xff\xd8\xff\xe0", "begins as a picture, but its header is damaged, or it ends within it"),
        (b"\0\0\0\x18ftypisom" + bytes(20), "is a film or another file in the container of MP4, which Darkroom does"),
        (b"RIFF\x10\0\0\0AVI LIST" + bytes(9), r"is a film \(AVI\), which Darkroom does not read"),
        (b"%PDF-1.7\n", "is a PDF document, which Darkroom does not read"),
        (bytes(5000), "holds zeros where its picture should begin: it was lost by its disk or its copy. Copy it again"),
        (
            b"BM" + bytes(12) + b"\x28\0\0\0\x09\0\0\0\x09\0\0\0\x01\0\x02" + bytes(40),
            "is of a kind that is not decoded",
        ),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "holds text, not a picture"),
        (b"II*\0\x08\0\0\0", "is damaged and cannot be decoded: it ends before the picture does"),
        (b"FUJIFILMCCD-RAW 0201FF383501", "is a RAW file that LibRaw cannot decode"),
    ],
)
def test_no_picture(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "named.jpg"
    path.write_bytes(content)
    with pytest.raises(ContentError, match=rf"named\.jpg {reason}"):
        prepared(path)


@pytest.mark.parametrize("extension", SAVED)
def test_truncated_picture_fails_rather_than_turning_grey(extension: str, tmp_path: Path) -> None:
    path = tmp_path / f"half.{extension}"
    format_name, options = SAVED[extension]
    Image.fromarray(scene(900, 600, 1)).save(path, format_name, **options)
    os.truncate(path, path.stat().st_size * 2 // 3)
    with pytest.raises(ContentError, match=rf"half\.{extension} "):
        prepared(path)


def test_truncation_is_named(tmp_path: Path) -> None:
    path = tmp_path / "short.jpg"
    path.write_bytes(photo("jpg/gps/DSCN0010.jpg").read_bytes()[:-2_000])
    with pytest.raises(ContentError, match="is damaged and cannot be decoded: it ends before the picture does"):
        prepared(path)


def test_bomb_is_refused_from_its_header(tmp_path: Path) -> None:
    """A PNG that claims 50,000 x 50,000 pixels and holds none: it fails on its size, not on the missing data."""
    path = tmp_path / "bomb.png"
    header = b"IHDR" + (50_000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
    path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\r" + header + zlib.crc32(header).to_bytes(4, "big") + b"\0\0\x10\0IDAT")
    with pytest.raises(ContentError, match=r"bomb\.png has .*pixels"):
        prepared(path)


def test_pixel_bound_is_exact(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (100, 50)).save(path)
    assert prepared(path, max_pixels=5_000).metadata.width == 100
    with pytest.raises(ContentError, match=r"100 x 50 = 5,000 pixels; at most 4,999 .*MAX_IMAGE_PIXELS"):
        prepared(path, max_pixels=4_999)


def test_byte_bound(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (100, 50)).save(path)
    size = path.stat().st_size
    assert prepared(path, max_bytes=size).metadata.file_size == size
    with pytest.raises(ContentError, match=r"at most .* are read \(setting MAX_FILE_BYTES\)"):
        prepared(path, max_bytes=size - 1)


def test_file_that_changed_since_it_was_hashed(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (100, 50)).save(path)
    before = stamp(os.fsencode(path))
    Image.new("RGB", (300, 70)).save(path)
    with pytest.raises(FileChangedError, match=r"a\.png changed since it was hashed"):
        _prepare(path, before)


def test_file_that_is_still_being_written_is_no_broken_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(photo("jpg/gps/DSCN0010.jpg").read_bytes()[:50_000])
    before = stamp(os.fsencode(path))
    open_picture = Image.open

    def open_while_someone_writes(*arguments: object, **options: object) -> Image.Image:
        with path.open("ab") as writer:
            writer.write(b"more")
        return open_picture(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Image, "open", open_while_someone_writes)
    with pytest.raises(FileChangedError):
        _prepare(path, before)


def test_other_bytes_under_the_same_stamp(tmp_path: Path) -> None:
    path = tmp_path / "a.bmp"
    Image.new("RGB", (10, 10), "red").save(path)
    with pytest.raises(FileChangedError, match=r"a\.bmp is not what was hashed"):
        _prepare(path, replace(stamp(os.fsencode(path)), ctime_ns=None), sha256="0" * 64)


def test_a_write_that_leaves_size_and_time_of_change_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.bmp"
    Image.new("RGB", (10, 10), "red").save(path)
    before = stamp(os.fsencode(path))

    def write() -> FileStamp:
        Image.new("RGB", (10, 10), "blue").save(path)
        os.utime(path, ns=(before.mtime_ns, before.mtime_ns))
        return stamp(os.fsencode(path))

    # The clock of the file system may stand still for some milliseconds.
    deadline = time.monotonic() + HANG_SECONDS
    while write().ctime_ns == before.ctime_ns:
        assert time.monotonic() < deadline
    assert stamp(os.fsencode(path)) == before
    with pytest.raises(FileChangedError, match=r"a\.bmp changed since it was hashed"):
        _prepare(path, before)


def test_file_that_vanished(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"gone\.jpg does not exist \(any more\)"):
        _prepare(tmp_path / "gone.jpg", FileStamp(1, 1))


def test_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(FileError, match="is not a regular file"):
        _prepare(tmp_path / "pipe.jpg", FileStamp(0, 0))


BROKEN = (
    "corrupted.jpg",
    "image00971.jpg",
    "image01088.jpg",
    "image01137.jpg",
    "image01551.jpg",
    "image01713.jpg",
    "image01980.jpg",
    "image02206.jpg",
)


@pytest.mark.parametrize("name", BROKEN)
def test_photographs_with_broken_metadata_are_prepared(name: str) -> None:
    """Their EXIF or XMP is damaged, their pixels are whole."""
    result = prepared(photo(f"broken/{name}"))
    with Image.open(photo(f"broken/{name}")) as original:
        assert (result.metadata.width, result.metadata.height) == original.size
    assert max(decoded(result.thumbnail).size) <= 200


def _prepare(path: Path, expected: FileStamp, sha256: str | None = None) -> object:
    return prepare(os.fsencode(path), expected, sha256, max_pixels=MAX_PIXELS, max_bytes=MAX_BYTES)
