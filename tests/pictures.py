"""Photographs for tests: each seed gives another content."""

import io
import random
from pathlib import Path

import numpy as np
from PIL import Image


def jpeg(seed: int, width: int = 320, height: int = 240) -> bytes:
    """Return a JPEG whose pixels depend on the seed."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 255, (6, 8, 3), dtype=np.uint8)
    picture = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=88, comment=f"{seed}".encode())
    return buffer.getvalue()


def described(picture: bytes, text: str) -> bytes:
    """Return a JPEG with the same pixels and this description in its EXIF."""
    exif = Image.Exif()
    exif[0x010E] = text
    return _with_segment(picture, exif.tobytes())


def with_xmp(picture: bytes, title: str) -> bytes:
    """Return a JPEG with the same pixels and this title in its XMP."""
    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title><rdf:Alt><rdf:li xml:lang="x-default">'
        f"{title}</rdf:li></rdf:Alt></dc:title></rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    return _with_segment(picture, b"http://ns.adobe.com/xap/1.0/\0" + packet.encode())


def _with_segment(picture: bytes, content: bytes) -> bytes:
    return picture[:2] + b"\xff\xe1" + (len(content) + 2).to_bytes(2, "big") + content + picture[2:]


def painted(*parts: tuple[str, int]) -> bytes:
    """Return a JPEG of stripes, each of a colour (as Pillow names it) and so many percent of the width."""
    picture = Image.new("RGB", (200, 120), "white")
    left = 0
    for colour, percent in parts:
        picture.paste(colour, (2 * left, 0, 2 * (left + percent), 120))
        left += percent
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def write(folder: Path, seeds: range, prefix: str = "photo") -> list[Path]:
    """Write a JPEG for each seed; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{prefix}-{seed}.jpg" for seed in seeds]
    for path, seed in zip(paths, seeds, strict=True):
        path.write_bytes(jpeg(seed))
    return paths


def write_new(folder: Path, count: int) -> list[Path]:
    """Write so many JPEGs that no other test has."""
    seed = random.SystemRandom().randrange(1 << 48)
    return write(folder, range(seed, seed + count))
