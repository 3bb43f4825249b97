"""Record batches by hand, as a producer or a broken disk makes them. https://kafka.apache.org/documentation/#recordbatch"""

import struct
from collections.abc import Callable, Sequence
from pathlib import Path

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

HEADER_BYTES = 61
MAGIC_AT, CRC_AT, ATTRIBUTES_AT, LAST_DELTA_AT, PRODUCER_AT, COUNT_AT = 16, 17, 21, 23, 43, 57


def batch(values: Sequence[bytes | None], *, base: int = 0, codec: int = 0, key: bytes | None = None) -> bytes:
    """Return a batch of these values, from an offset on."""
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 1 << 20)
    for number, value in enumerate(values):
        assert builder.append(number, 1_700_000_000_000, key, value, [("job_id", b"by-hand")]) is not None
    return at_offset(bytes(builder.build()), base)


def at_offset(raw: bytes, base: int) -> bytes:
    """Return a batch at another offset, which no checksum covers."""
    return struct.pack(">q", base) + raw[8:]


def sealed(raw: bytes) -> bytes:
    """Return a batch with the length and the checksum that fit what it holds."""
    body = raw[:8] + struct.pack(">i", len(raw) - 12) + raw[12:]
    return body[:CRC_AT] + struct.pack(">I", calc_crc32c(body[ATTRIBUTES_AT:])) + body[ATTRIBUTES_AT:]


def with_bytes(raw: bytes, at: int, new: bytes) -> bytes:
    """Return these bytes with others from a place on."""
    return raw[:at] + new + raw[at + len(new) :]


def with_codec(raw: bytes, codec: int) -> bytes:
    """Return a batch that says it is compressed so, with a good checksum."""
    return sealed(with_bytes(raw, ATTRIBUTES_AT, struct.pack(">h", codec)))


def with_magic(raw: bytes, magic: int) -> bytes:
    """Return a batch of another format, with a good checksum."""
    return sealed(with_bytes(raw, MAGIC_AT, bytes([magic])))


def with_bad_checksum(raw: bytes) -> bytes:
    """Return a batch whose last byte is not what was written."""
    return raw[:-1] + bytes([raw[-1] ^ 0xFF])


def damage(log: Path, offset: int, change: Callable[[bytes], bytes]) -> None:
    """Change the batch that begins at an offset in the first segment of a partition, without changing its length.

    A broker checks what is produced, and not what it finds on its disk.
    """
    segment = log / f"{0:020}.log"
    raw, at = segment.read_bytes(), 0
    while struct.unpack_from(">q", raw, at)[0] != offset:
        at += 12 + struct.unpack_from(">i", raw, at + 8)[0]
    end = at + 12 + struct.unpack_from(">i", raw, at + 8)[0]
    changed = change(raw[at:end])
    assert len(changed) == end - at
    with segment.open("r+b") as file:
        file.seek(at)
        file.write(changed)
