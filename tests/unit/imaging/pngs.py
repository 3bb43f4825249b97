"""Writes PNGs of every kind by hand, with chunks that Pillow does not write."""

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(samples: NDArray[Any], depth: int, colour_type: int, *chunks: bytes) -> bytes:
    """Return a file of samples, shape (rows, columns, samples), with `chunks` before its data."""
    height, width, _ = samples.shape
    flat = samples.reshape(height, -1).astype(np.uint32)
    ones = (flat[..., None] >> np.arange(depth - 1, -1, -1, dtype=np.uint32)) & np.uint32(1)
    rows = np.packbits(ones.reshape(height, -1).astype(np.uint8), axis=1)
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    body = chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body
