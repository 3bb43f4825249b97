"""One decode of a file gives everything that is stored about it.

The result depends on the content alone: the format is told by the first bytes, never by the name.
"""

import codecs
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from typing import BinaryIO

import rawpy
from PIL import UnidentifiedImageError

from core.errors import ContentError, DarkroomError, FileChangedError
from imaging import exif, formats, pictures, raw, thumbnails
from imaging.files import FileStamp, Roots, check_size, check_unchanged, open_regular
from imaging.hashing import digest
from imaging.metadata import describe
from imaging.pictures import Picture
from imaging.prepared import Prepared
from imaging.steps import step
from rules.paths import readable

_SIGNS_OF_AN_END = ("truncated", "end of file", "stream too small", "need_more_input", "input/output error")
"""What decoders say of a file that ends too early; the last is LibRaw's, as errors of the disk are known as such."""
_CODE = re.compile(r"\w+ returned \S+")
"""What imagecodecs says of damage: names from within."""


def prepare(
    path: bytes,
    expected: FileStamp,
    sha256: str | None,
    *,
    max_pixels: int,
    max_bytes: int,
    roots: Roots = None,
    rendition_side: int = 512,
    rendition_bytes: int = 262_144,
    salvage_damaged: bool = False,
) -> Prepared:
    """Decode a picture once. Both JPEGs are upright sRGB, never larger than the original, without metadata.

    `expected` is the stamp from when the file was hashed. Where it has no `ctime_ns`, its bytes are hashed once more
    and compared with `sha256`, if that is given.
    `salvage_damaged`: of a damaged picture take what is there, if that is half of it; its metadata says so.
    The rendition's longest side is at most `rendition_side` pixels, its size at most `rendition_bytes`.

    Raises FileError when the file cannot be read or lies outside `roots`, FileChangedError when it is not what was
    hashed, ContentError when these bytes are no picture, a damaged one, or one beyond `max_pixels` or `max_bytes`.
    """
    with open_regular(path, roots) as file:
        check_unchanged(path, file, expected)
        check_size(path, expected.size, max_bytes)
        try:
            if expected.ctime_ns is None:
                _check_hash(path, file, sha256)
            with _decoder_errors_as_content_errors(file):
                with step("decode"):
                    picture = _read(file, side=rendition_side, max_pixels=max_pixels, salvage_damaged=salvage_damaged)
                return _prepared(picture, expected.size, rendition_side, rendition_bytes)
        except ContentError as error:
            raise ContentError(f"{readable(path)} {error}") from error
        finally:
            # A picture that was being written looks damaged, or worse, whole: that says nothing about the content.
            check_unchanged(path, file, expected)


def _prepared(picture: Picture, file_size: int, side: int, max_bytes: int) -> Prepared:
    with step("thumbnail"):
        small = thumbnails.rendition(picture.image, orientation=picture.turn, colours=picture.colours, side=side)
        smaller = thumbnails.shrunk(small, thumbnails.THUMBNAIL_SIDE)
        thumbnail = thumbnails.jpeg(smaller)
        is_both = smaller is small and len(thumbnail) <= max_bytes
        rendition = thumbnail if is_both else thumbnails.jpeg_within(small, max_bytes)
    with step("metadata"):
        metadata = describe(
            picture.exif,
            picture.captions,
            width=picture.width,
            height=picture.height,
            format_name=picture.format,
            mode=picture.mode,
            orientation=picture.orientation,
            file_size=file_size,
            damaged=picture.is_damaged,
        )
    return Prepared(metadata, thumbnail, rendition)


def _check_hash(path: bytes, file: BufferedReader, sha256: str | None) -> None:
    if sha256 is not None and digest(file) != sha256:
        raise FileChangedError(f"{readable(path)} is not what was hashed; it has to be hashed again.")


@contextmanager
def _decoder_errors_as_content_errors(file: BinaryIO) -> Iterator[None]:
    """Blame the content for whatever a decoder raises; an error of the disk stays an OSError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # decoders warn about what they leave out; that is no news to anyone
            yield
    except (DarkroomError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise ContentError(_why_unknown(file)) from error
    except rawpy.LibRawError as error:
        raise ContentError(f"is a RAW file that LibRaw cannot decode: {_reason(error)}.") from error
    except Exception as error:  # decoders raise every type there is on damaged bytes
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = _reason(error)
        if "nsupported" in reason:
            raise ContentError(f"is of a kind that is not decoded here ({reason}). Convert it.") from error
        raise ContentError(f"is damaged and cannot be decoded: {reason}.") from error


def _read(file: BinaryIO, *, side: int, max_pixels: int, salvage_damaged: bool) -> Picture:
    """Decode with whichever library knows the content."""
    file.seek(0)
    head = file.read(formats.HEAD_BYTES)
    with step("metadata"):
        tags = exif.read(file)
    raw_format = formats.raw_format(head) or (raw.format_of(tags) if formats.is_tiff(head) else None)
    if raw_format is not None:
        return raw.read(file, raw_format, tags, side=side, max_pixels=max_pixels)
    file.seek(0)
    return pictures.read(file, tags, side=side, max_pixels=max_pixels, salvage_damaged=salvage_damaged)


def _why_unknown(file: BinaryIO) -> str:
    file.seek(0)
    head = file.read(512)
    if not head:
        return "is empty: it has 0 bytes."
    if not head.strip(b"\0"):
        return "holds zeros where its picture should begin: it was lost by its disk or its copy. Copy it again."
    if formats.is_picture(head[: formats.HEAD_BYTES]):
        return "begins as a picture, but its header is damaged, or it ends within it."
    other = formats.name_of_other(head)
    if other is not None:
        return f"is {other}, which Darkroom does not read."
    if _is_text(head):
        return "holds text, not a picture."
    return "is no picture in a format that Darkroom knows, or its header is damaged."


def _is_text(head: bytes) -> bool:
    try:
        # Incremental: the head may end within a letter.
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return all(letter.isprintable() or letter.isspace() for letter in text)


def _reason(error: Exception) -> str:
    detail = error.args[0] if error.args else ""
    if isinstance(detail, bytes):
        detail = os.fsdecode(detail)
    reason = " ".join(str(detail).split()) or type(error).__name__
    if any(sign in reason.lower() for sign in _SIGNS_OF_AN_END):
        return "it ends before the picture does (truncated)"
    if _CODE.fullmatch(reason):
        return "its data is damaged or not complete"
    return reason.rstrip(".")
