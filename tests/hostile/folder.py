"""Everything odd that a folder can hold, each with the outcome and the reason that it must end with."""

import io
import os
import socket
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tests import pictures

MAX_FILE_BYTES = 8 << 20
MAX_IMAGE_PIXELS = 300_000_000
Make = Callable[[Path], object]


@dataclass(frozen=True)
class Odd:
    """A file by its name, what makes it, and its end. `reason`: a part of what a person reads."""

    name: bytes
    make: Make
    outcome: str
    reason: str = ""


def content(*data: bytes) -> Make:
    return lambda path: path.write_bytes(b"".join(data))


def saved(mode: str, extension: str, **options: object) -> Make:
    def make(path: Path) -> None:
        pixels = np.random.default_rng(len(path.name)).integers(0, 255, (60, 80, 4), dtype=np.uint8)
        image = Image.fromarray(pixels[..., :3]).convert(mode if mode in {"L", "RGB", "CMYK", "P"} else "L")
        if mode == "I;16":
            image = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
        image.save(path, extension, **options)

    return make


def animated(extension: str) -> Make:
    def make(path: Path) -> None:
        frames = [Image.new("RGB", (80, 60), (shade, 20, len(extension))) for shade in (10, 120, 240)]
        frames[0].save(path, extension, save_all=True, append_images=frames[1:], duration=100)

    return make


def jpeg_with_exif(seed: int, exif: bytes) -> Make:
    def make(path: Path) -> None:
        image = Image.open(io.BytesIO(pictures.jpeg(seed)))
        image.save(path, "JPEG", exif=b"Exif\0\0" + exif)

    return make


def directory(*entries: tuple[int, int, int, bytes], offset: int = 8) -> bytes:
    """Return a TIFF directory: (tag, type, count, value of four bytes)."""
    body = b"".join(struct.pack("<HHI4s", tag, kind, count, value) for tag, kind, count, value in entries)
    return struct.pack("<H", len(entries)) + body + struct.pack("<I", 0)


def exif_of(*entries: tuple[int, int, int, bytes]) -> bytes:
    return b"II*\0\x08\0\0\0" + directory(*entries)


def wrong_types() -> bytes:
    """Return a make that is a number, an ISO that is a text, pointers to nowhere, and counts without end."""
    return exif_of(
        (271, 4, 1, b"\x07\0\0\0"),
        (272, 2, 0xFFFFFFFF, b"\xff\xff\xff\xff"),
        (274, 2, 4, b"six\0"),
        (306, 3, 1, b"\1\0\0\0"),
        (34665, 4, 1, b"\xf0\xff\xff\xff"),
        (34853, 2, 4, b"gps\0"),
    )


def date_of_nothing() -> bytes:
    date = b"0000:00:00 00:00:00\0"
    camera = 8 + 2 + 12 + 4
    inner = directory((36867, 2, len(date), struct.pack("<I", camera + 18)))
    return b"II*\0\x08\0\0\0" + directory((34665, 4, 1, struct.pack("<I", camera))) + inner + date


def gps_out_of_range() -> bytes:
    """Return a position 999 degrees north, over zero in the east."""
    gps = 8 + 2 + 12 + 4
    values = gps + 2 + 4 * 12 + 4
    north = struct.pack("<6I", 999, 1, 0, 1, 0, 1)
    east = struct.pack("<6I", 10, 0, 0, 0, 0, 0)
    inner = directory(
        (1, 2, 2, b"N\0\0\0"),
        (2, 5, 3, struct.pack("<I", values)),
        (3, 2, 2, b"E\0\0\0"),
        (4, 5, 3, struct.pack("<I", values + len(north))),
    )
    return b"II*\0\x08\0\0\0" + directory((34853, 4, 1, struct.pack("<I", gps))) + inner + north + east


def chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def png(width: int, height: int, *, bits: int = 8, kind: int = 2) -> bytes:
    """Return a black PNG, made without ever holding its pixels."""
    samples = {0: 1, 2: 3, 6: 4}[kind]
    row = bytes(1 + width * samples * bits // 8)
    packer = zlib.compressobj(1)
    packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([bits, kind, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def claims_to_be_huge() -> bytes:
    header = (50_000).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"")


def endless_jpeg(scans: int = 100_000) -> bytes:
    """Return a progressive JPEG that refines one detail again and again: small, and minutes to decode."""
    buffer = io.BytesIO()
    Image.new("L", (2000, 2000), 128).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * scans + data[-2:]


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        # The whole path may be longer than the name of a socket can be.
        folder = os.open(path.parent, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{folder}/{path.name}")
        os.close(folder)


def forbidden_folder(path: Path) -> None:
    path.mkdir()
    (path / "hidden.jpg").write_bytes(pictures.jpeg(1))
    path.chmod(0)


def forbidden_file(path: Path) -> None:
    path.write_bytes(pictures.jpeg(2))
    path.chmod(0)


def folder_around(path: Path) -> None:
    path.symlink_to(path.parent, target_is_directory=True)


STORED = [
    Odd(b"no extension", content(pictures.jpeg(40)), "stored"),
    Odd(b"jpg", content(pictures.jpeg(41)), "stored"),
    Odd(b"named as a text.txt", content(pictures.jpeg(42)), "stored"),
    Odd(b"wrong extension, a PNG.jpg", saved("RGB", "PNG"), "stored"),
    Odd(b"animated.gif", animated("GIF"), "stored"),
    Odd(b"animated.webp", animated("WEBP"), "stored"),
    Odd(b"animated.png", animated("PNG"), "stored"),
    Odd(b"cmyk.jpg", saved("CMYK", "JPEG"), "stored"),
    Odd(b"cmyk.tif", saved("CMYK", "TIFF"), "stored"),
    Odd(b"16 bit.png", saved("I;16", "PNG"), "stored"),
    Odd(b"16 bit colour.png", content(png(40, 30, bits=16)), "stored"),
    Odd(b"palette.png", saved("P", "PNG"), "stored"),
    Odd(b"palette.gif", saved("P", "GIF"), "stored"),
    Odd(b"one pixel.png", content(png(1, 1)), "stored"),
    Odd(b"long and thin.png", content(png(60_000, 1)), "stored"),
    Odd(b"huge exif.jpg", jpeg_with_exif(10, exif_of((37500, 7, 60_000, b"\x1a\0\0\0")) + b"\xff" * 60_000), "stored"),
    Odd(b"exif of wrong types.jpg", jpeg_with_exif(11, wrong_types()), "stored"),
    Odd(b"exif of noise.jpg", jpeg_with_exif(12, os.urandom(5_000)), "stored"),
    Odd(b"gps out of range.jpg", jpeg_with_exif(13, gps_out_of_range()), "stored"),
    Odd(b"date of nothing.jpg", jpeg_with_exif(14, date_of_nothing()), "stored"),
    Odd(b"trailing noise.jpg", content(pictures.jpeg(15), os.urandom(10_000)), "stored"),
    Odd(b"not UTF-8 \xff\xfe.jpg", content(pictures.jpeg(16)), "stored"),
    Odd(b"two\nlines\r\n\t.jpg", content(pictures.jpeg(17)), "stored"),
    Odd(b"\x1b[31mred\x07.jpg", content(pictures.jpeg(18)), "stored"),
    Odd("\u202egpj.right to left.jpg".encode(), content(pictures.jpeg(19)), "stored"),
    Odd(b"n" * 251 + b".jpg", content(pictures.jpeg(20)), "stored"),
    Odd(b".jpg.jpg", content(pictures.jpeg(21)), "stored"),
    Odd(b"'; DROP TABLE files; --.jpg", content(pictures.jpeg(22)), "stored"),
    Odd(b"-rf.jpg", content(pictures.jpeg(23)), "stored"),
]
FAILED = [
    Odd(b"zero bytes.jpg", content(b""), "failed", "is empty: it has 0 bytes"),
    Odd(b"truncated.jpg", content(pictures.jpeg(30)[:-1_500]), "failed", "ends before the picture does"),
    Odd(b"a head alone.heic", content(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"), "failed", "damaged"),
    Odd(b"a text.png", content(b"milk\nbread\n"), "failed", "holds text"),
    Odd(b"noise.tif", content(b"II*\0" + os.urandom(3_000)), "failed", "no picture|damaged"),
    Odd(b"no raw.cr2", content(os.urandom(3_000)), "failed", "no picture"),
    Odd(b"empty raw.nef", content(b"II*\0\x08\0\0\0CR\2\0" + bytes(2_000)), "failed", "LibRaw cannot decode"),
    Odd(b"bomb.png", content(claims_to_be_huge()), "failed", "more than 300,000,000 pixels, .* MAX_IMAGE_PIXELS"),
    Odd(b"bomb of memory.png", content(png(14_000, 14_000)), "failed", "more memory than 256 MiB"),
    Odd(b"bomb of time.jpg", content(endless_jpeg()), "failed", "longer than 6 s"),
    Odd(b"bomb of bytes.tif", sparse, "failed", "8,388,609 bytes; at most 8,388,608"),
    Odd(b"dangling.jpg", lambda path: path.symlink_to("nothing"), "failed", "a link to nothing"),
    Odd(b"link to itself.jpg", lambda path: path.symlink_to(path.name), "failed", "symbolic links"),
    Odd(b"forbidden.jpg", forbidden_file, "failed", "permission denied"),
    Odd(b"forbidden folder", forbidden_folder, "failed", "Permission denied"),
]
SKIPPED = [
    Odd(b"pipe.jpg", os.mkfifo, "skipped", "not a regular file"),
    Odd(b"socket.jpg", listening, "skipped", "not a regular file"),
    Odd(b"device.jpg", lambda path: path.symlink_to("/dev/zero"), "skipped", "not a regular file"),
    Odd(b"link to the folder", folder_around, "skipped", "a link to a folder that contains it"),
    Odd(b"a list.txt", content(b"milk"), "skipped", "its extension is not that of a photograph"),
    Odd(b"a film.mp4", content(b"\0\0\0\x18ftypisom\0\0\2\0isomiso2"), "skipped", "not that of a photograph"),
    Odd(b"a letter.pdf", content(b"%PDF-1.7\n" + bytes(300)), "skipped", "not that of a photograph"),
]
FOLDER = [*STORED, *FAILED, *SKIPPED]


def fill(folder: Path) -> None:
    """Write them all."""
    folder.mkdir(parents=True, exist_ok=True)
    for odd in FOLDER:
        odd.make(Path(os.fsdecode(os.fsencode(folder) + b"/" + odd.name)))


def deep(folder: Path) -> None:
    """Make folders, one in the other, until the path is longer than Linux takes."""
    at = os.open(folder, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=at)
        inner = os.open("d" * 250, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = inner
    os.close(at)
