"""Models of the shelf beside the one that runs, on demand: a request may name one.

A collection whose pictures are embedded anew needs two for a while: searches compare with the vectors that are there,
and pictures that come in meanwhile are of either.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from core.errors import FatalError
from embedded.ml import descriptor
from embedded.ml.idle import Idle
from embedded.ml.model import Model
from embedded.models.manifest import CAPTIONER, model_id_of
from embedded.models.shelf import BUILT_IN, Shelf

IDLE_SECONDS = 900.0  # after which a model that nobody named is given up

log = logging.getLogger("darkroom.ml")


class Offered(NamedTuple):
    """A model by the name that people give it, and by the one that its vectors have."""

    name: str
    model_id: str


class Others:
    """Each is loaded by its first use, and given up when nobody wants it for a while.

    `load` makes the model of a folder (None: the one that needs no weights). It may raise FatalError.
    """

    def __init__(self, shelf: Shelf, load: Callable[[Path | None], Model]) -> None:
        self._shelf = shelf
        self._load = load
        self._known: dict[Offered, Idle[Model]] = {}

    def offered(self) -> list[Offered]:
        """Return what is on the shelf now: one that was fetched since the start is here, too."""
        found = [Offered(BUILT_IN, descriptor.MODEL_ID)]
        for name, manifest in self._shelf.all().items():
            if manifest.family != CAPTIONER:
                found.append(Offered(name, model_id_of(self._shelf.at(name), manifest)))
        return found

    def get(self, model_id: str) -> Model | None:
        """Return a model for one use; None where it is not here, or cannot be used. Blocks."""
        try:
            found = next((one for one in self.offered() if one.model_id == model_id), None)
            return None if found is None else self._idle(found).get()
        except FatalError as error:
            log.warning("%s cannot be used: %s", model_id, error)
            return None

    def _idle(self, one: Offered) -> Idle[Model]:
        folder = None if one.name == BUILT_IN else self._shelf.at(one.name)
        return self._known.setdefault(one, Idle(lambda: self._load(folder), IDLE_SECONDS))
