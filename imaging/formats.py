"""Which files are for us: by name, which saves a look, or by their first bytes, whatever the name.

A content has one result under every name, so decoding never looks at the extension.
"""

import os
from pathlib import PurePath

PICTURE_EXTENSIONS = frozenset({"jpg", "jpeg", "png", "bmp", "gif", "tif", "tiff", "webp", "heic", "heif", "avif"})
RAW_EXTENSIONS = frozenset({"dng", "cr2", "cr3", "nef", "arw", "rw2", "orf", "raf", "pef", "srw", "kdc", "raw"})
EXTENSIONS = PICTURE_EXTENSIONS | RAW_EXTENSIONS

# Pillow's names for what it may decode. Its other decoders (EPS starts a program) stay shut.
PILLOW_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "HEIF", "AVIF", "JPEG2000")

HEAD_BYTES = 16
"""How much of a file's start the functions below need."""

_JXL_STARTS = (b"\0\0\0\x0cJXL \r\n\x87\n", b"\xff\x0a")
"""Of its container, and of a bare code stream."""
_PICTURE_STARTS = (
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF87a",
    b"GIF89a",
    b"8BPS\0\1",
    b"8BPS\0\2",
    b"\0\0\0\x0cjP  \r\n\x87\n",
    b"\xff\x4f\xff\x51",
    *_JXL_STARTS,
)
# Major brands (ISO/IEC 23008-12 and the AVIF specification); cameras and phones write these.
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"avif", b"avis"})
# Sizes of the headers that a BMP may have, from OS/2 1 to Windows 5. Its two letters alone start many a text.
_BMP_HEADERS = frozenset({12, 16, 40, 52, 56, 64, 108, 124})

_OTHERS = (
    (0, b"%PDF", "a PDF document"),
    (0, b"PK\x03\x04", "a ZIP archive or an office document"),
    (0, b"Rar!", "a RAR archive"),
    (0, b"7z\xbc\xaf", "a 7z archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"SQLite format 3", "a database"),
    (0, b"ID3", "a sound"),
    (0, b"\x1aE\xdf\xa3", "a film (Matroska or WebM)"),
    (8, b"AVI ", "a film (AVI)"),
    (8, b"WAVE", "a sound"),
    (0, b"v/1\x01", "an OpenEXR picture"),
    (0, b"#?RADIANCE", "a Radiance HDR picture"),
    (0, b"II\xbc", "a JPEG XR picture"),
    (0, b"\0\0\1\0", "an icon"),
    (4, b"ftyp", "a film or another file in the container of MP4"),
    (4, b"moov", "a film (QuickTime)"),
    (4, b"mdat", "a film (QuickTime)"),
)
"""Where other formats have their signature, and what they are."""

_RAW_STARTS = {b"FUJIFILMCCD-RAW": "RAF", b"IIU\0": "RW2", b"IIRO": "ORF", b"IIRS": "ORF", b"MMOR": "ORF"}


def is_listed(path: bytes | str) -> bool:
    """Whether the name's extension, in any case, is one that Darkroom takes."""
    return PurePath(os.fsdecode(path)).suffix[1:].lower() in EXTENSIONS


def is_tiff(head: bytes) -> bool:
    """Whether a file starts as TIFF or BigTIFF does, in either byte order. Most camera RAW formats do."""
    return head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"))


def is_webp(head: bytes) -> bool:
    """Whether a file starts as WebP does."""
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def is_jpeg(head: bytes) -> bool:
    """Whether a file starts as JPEG does."""
    return head.startswith(b"\xff\xd8\xff")


def is_jpeg_xl(head: bytes) -> bool:
    """Whether a file starts as JPEG XL does, in its container or without."""
    return head.startswith(_JXL_STARTS)


def is_png(head: bytes) -> bool:
    """Whether a file starts as PNG does."""
    return head.startswith(b"\x89PNG\r\n\x1a\n")


def is_photoshop(head: bytes) -> bool:
    """Whether a file starts as PSD does, or as PSB, its form for large pictures."""
    return head.startswith((b"8BPS\0\1", b"8BPS\0\2"))


def is_picture(head: bytes) -> bool:
    """Whether a file starts as one of the listed formats does. It may still be damaged further on."""
    return (
        head.startswith(_PICTURE_STARTS)
        or is_tiff(head)
        or raw_format(head) is not None
        or (head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS)
        or is_webp(head)
        or (head[:2] == b"BM" and int.from_bytes(head[14:16], "little") in _BMP_HEADERS)
    )


def name_of_other(head: bytes) -> str | None:
    """Say what a file is that starts as a format does which is not read; None where that is not known."""
    return next((name for start, mark, name in _OTHERS if head[start:].startswith(mark)), None)


def raw_format(head: bytes) -> str | None:
    """Name of the RAW format that shows in the first bytes, if one does."""
    if head[4:12] == b"ftypcrx ":
        return "CR3"
    if is_tiff(head) and head[8:10] == b"CR":
        return "CR2"
    return next((name for start, name in _RAW_STARTS.items() if head.startswith(start)), None)
