"""Rows of a Faust table whose changelog can be awaited.

Faust's own item assignment sends the changelog record and forgets it, and the flush before a
commit gives up after 100 ms without progress: the offset may be committed before the record is
delivered. `put` and `delete` return the delivery instead, and the caller acks after it.
"""

from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Any

from faust.streams import current_event
from faust.types import AppT, EventT
from faust.types.tables import TableT

import failpoints
from disk import MEND
from errors import FatalError, PartitionRevokedError
from tables.noting import HoldsMessage, Noting


def is_current(app: AppT, event: "EventT[Any]") -> bool:
    """Tell whether no rebalance came since an event was fetched.

    After one, Faust fetches again from the committed offset. So an older event writes no row (that could
    reopen a partition that belongs to another worker) and gives no ack (that could commit past its repeat).
    """
    message = event.message
    return bool(message.generation_id == app.consumer_generation_id and message.tp in app.consumer.assignment())


class Rows:
    """Bytes to bytes, on the partition of the event that is current.

    Every method raises PartitionRevokedError when a rebalance came since the event was fetched.
    """

    def __init__(self, table: "TableT[bytes, bytes]", holds_message: HoldsMessage) -> None:
        self._table = table
        self._row_written = failpoints.row_written(table.name)
        noting = Noting(table.data, holds_message)
        table._on_changelog_sent = noting.delivered  # type: ignore[attr-defined]  # what send_changelog calls

    def get(self, key: bytes) -> bytes | None:
        """Return a row, or None."""
        self._event()
        with self._disk():
            try:
                value: bytes = self._table.data[key]
            except KeyError:
                return None
        return value

    def put(self, key: bytes, value: bytes) -> Awaitable[object]:
        """Write a row; await the result to know that its changelog record is delivered."""
        partition = self._event().message.partition
        with self._disk():
            self._table.data[key] = value
        failpoints.reach(self._row_written)
        return self._log(partition, key, value)

    def delete(self, key: bytes) -> Awaitable[object]:
        """Delete a row; await the result to know that its changelog record is delivered."""
        partition = self._event().message.partition
        if self.get(key) is not None:
            with self._disk():
                del self._table.data[key]
        return self._log(partition, key, None)

    def starting_with(self, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows of the event's partition whose keys begin with a prefix, in the order of the keys.

        `after`: only those behind this key.
        """
        partition = self._event().message.partition
        # Faust offers no range; the store's databases are rocksdict's, one a partition.
        database = self._table.data._db_for_partition(partition)  # type: ignore[attr-defined]
        rows = database.items(from_key=max(prefix, after))
        while True:
            with self._disk():
                key, value = next(rows, (b"", b""))
            if not key or not key.startswith(prefix):
                return
            if key != after:
                yield key, value

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
        delivery: Awaitable[object] = self._table.send_changelog(partition, key, value)
        return delivery
