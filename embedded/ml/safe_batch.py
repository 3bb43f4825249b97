"""How many images a model has memory for at once: halved when it runs out."""

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from embedded.ml.descriptor import Array


class SafeBatch:
    """The number of images. Who made it is told of a smaller one."""

    def __init__(self, size: int, tell: Callable[[int], None]) -> None:
        self.size = size
        self._tell = tell

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
                self._tell(self.size)
                continue
            done += len(some)
        return np.concatenate(vectors)
