"""Whatever a broker gives, what can be read is read, and the offsets of the rest are passed and named."""

import random
import struct
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED, PartitionRecords
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from gateways.kafka import codecs
from gateways.kafka.batches import Unreadable, empty, readable
from tests.batches import (
    ATTRIBUTES_AT,
    COUNT_AT,
    HEADER_BYTES,
    LAST_DELTA_AT,
    PRODUCER_AT,
    at_offset,
    batch,
    sealed,
    with_bad_checksum,
    with_bytes,
    with_codec,
    with_magic,
)

END = 1000


def taken(data: bytes, at: int = 0) -> tuple[list[tuple[int, bytes | None]], int]:
    """Return what aiokafka makes of the bytes of a partition: offsets with values, and where it would go on."""
    found = PartitionRecords(TopicPartition("t", 0), MemoryRecords(data), [], at, None, None, True, READ_COMMITTED)
    return [(record.offset, record.value) for record in found], found.next_fetch_offset


def read(data: bytes, at: int = 0, end: int = END) -> tuple[list[tuple[int, bytes | None]], int, list[Unreadable]]:
    whole, left_out = readable(data, at, end)
    records, goes_on_at = taken(whole, at)
    return records, goes_on_at, left_out


@pytest.mark.parametrize("codec", range(5), ids=["none", "gzip", "snappy", "lz4", "zstd"])
def test_every_compression_is_undone(codec: int) -> None:
    values = [b"a" * 500, None, b"", b"\xff" * 20]
    records, goes_on_at, left_out = read(batch(values, base=7, codec=codec), at=7)
    assert records == list(enumerate(values, 7))
    assert (goes_on_at, left_out) == (11, [])


def test_what_is_not_compressed_stays_byte_for_byte() -> None:
    data = batch([b"a"], base=7) + batch([b"b", b"c"], base=8)
    assert readable(data, 7, END) == (data, [])


def test_reading_begins_in_the_middle_of_a_batch() -> None:
    records, goes_on_at, left_out = read(batch([b"a", b"b", b"c"], base=7, codec=1), at=8)
    assert (records, goes_on_at, left_out) == ([(8, b"b"), (9, b"c")], 10, [])


def control_records() -> bytes:
    """Return the one record of a batch that commits a transaction."""
    return batch([b"\0\0\0\0\0\0"], key=b"\0\0\0\1")[HEADER_BYTES:]


BROKEN: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "checksum": (with_bad_checksum, "checksum"),
    "codec": (lambda raw: with_codec(raw, 5), "compression 5"),
    "a codec that is not used": (lambda raw: with_codec(raw, 4), "decompressed"),
    "format": (lambda raw: with_magic(raw, 3), "format 3"),
    "format of a negative number": (lambda raw: with_magic(raw, 255), "format 255"),
    "no record at all": (lambda raw: sealed(raw[:HEADER_BYTES]), "broken"),
    "records": (lambda raw: sealed(raw[:HEADER_BYTES] + b"\xff" * 30), "broken"),
    "header cut off": (lambda raw: sealed(raw[:40]), "offsets"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_batch_that_cannot_be_read_is_passed(kind: str) -> None:
    damage, reason = BROKEN[kind]
    data = batch([b"a"], base=7) + damage(batch([b"b", b"c", b"d"], base=8)) + batch([b"e"], base=11)
    records, goes_on_at, (left_out,) = read(data, at=7)
    assert (records, goes_on_at) == ([(7, b"a"), (11, b"e")], 12)
    assert (left_out.first, left_out.last) == (8, 10)
    assert reason in left_out.reason


@pytest.mark.parametrize("kind", BROKEN)
def test_so_is_one_that_comes_alone(kind: str) -> None:
    damage, _ = BROKEN[kind]
    records, goes_on_at, (left_out,) = read(damage(batch([b"b"], base=8)), at=8)
    assert (records, goes_on_at, left_out.first, left_out.last) == ([], 9, 8, 8)


def test_a_batch_that_holds_too_much_is_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codecs, "MAX_BYTES", 1 << 16)
    for codec in (1, 2, 3, 4):
        records, goes_on_at, (left_out,) = read(
            batch([b"\0" * 100_000], base=8, codec=codec) + batch([b"e"], base=9), 8
        )
        assert (records, goes_on_at, left_out.first, left_out.last) == ([(9, b"e")], 10, 8, 8), codec


def damaged_record(values: list[bytes], number: int, codec: int = 0) -> bytes:
    """Return a batch with a good checksum in which the headers of one record are none."""
    raw = bytearray(batch(values, base=20))
    at = raw.index(values[number]) + len(values[number])
    raw[at] = 0x7F  # 64 headers less one bit: a negative number of them
    return sealed(bytes(raw))


@pytest.mark.parametrize("number", [0, 1, 3])
def test_of_a_batch_with_a_broken_record_the_others_are_read(number: int) -> None:
    values = [b"first", b"second", b"third", b"fourth"]
    records, goes_on_at, (left_out,) = read(damaged_record(values, number), at=20)
    assert records == [(offset, value) for offset, value in enumerate(values, 20) if offset != 20 + number]
    assert (goes_on_at, left_out.first, left_out.last) == (24, 20 + number, 20 + number)


