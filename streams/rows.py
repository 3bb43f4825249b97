"""Rows of a Faust table whose changelog can be awaited.

Faust's own item assignment sends the changelog record and forgets it, and the flush before a
commit gives up after 100 ms without progress: the offset may be committed before the record is
delivered. `put` and `delete` return the delivery instead, and the caller acks after it.
"""

from collections.abc import Awaitable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any
from uuid import uuid4

import orjson
from aiokafka import AIOKafkaProducer
from faust.streams import current_event
from faust.types import AppT, EventT
from faust.types.tables import TableT
from faust.types.tuples import TP
from rocksdict import WriteBatch

from core import failpoints
from core.disk import MEND
from core.errors import FatalError, PartitionRevokedError
from streams.changelog import Changelog
from streams.database import DatabaseOptions
from streams.noting import HoldsMessage, Noting

# A record of many rows has as its key: this, the prefix of their keys, and a random name of NAME_BYTES.
PACKED = b"+|"
NAME_BYTES = 16
MOST_READ = 256
"""Rows that are read at once, of those that begin with a prefix."""
# How the value of a record of several rows begins; no row begins so.
TOGETHER = b"\0+"
_LENGTH_BYTES = 4


def is_current(app: AppT, event: "EventT[Any]") -> bool:
    """Tell whether no rebalance came since an event was fetched.

    After one, Faust fetches again from the committed offset. So an older event writes no row (that could
    reopen a partition that belongs to another worker) and gives no ack (that could commit past its repeat).
    """
    message = event.message
    return bool(message.generation_id == app.consumer_generation_id and message.tp in app.consumer.assignment())


def _together(rows: Mapping[bytes, bytes]) -> bytes:
    parts = (part for row in rows.items() for part in row)
    return TOGETHER + b"".join(len(part).to_bytes(_LENGTH_BYTES) + part for part in parts)


def _taken_apart(record: bytes) -> Iterator[tuple[bytes, bytes]]:
    parts, start = [], len(TOGETHER)
    while start < len(record):
        begin = start + _LENGTH_BYTES
        start = begin + int.from_bytes(record[begin - _LENGTH_BYTES : begin])
        parts.append(record[begin:start])
    return zip(parts[::2], parts[1::2], strict=True)


def _put_packed(batch: WriteBatch, key: bytes, rows: Mapping[bytes, bytes]) -> None:
    for name, row in rows.items():
        batch.put(name, row)
    batch.put(key, b"")


