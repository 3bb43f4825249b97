"""What a broker gave of a partition, with all that cannot be read taken out of it. Pure.

aiokafka raises for a batch that it cannot read, and gives the same one again at the next question, for ever. Here
such a batch becomes an empty one over the same offsets, as compaction leaves behind: whoever reads passes it.
Of a batch whose records are broken in part, the whole ones stay.

Format 2 (Kafka 0.11 and later): https://kafka.apache.org/documentation/#recordbatch
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aiokafka.record.control_record import ControlRecord
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.legacy_records import LegacyRecordBatch
from aiokafka.record.util import calc_crc32c

from gateways.kafka import codecs

# base offset, length of all that follows it, leader epoch, magic, CRC of all that follows it, attributes,
# last offset - base, first and largest timestamp, producer id and epoch, base sequence, number of records
_HEADER = struct.Struct(">qiibIhiqqqhii")
_FRAME = struct.Struct(">qi")
_MAGIC_AT, _CRC_AT, _CHECKED_AT = 16, 17, 21
_CODEC, _CONTROL = 0x07, 0x20
_NEWEST_MAGIC = 2
# An empty batch: of no producer, in no transaction.
_NOBODY = -1


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Messages that were left out: the first and the last offset, and why."""

    first: int
    last: int
    reason: str


def readable(data: bytes, at: int, end: int) -> tuple[bytes, list[Unreadable]]:
    """Return the batches of a partition that was asked for from `at` on and ends before `end`, without compression.

    Also what was left out. As long as there are bytes, what is returned leads beyond `at`.
    """
    found: list[bytes] = []
    left_out: list[Unreadable] = []
    for batch, follows in _framed(data):
        last = _last_offset(batch, at, end if follows is None else min(end, follows))
        if last is None:
            last = follows - 1 if follows is not None and at < follows <= end else at
            found.append(empty(at, last))
            left_out.append(Unreadable(at, last, "its offsets are none that could stand there"))
            at = last + 1
            continue
        try:
            whole, broken = _checked(batch)
            found.append(whole)
            left_out.extend(Unreadable(max(one.first, at), one.last, one.reason) for one in broken if one.last >= at)
        except Exception as error:  # whatever a decoder makes of such bytes: the messages behind them count
            first = max(at, _FRAME.unpack_from(batch)[0])
            found.append(empty(first, last))
            left_out.append(Unreadable(first, last, f"{error}" or type(error).__name__))
        at = last + 1
    if data and not found:
        found.append(empty(at, at))
        left_out.append(Unreadable(at, at, "its length is none that a batch could have"))
    return b"".join(found), left_out


def empty(first: int, last: int) -> bytes:
    """Return a batch without records over these offsets."""
    return _batch((first, 0, 0, 2, 0, 0, last - first, 0, 0, _NOBODY, _NOBODY, _NOBODY, 0), b"")


def _framed(data: bytes) -> Iterator[tuple[bytes, int | None]]:
    """Yield each whole batch, and the base offset of what follows. A broker cuts the last one off anywhere."""
    at = 0
    while at + _FRAME.size <= len(data):
        length = _FRAME.unpack_from(data, at)[1]
        end = at + _FRAME.size + length
        if length <= _MAGIC_AT + 1 - _FRAME.size or end > len(data):
            return
        follows = _FRAME.unpack_from(data, end)[0] if end + _FRAME.size <= len(data) else None
        yield data[at:end], follows
        at = end


def _last_offset(batch: bytes, at: int, end: int) -> int | None:
    """Return the last offset of a batch, or None where it says one that cannot stand between `at` and `end`."""
    base = _FRAME.unpack_from(batch)[0]
    if batch[_MAGIC_AT] < 2:
        last: int = base
    elif len(batch) >= _HEADER.size:
        last = base + _HEADER.unpack_from(batch)[6]
    else:
        return None
    return last if base <= last and at <= last < end else None


def _checked(batch: bytes) -> tuple[bytes, list[Unreadable]]:
    """Return a batch as it can be read, and what of it cannot. Raises whatever where nothing can."""
    magic = batch[_MAGIC_AT]
    if magic > _NEWEST_MAGIC:
        raise ValueError(f"it is of format {magic}, which is newer than this program")
    if magic < 2:
        legacy: Any = LegacyRecordBatch(batch, magic)
        if not legacy.validate_crc():
            raise ValueError("its checksum is wrong")
        list(legacy)
        return batch, []
    header = _HEADER.unpack_from(batch)
    if calc_crc32c(batch[_CHECKED_AT:]) != header[4]:
        raise ValueError("its checksum is wrong")
    records = codecs.decompress(header[5] & _CODEC, batch[_HEADER.size :])
    whole = _batch(header, records) if header[5] & _CODEC else batch
    try:
        decoded = list(DefaultRecordBatch(whole))
    except Exception:
        return _in_part(header, records)
    if header[5] & _CONTROL:
        if not decoded:
            return empty(header[0], header[0] + header[6]), []  # as compaction leaves it, and aiokafka does not take it
        ControlRecord.parse(decoded[0].key)
    return whole, []


def _in_part(header: tuple[int, ...], records: bytes) -> tuple[bytes, list[Unreadable]]:
    """Keep the records of a batch that can be read. Raises ValueError where none can."""
    base, last = header[0], header[0] + header[6]
    kept: list[bytes] = []
    left_out: list[Unreadable] = []
    expected = base
    skipped = False
    for record in _records(records):
        offset = _offset_of(header, record)
        if not expected <= offset <= last:
            skipped = True
            continue
        if skipped and offset > expected:
            left_out.append(Unreadable(expected, offset - 1, "a record of its batch is broken"))
        skipped = False
        kept.append(record)
        expected = offset + 1
    if not kept:
        raise ValueError("the records of its batch are broken")
    if expected <= last:
        left_out.append(Unreadable(expected, last, "the rest of its batch is broken"))
    return _batch((*header[:12], len(kept)), b"".join(kept)), left_out


def _offset_of(header: tuple[int, ...], record: bytes) -> int:
    """Return the offset of one record of a batch; -1 where it is broken."""
    try:
        (decoded,) = DefaultRecordBatch(_batch((*header[:12], 1), record))
    except Exception:  # of whatever kind
        return -1
    return int(decoded.offset)


def _records(records: bytes) -> Iterator[bytes]:
    """Yield each record, by its length, as far as the lengths lead."""
    at = 0
    while at < len(records):
        length, shift, body = 0, 0, at
        while True:
            if body >= len(records) or shift > 28:
                return
            byte = records[body]
            length |= (byte & 0x7F) << shift
            body, shift = body + 1, shift + 7
            if not byte & 0x80:
                break
        length = (length >> 1) ^ -(length & 1)
        if length < 0 or body + length > len(records):
            return
        yield records[at : body + length]
        at = body + length


def _batch(header: tuple[int, ...], records: bytes) -> bytes:
    """Put a batch together from these fields and records without compression."""
    base, _, epoch, magic, _, attributes, *others = header
    length = _HEADER.size - _FRAME.size + len(records)
    batch = bytearray(_HEADER.pack(base, length, epoch, magic, 0, attributes & ~_CODEC, *others) + records)
    struct.pack_into(">I", batch, _CRC_AT, calc_crc32c(bytes(batch[_CHECKED_AT:])))
    return bytes(batch)
