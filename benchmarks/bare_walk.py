"""The least that a second look at a folder costs: walk, `stat`, and one RocksDB look-up a file, on one core.

    python -m benchmarks.bare_walk FOLDER DATABASE

prints JSON: files, wall seconds and CPU seconds of the look, without those of Python's start. The first run with a
DATABASE fills it, and its look is not comparable.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from rocksdict import AccessType, Options, Rdict


def look(folder: bytes, database: Rdict) -> tuple[int, int]:
    """Return how many files there are, and how many of them the database knows with their size and time of change."""
    files = known = 0
    for path, status in _files(folder):
        files += 1
        known += database.get(path) == b"%d %d" % (status.st_size, status.st_mtime_ns)
    return files, known


def fill(folder: bytes, database: Rdict) -> None:
    """Put size and time of change of every file below the folder into the database."""
    for path, status in _files(folder):
        database[path] = b"%d %d" % (status.st_size, status.st_mtime_ns)


def _files(folder: bytes) -> Iterator[tuple[bytes, os.stat_result]]:
    folders = [folder]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    yield entry.path, entry.stat(follow_symlinks=False)


def main() -> None:
    """Look at the folder once; fill the database before where it is new."""
    folder, path = os.fsencode(sys.argv[1]), sys.argv[2]
    options = Options(raw_mode=True)
    if not Path(path).exists():
        database = Rdict(path, options)
        fill(folder, database)
        database.close()
    database = Rdict(path, options, access_type=AccessType.read_only())
    begin, cpu = time.perf_counter(), time.process_time()
    files, known = look(folder, database)
    seconds, cpu_seconds = time.perf_counter() - begin, time.process_time() - cpu
    if known != files:
        raise RuntimeError(f"Of {files} files {known} are known.")
    json.dump({"files": files, "seconds": seconds, "cpu_seconds": cpu_seconds}, sys.stdout)


if __name__ == "__main__":
    main()