class Rows:
    """Bytes to bytes, on the partition of the event that is current.

    Every method raises PartitionRevokedError when a rebalance came since the event was fetched.
    """

    def __init__(self, table: "TableT[bytes, bytes]", producer: AIOKafkaProducer, holds_message: HoldsMessage) -> None:
        self._table = table
        table.data.rocksdb_options = DatabaseOptions()  # type: ignore[attr-defined]
        self._row_written = failpoints.row_written(table.name)
        noting = Noting(table.data, holds_message)
        table.apply_changelog_batch = self._recover  # type: ignore[method-assign,assignment]
        self._changelog = Changelog(producer, table.changelog_topic.get_topic_name(), noting.delivered)

    def get(self, key: bytes) -> bytes | None:
        """Return a row, or None."""
        partition = self._event().message.partition
        with self._disk():
            value: bytes | None = self._database(partition).get(key)
        return value

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the row of each key, or None."""
        partition = self._event().message.partition
        with self._disk():
            values: list[bytes | None] = self._database(partition).get([*keys])
        return values

    def put(self, key: bytes, value: bytes) -> Awaitable[object]:
        """Write a row; await the result to know that its changelog record is delivered."""
        partition = self._event().message.partition
        with self._disk():
            self._database(partition).put(key, value)
        failpoints.reach(self._row_written)
        return self._log(partition, key, value)

    def delete(self, key: bytes) -> Awaitable[object]:
        """Delete a row; await the result to know that its changelog record is delivered."""
        partition = self._event().message.partition
        with self._disk():
            self._database(partition).delete(key)
        return self._log(partition, key, None)

    def delete_held(self, key: bytes) -> Awaitable[object]:
        """Delete a row that a record of others may hold (`put_together`), and await as for `delete`.

        Its record is empty, and stays: a tombstone is compacted away some day, and the row would come back with the
        record that holds it.
        """
        partition = self._event().message.partition
        with self._disk():
            self._database(partition).delete(key)
        return self._log(partition, key, b"")

    def put_together(self, key: bytes, rows: Mapping[bytes, bytes]) -> Awaitable[object]:
        """Write rows at once, all or none, with one changelog record; await the result to know that it is delivered.

        It has the key of one of these rows, so the next record of that row replaces it: by then, the others must be of
        no use any more, or have records of their own.
        """
        partition = self._event().message.partition
        batch = WriteBatch(raw_mode=True)
        for name, row in rows.items():
            batch.put(name, row)
        with self._disk():
            self._database(partition).write(batch)
        failpoints.reach(self._row_written)
        return self._log(partition, key, _together(rows))

    def put_packed(self, prefix: bytes, rows: Mapping[bytes, bytes]) -> Awaitable[object]:
        """Write rows whose keys begin with `prefix`, with one changelog record, which replaces no other.

        The rows are JSON. Await the result to know that the record is delivered.
        """
        partition, key = self._event().message.partition, PACKED + prefix + uuid4().bytes
        batch = WriteBatch(raw_mode=True)
        _put_packed(batch, key, rows)
        with self._disk():
            self._database(partition).write(batch)
        failpoints.reach(self._row_written)
        fragments = {name.decode(): orjson.Fragment(row) for name, row in rows.items()}
        return self._log(partition, key, orjson.dumps(fragments))

    def delete_packed(self, prefix: bytes, limit: int) -> tuple[list[Awaitable[object]], bool]:
        """Delete up to `limit` packed records of a prefix, and with the first all rows that begin with it.

        Return the deliveries, and whether any record is left.
        """
        keys = [key for key, _ in islice(self.starting_with(PACKED + prefix), limit + 1)]
        with self._disk():
            self._database(self._event().message.partition).delete_range(prefix, prefix + b"\xff")
        return [self.delete(key) for key in keys[:limit]], len(keys) > limit

    def delete_unlogged(self, keys: Iterable[bytes]) -> None:
        """Delete rows, and not their changelog record: the packed record that holds them is deleted later."""
        batch = WriteBatch(raw_mode=True)
        for key in keys:
            batch.delete(key)
        with self._disk():
            self._database(self._event().message.partition).write(batch)

    def starting_with(self, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows of the event's partition whose keys begin with a prefix, in the order of the keys.

        `after`: only those behind this key.
        """
        partition = self._event().message.partition
        rows = self._database(partition).items(from_key=max(prefix, after))
        wanted = 1
        while True:
            # More each time: most prefixes have a row or two, and some a million.
            wanted = min(2 * wanted, MOST_READ)
            with self._disk():
                piece = list(islice(rows, wanted))
            for key, value in piece:
                if not key.startswith(prefix):
                    return
                if key != after:
                    yield key, value
            if len(piece) < wanted:
                return

    def _recover(self, events: "Iterable[EventT[Any]]") -> None:
        """Take over what the changelog holds, as Faust does, and the rows of records that hold several."""
        batches: dict[int, WriteBatch] = {}
        offsets: dict[TP, int] = {}
        for event in events:
            message: Any = event.message
            offsets[message.tp] = message.offset
            batch = batches.setdefault(message.partition, WriteBatch(raw_mode=True))
            if message.value is None:
                batch.delete(message.key)
                if message.key.startswith(PACKED):
                    prefix = message.key[len(PACKED) : -NAME_BYTES]
                    batch.delete_range(prefix, prefix + b"\xff")
            elif not message.value:
                batch.delete(message.key)
            elif message.key.startswith(PACKED):
                rows = orjson.loads(message.value)
                _put_packed(batch, message.key, {name.encode(): orjson.dumps(row) for name, row in rows.items()})
            elif message.value.startswith(TOGETHER):
                for name, row in _taken_apart(message.value):
                    batch.put(name, row)
            else:
                batch.put(message.key, message.value)
        for partition, batch in batches.items():
            self._database(partition).write(batch)
        for tp, offset in offsets.items():
            self._table.data.set_persisted_offset(tp, offset)  # type: ignore[attr-defined]

    def _database(self, partition: int) -> Any:
        """Return the database of a partition: one of rocksdict's, which offers what Faust does not."""
        return self._table.data._db_for_partition(partition)  # type: ignore[attr-defined]

    @contextmanager
    def _disk(self) -> Iterator[None]:
        """Stop the process for whatever the store cannot do: the message is at no fault, and stays unacked."""
        try:
            yield
        except Exception as error:
            table, folder = self._table.name, self._table.app.conf.datadir
            raise FatalError(f"Table {table} cannot be read or written in {folder}: {error}. {MEND}") from error

    def _event(self) -> "EventT[Any]":
        event = current_event()
        if event is None:
            raise RuntimeError("A row is there only for an event: in the iteration or in a window's settle step.")
        if not is_current(self._table.app, event):
            raise PartitionRevokedError(f"{event.message.tp} was revoked while its event was in work.")
        return event

    def _log(self, partition: int, key: bytes, value: bytes | None) -> Awaitable[object]:
        return self._changelog.send(partition, key, value)
