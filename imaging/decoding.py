"""One decode of a file gives everything that is stored about it.

The result depends on the content alone: the format is told by the first bytes, never by the name.
"""

import hashlib
import os
import warnings
from dataclasses import dataclass
from io import BufferedReader
from typing import BinaryIO

import rawpy
from PIL import UnidentifiedImageError

from errors import ContentError, DarkroomError, FileChangedError
from imaging import exif, formats, pictures, raw, thumbnails
from imaging.files import FileStamp, check_unchanged, open_regular, readable
from imaging.metadata import Metadata, describe
from imaging.pictures import Picture


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is kept of a content: facts, a JPEG within 200 x 200 for people, a JPEG for the ML service."""

    metadata: Metadata
    thumbnail: bytes
    rendition: bytes


def prepare(
    path: bytes,
    expected: FileStamp,
    sha256: str | None,
    *,
    max_pixels: int,
    max_bytes: int,
    rendition_side: int = 512,
    rendition_bytes: int = 262_144,
) -> Prepared:
    """Decode a picture once. Both JPEGs are upright sRGB, never larger than the original, without metadata.

    `expected` is the stamp from when the file was hashed; with `sha256` its bytes are hashed once more and compared.
    The rendition's longest side is at most `rendition_side` pixels, its size at most `rendition_bytes`.

    Raises FileError when the file cannot be read, FileChangedError when it is not what was hashed, ContentError when
    these bytes are no picture, a damaged one, or one beyond `max_pixels` or `max_bytes`.
    """
    with open_regular(path) as file:
        check_unchanged(path, file, expected)
        try:
            _check_bytes(expected.size, max_bytes)
            _check_hash(path, file, sha256)
            picture = _read(file, side=rendition_side, max_pixels=max_pixels)
            return _prepared(picture, expected.size, rendition_side, rendition_bytes)
        except ContentError as error:
            raise ContentError(f"{readable(path)} {error}") from error
        finally:
            # A picture that was being written looks damaged, or worse, whole: that says nothing about the content.
            check_unchanged(path, file, expected)


def _prepared(picture: Picture, file_size: int, side: int, max_bytes: int) -> Prepared:
    profile = picture.image.info.get("icc_profile")
    small = thumbnails.rendition(picture.image, orientation=picture.turn, profile=profile, side=side)
    return Prepared(
        metadata=describe(
            picture.exif,
            picture.captions,
            width=picture.width,
            height=picture.height,
            format_name=picture.format,
            mode=picture.mode,
            orientation=picture.orientation,
            file_size=file_size,
        ),
        thumbnail=thumbnails.jpeg(thumbnails.shrunk(small, thumbnails.THUMBNAIL_SIDE)),
        rendition=thumbnails.jpeg_within(small, max_bytes),
    )


def _check_bytes(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise ContentError(f"has {size:,} bytes; at most {max_bytes:,} are read (setting MAX_FILE_BYTES).")


def _check_hash(path: bytes, file: BufferedReader, sha256: str | None) -> None:
    if sha256 is not None and hashlib.file_digest(file, "sha256").hexdigest() != sha256:
        raise FileChangedError(f"{readable(path)} is not what was hashed; it has to be hashed again.")


def _read(file: BinaryIO, *, side: int, max_pixels: int) -> Picture:
    """Decode with whichever library knows the content. Raises ContentError, or OSError for an error of the disk."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # decoders warn about what they leave out; that is no news to anyone
            format_name = _raw_format(file)
            if format_name is not None:
                return raw.read(file, format_name, side=side, max_pixels=max_pixels)
            return pictures.read(file, side=side, max_pixels=max_pixels)
    except (DarkroomError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise ContentError(_why_unknown(file)) from error
    except rawpy.LibRawError as error:
        raise ContentError(f"is a RAW file that LibRaw cannot decode: {_reason(error)}.") from error
    except Exception as error:  # decoders raise every type there is on damaged bytes
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ContentError(f"is damaged and cannot be decoded: {_reason(error)}.") from error


def _raw_format(file: BinaryIO) -> str | None:
    file.seek(0)
    head = file.read(formats.HEAD_BYTES)
    found = formats.raw_format(head)
    if found is None and formats.is_tiff(head):
        found = raw.format_of(exif.read(file))
    file.seek(0)
    return found


def _why_unknown(file: BinaryIO) -> str:
    file.seek(0)
    head = file.read(512)
    if not head:
        return "is empty: it has 0 bytes."
    try:
        is_text = head.decode("utf-8").replace("\n", "").replace("\r", "").replace("\t", "").isprintable()
    except UnicodeDecodeError:
        is_text = False
    return (
        "holds text, not a picture."
        if is_text
        else "is no picture in a format that Darkroom knows, or its header is damaged."
    )


def _reason(error: Exception) -> str:
    detail = error.args[0] if error.args else ""
    if isinstance(detail, bytes):
        detail = os.fsdecode(detail)
    reason = str(detail) or type(error).__name__
    if "truncated" in reason.lower():
        return "it ends before the picture does (truncated)"
    return reason.rstrip(".")
