"""The databases of tables: large rows aside, and libraries of earlier versions."""

import os
from pathlib import Path

from faust.stores.rocksdb import RocksDBOptions
from rocksdict import Rdict

from streams.database import DatabaseOptions

ROWS = 2000
LARGE = 3000


def _fill(database: Rdict, begin: int = 0) -> dict[bytes, bytes]:
    """Write rows in pieces, each of which becomes a file that must be merged with the others."""
    rows = {b"c|%08d" % number: os.urandom(LARGE) for number in range(begin, begin + ROWS)}
    for number, (key, row) in enumerate(rows.items()):
        database.put(key, row)
        database.put(b"i|" + key, b"{}")
        if number % 200 == 0:
            database.flush()
    database.flush()
    return rows


def _bytes_of(folder: Path, kind: str) -> int:
    return sum(file.stat().st_size for file in folder.glob(f"*.{kind}"))


def test_merging_writes_no_large_row_again(tmp_path: Path) -> None:
    database = DatabaseOptions().open(tmp_path)
    rows = _fill(database)
    database.compact_range(None, None)
    assert _bytes_of(tmp_path, "blob") >= ROWS * LARGE
    assert _bytes_of(tmp_path, "sst") < ROWS * LARGE / 10
    assert all(database.get(key) == row for key, row in rows.items())
    database.close()


def test_large_rows_that_are_deleted_leave_the_disk(tmp_path: Path) -> None:
    database = DatabaseOptions().open(tmp_path)
    for key in _fill(database):
        database.delete(key)
    database.flush()
    database.compact_range(None, None)
    database.close()
    assert _bytes_of(tmp_path, "blob") < ROWS * LARGE / 10


def test_a_database_of_an_earlier_version_is_read_and_goes_on(tmp_path: Path) -> None:
    earlier = RocksDBOptions(write_buffer_size=4 << 20, bloom_filter_size=10).open(tmp_path)
    old = _fill(earlier)
    earlier.close()
    database = DatabaseOptions().open(tmp_path)
    new = _fill(database, ROWS)
    database.compact_range(None, None)
    assert all(database.get(key) == row for key, row in (old | new).items())
    assert all(database.get(b"i|" + key) == b"{}" for key in old | new)
    assert database.get(b"c|unknown") is None
    database.close()
    # A worker of that version reads on.
    earlier = RocksDBOptions(write_buffer_size=4 << 20, bloom_filter_size=10).open(tmp_path)
    assert all(earlier.get(key) == row for key, row in (old | new).items())
    earlier.close()