def test_the_end_of_a_batch_may_be_missing() -> None:
    whole = batch([b"first", b"second", b"third"], base=20)
    cut = sealed(whole[: whole.index(b"second") + 3])
    records, goes_on_at, (left_out,) = read(cut, at=20)
    assert (records, goes_on_at, left_out.first, left_out.last) == ([(20, b"first")], 23, 21, 22)


@pytest.mark.parametrize("count", [0, 2, 4, 1 << 30, -1])
def test_a_wrong_number_of_records_hides_none(count: int) -> None:
    raw = sealed(with_bytes(batch([b"a", b"b", b"c"], base=20), COUNT_AT, struct.pack(">i", count)))
    records, goes_on_at, _ = read(raw, at=20)
    assert (records, goes_on_at) == ([(20, b"a"), (21, b"b"), (22, b"c")], 23)


@pytest.mark.parametrize("delta", [-5, 3, 1 << 30])
def test_offsets_that_cannot_be_lead_nowhere(delta: int) -> None:
    """The one behind would be passed, or the same one be read for ever."""
    strange = with_bytes(batch([b"b", b"c"], base=8), LAST_DELTA_AT, struct.pack(">i", delta))
    records, goes_on_at, (left_out,) = read(batch([b"a"], base=7) + strange + batch([b"e"], base=10), at=7)
    assert (records, goes_on_at) == ([(7, b"a"), (10, b"e")], 11)
    assert (left_out.first, left_out.last) == (8, 9)


@pytest.mark.parametrize("base", [-1, 0, 3, END, 1 << 60])
def test_so_does_a_first_offset_that_cannot_be(base: int) -> None:
    data = at_offset(batch([b"b", b"c"]), base) + batch([b"e"], base=10)
    records, goes_on_at, (left_out,) = read(data, at=8)
    assert (records, goes_on_at, left_out.first, left_out.last) == ([(10, b"e")], 11, 8, 9)


def test_a_batch_that_is_cut_off_comes_with_the_next_fetch() -> None:
    data = batch([b"a"], base=7) + batch([b"b"], base=8)[:-1]
    assert read(data, at=7) == ([(7, b"a")], 8, [])


@pytest.mark.parametrize("raw", [b"\0", b"\xff" * 12, struct.pack(">qi", 7, -1), struct.pack(">qi", 7, 1 << 30)])
def test_bytes_that_are_no_batch_lead_on(raw: bytes) -> None:
    records, goes_on_at, (left_out,) = read(raw, at=7)
    assert (records, goes_on_at, left_out.first) == ([], 8, 7)


def test_an_empty_batch_is_what_compaction_leaves() -> None:
    assert taken(empty(7, 11), at=7) == ([], 12)
    assert readable(empty(7, 11), 7, END) == (empty(7, 11), [])


@pytest.mark.parametrize(
    ("records", "named"), [(b"", 0), (control_records(), 0), (b"\xff" * 20, 1)], ids=["none", "a marker", "rubbish"]
)
def test_the_markers_of_transactions_are_passed(records: bytes, named: int) -> None:
    """One without a record is what compaction leaves of it."""
    raw = with_bytes(batch([b"x"], base=8)[:HEADER_BYTES], ATTRIBUTES_AT, struct.pack(">h", 0x30))
    raw = with_bytes(with_bytes(raw, PRODUCER_AT, struct.pack(">q", 4)), COUNT_AT, struct.pack(">i", bool(records)))
    taken, goes_on_at, left_out = read(sealed(raw + records) + batch([b"e"], base=9), at=8)
    assert (taken, goes_on_at, len(left_out)) == ([(9, b"e")], 10, named)


@given(st.data())
def test_no_damage_stops_reading_or_hides_what_is_whole(data: Any) -> None:
    """Any byte of the middle batch may be another one; what stands before and behind is read, in order."""
    codec = data.draw(st.integers(0, 4))
    middle = bytearray(batch([b"b", b"c" * 40, b"d"], base=8, codec=codec))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(12, len(middle) - 1))
        middle[at] ^= data.draw(st.integers(1, 255))
    raw = sealed(bytes(middle)) if data.draw(st.booleans()) else bytes(middle)
    records, goes_on_at, left_out = read(batch([b"a"], base=7) + raw + batch([b"e"], base=11), at=7)
    assert records[0] == (7, b"a")
    assert records[-1] == (11, b"e")
    assert goes_on_at == 12
    offsets = [offset for offset, _ in records]
    assert offsets == sorted(set(offsets))
    named = {offset for one in left_out for offset in range(one.first, one.last + 1)}
    assert not named & set(offsets)


@given(st.binary(max_size=300), st.integers(0, 50))
def test_no_bytes_stop_reading(raw: bytes, seed: int) -> None:
    where = random.Random(seed).randrange(20)
    whole, _ = readable(raw, where, END)
    assert bool(whole) == bool(raw)
    _, goes_on_at = taken(whole, where)
    assert goes_on_at > where or not raw
