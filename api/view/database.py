"""One SQLite connection and the one thread that uses it, so that no query ever blocks the event loop."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

BUSY_SECONDS = 10.0


class Database:
    """A connection in autocommit mode to the database at `path`, in WAL mode: readers never wait for the writer."""

    def __init__(self, path: Path) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=path.stem)
        self._connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode=WAL")
        # A power cut may lose the last transactions, never the file: what is lost is read from Kafka again.
        self._connection.execute("PRAGMA synchronous=NORMAL")

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Run `query` in the thread of the connection."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, query, self._connection)

    async def write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        """Run `change` in the thread of the connection, as one transaction: all of it or nothing."""

        def transaction(connection: sqlite3.Connection) -> T:
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = change(connection)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
            return result

        return await self.read(transaction)

    async def close(self) -> None:
        """Wait for what runs, then close the connection."""
        await asyncio.to_thread(self._thread.shutdown)
        self._connection.close()
