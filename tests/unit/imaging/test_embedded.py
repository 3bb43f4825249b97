"""Metadata in formats of which Pillow hands on the pixels alone, and in the parts of RAW files that are no TIFF."""

import io
import struct
from pathlib import Path

import pytest
from PIL import Image

from imaging import exif as exif_fields
from imaging.captions import of_raw
from imaging.metadata import Metadata
from tests.unit.imaging.blocks import ascii_text, exif, segment, short, with_properties
from tests.unit.imaging.preparing import prepared

XMP = with_properties('xmp:Rating="4" xmp:Label="Red"').encode()
EXIF = exif([ascii_text(271, b"Leica")], [ascii_text(36867, b"2004:06:05 10:07:05")]).removeprefix(b"Exif\0\0")
IPTC = b"\x1c\x02\x05\0\3sea\x1c\x02\x19\0\3sky"
XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")


def read(path: Path, content: bytes) -> Metadata:
    path.write_bytes(content)
    return prepared(path).metadata


def saved(kind: str) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (40, 30), (10, 90, 160)).save(content, kind)
    return content.getvalue()


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, kind) + content


def psd(resources: dict[int, bytes], signature: bytes = b"8BIM") -> bytes:
    parts = b"".join(
        signature + struct.pack(">HHI", number, 0, len(data)) + data + b"\0" * (len(data) % 2)
        for number, data in resources.items()
    )
    header = b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 30, 40, 8, 3)
    return header + bytes(4) + struct.pack(">I", len(parts)) + parts + bytes(4) + bytes(2) + bytes(3 * 30 * 40)


def test_psd(tmp_path: Path) -> None:
    known = read(tmp_path / "a.psd", psd({1028: IPTC, 1058: EXIF, 1060: XMP}))
    assert (known.format, known.width, known.camera_make, known.taken_at) == ("PSD", 40, "Leica", "2004-06-05T10:07:05")
    assert (known.rating, known.label, known.title, known.tags) == (4, "Red", "sea", ["sky"])


@pytest.mark.parametrize("signature", [b"MeSa", b"PHUT", b"AgHg", b"DCSR"])
def test_psd_with_resources_of_other_programs(signature: bytes, tmp_path: Path) -> None:
    assert read(tmp_path / "a.psd", psd({1060: XMP}, signature)).label == "Red"


def test_jpeg_2000(tmp_path: Path) -> None:
    blocks = {b"JpgTiffExif->JP2": EXIF, XMP_UUID: XMP, bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38"): IPTC}
    boxes = b"".join(box(b"uuid", uuid + block) for uuid, block in blocks.items())
    picture = saved("JPEG2000")
    start = picture.index(b"jp2h") - 4
    end = start + int.from_bytes(picture[start : start + 4])
    known = read(tmp_path / "a.jp2", picture[:end] + boxes + picture[end:])
    assert (known.format, known.camera_make, known.taken_at) == ("JPEG2000", "Leica", "2004-06-05T10:07:05")
    assert (known.rating, known.label, known.title, known.tags) == (4, "Red", "sea", ["sky"])


def test_avif_that_is_turned_otherwise_than_exif_says(tmp_path: Path) -> None:
    """AVIF's own turn counts. Pillow writes such a block anew, and what is not ASCII as question marks."""
    content = io.BytesIO()
    Image.new("RGB", (40, 30)).save(content, "AVIF", exif=exif([ascii_text(270, b"Gr1234e"), short(274, 6)]))
    known = read(tmp_path / "a.avif", content.getvalue().replace(b"Gr1234e", "Größe".encode()))
    assert (known.description, known.orientation, known.width) == ("Größe", 6, 30)


@pytest.mark.parametrize("other", [b"", b"\x21\xff\x0bNETSCAPE2.0\3\1\0\0\0"])
def test_gif(tmp_path: Path, other: bytes) -> None:
    """The packet has no lengths in it; what follows leads readers who look for some to the end."""
    trailer = b"\1" + bytes(range(255, -1, -1)) + b"\0"
    picture = saved("GIF")
    colours = 13 + 3 * 2 ** ((picture[10] & 7) + 1)
    block = b"\x21\xff\x0bXMP DataXMP" + XMP + trailer
    known = read(tmp_path / "a.gif", picture[:colours] + block + other + picture[colours:])
    assert (known.format, known.rating, known.label) == ("GIF", 4, "Red")


def test_cr3() -> None:
    file = box(b"ftyp", b"crx \0\0\0\1") + box(b"moov", b"") + box(b"uuid", XMP_UUID + XMP)
    assert of_raw(exif_fields.read(io.BytesIO(file))).rating == 4


def test_raf() -> None:
    """The JPEG within has them, XMP behind EXIF."""
    jpeg = segment(segment(saved("JPEG"), 0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP), 0xE1, b"Exif\0\0" + EXIF)
    found = exif_fields.read(
        io.BytesIO(b"FUJIFILMCCD-RAW ".ljust(84, b"\0") + struct.pack(">I", 100) + bytes(12) + jpeg)
    )
    assert exif_fields.taken_at(found) == "2004-06-05T10:07:05"
    assert of_raw(found).rating == 4


def test_rw2() -> None:
    jpeg = segment(saved("JPEG"), 0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP)
    directory = struct.pack("<HHHII", 1, 46, 7, len(jpeg), 26) + bytes(4)
    assert of_raw(exif_fields.read(io.BytesIO(b"IIU\0\x08\0\0\0" + directory + jpeg))).rating == 4
