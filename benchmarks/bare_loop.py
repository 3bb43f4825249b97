"""The same work without Kafka: read, hash, decode, thumbnail and rendition in two processes.

    python -m benchmarks.bare_loop FOLDER

prints JSON: the seconds from the first file to the last, and by path the SHA-256 of the file, its thumbnail and its
rendition. It calls the product's own functions, so what it makes is the same, byte for byte.
"""

import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from pathlib import Path

from core.settings import Settings
from imaging.decoding import prepare
from imaging.hashing import hash_file

PROCESSES = 2


def work(path: bytes) -> tuple[str, str, str]:
    """Hash and decode one file."""
    settings = Settings()
    digest, stamp = hash_file(path)
    prepared = prepare(path, stamp, digest, max_pixels=settings.max_image_pixels, max_bytes=settings.max_file_bytes)
    return digest, sha256(prepared.thumbnail).hexdigest(), sha256(prepared.rendition).hexdigest()


def main() -> None:
    """Time the loop over a folder; the processes are up and warm before."""
    paths = sorted(os.fsencode(path) for path in Path(sys.argv[1]).iterdir())
    with ProcessPoolExecutor(PROCESSES) as pool:
        list(pool.map(work, paths[: 2 * PROCESSES]))
        begin = time.perf_counter()
        made = list(pool.map(work, paths))
        seconds = time.perf_counter() - begin
    by_path = {os.fsdecode(path): result for path, result in zip(paths, made, strict=True)}
    json.dump({"seconds": seconds, "files": by_path}, sys.stdout)


if __name__ == "__main__":
    main()
