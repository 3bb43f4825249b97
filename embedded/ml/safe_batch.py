"""How many images a model has memory for at once: learned by trying, halved when it runs out, and remembered."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

from embedded.ml.descriptor import Array

MOST = 32  # images; more at once gained nothing more


class SafeBatch:
    """The number of images for one model on one device (`key`), kept in the file `learned`, if there is one."""

    def __init__(self, key: str, learned: Path | None) -> None:
        self._key = key
        self._file = learned
        self.size = min(MOST, self._read().get(key, MOST))

    def run(self, embed: Callable[[Sequence[Image.Image]], Array], images: Sequence[Image.Image]) -> Array:
        """Embed images, as many at once as there is memory for. Raises MemoryError where there is none for one."""
        vectors: list[Array] = []
        done = 0
        while done < len(images):
            some = images[done : done + self.size]
            try:
                vectors.append(embed(some))
            except MemoryError:
                if len(some) == 1:
                    raise
                self.size = max(1, len(some) // 2)
                self._write()
                continue
            done += len(some)
        return np.concatenate(vectors)

    def _read(self) -> dict[str, int]:
        with suppress(OSError, ValueError):
            if self._file is not None:
                found = json.loads(self._file.read_bytes())
                return {str(key): max(1, int(size)) for key, size in found.items()}
        return {}

    def _write(self) -> None:
        if self._file is None:
            return
        with suppress(OSError):  # It is learned again at the next start.
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_text(json.dumps(self._read() | {self._key: self.size}))
