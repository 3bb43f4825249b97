"""The compressions of Kafka, undone within a bound: a batch of 1 MB may hold gigabytes."""

import mmap
import struct
from collections.abc import Callable

import cramjam

NONE, GZIP, SNAPPY, LZ4, ZSTD = range(5)
MAX_BYTES = 64 << 20
"""Of all records of a batch. The largest that Kafka takes from us is 1 MiB as it is sent."""

# Java's stream of snappy blocks: this header, then each block behind its length.
_XERIAL = b"\x82SNAPPY\x00"
_XERIAL_HEADER = 16

_INTO: dict[int, Callable[[bytes, mmap.mmap], int]] = {
    GZIP: cramjam.gzip.decompress_into,
    LZ4: cramjam.lz4.decompress_into,
    ZSTD: cramjam.zstd.decompress_into,
}


def decompress(codec: int, data: bytes) -> bytes:
    """Return the records of a batch as they were. Raises ValueError for what cannot be undone within MAX_BYTES."""
    if codec == NONE:
        return data
    if codec != SNAPPY and codec not in _INTO:
        raise ValueError(f"its compression {codec} is not known")
    try:
        return _unsnap(data) if codec == SNAPPY else _within_bound(_INTO[codec], data)
    except (cramjam.DecompressionError, OSError, struct.error) as error:
        raise ValueError(f"it cannot be decompressed within {MAX_BYTES >> 20} MiB: {error}") from error


def _within_bound(decompress_into: Callable[[bytes, mmap.mmap], int], data: bytes) -> bytes:
    # Mapped, so that only what is written takes memory.
    with mmap.mmap(-1, MAX_BYTES) as room:
        return room[: decompress_into(data, room)]


def _unsnap(data: bytes) -> bytes:
    if not data.startswith(_XERIAL):
        return _unsnap_block(data, MAX_BYTES)
    at, out, room = _XERIAL_HEADER, [], MAX_BYTES
    while at < len(data):
        (length,) = struct.unpack_from(">i", data, at)
        at += 4
        block = data[at : at + length]
        if length < 0 or len(block) < length:
            raise ValueError("a block of it is cut off")
        out.append(_unsnap_block(block, room))
        room -= len(out[-1])
        at += length
    return b"".join(out)


def _unsnap_block(block: bytes, room: int) -> bytes:
    if cramjam.snappy.decompress_raw_len(block) > room:
        raise ValueError(f"it holds more than {MAX_BYTES >> 20} MiB")
    return bytes(cramjam.snappy.decompress_raw(block))
