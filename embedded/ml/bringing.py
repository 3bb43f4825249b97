"""Brings a model from the hub, and tries it: what `darkroom models get` does, and the ML service beside its work.

The service does it in a thread that the end of the process ends: what came is kept for the next try.
"""

import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import Literal

from pydantic import BaseModel

from core.errors import DarkroomError, RequestError
from embedded.models.extra import needs_extra
from embedded.models.manifest import Manifest
from embedded.models.progress import Progress
from embedded.models.shelf import Shelf
from embedded.models.table import Entry

log = logging.getLogger("darkroom.ml")


def bring(shelf: Shelf, entry: Entry, progress: Progress, *, tell: Callable[[str], None], reserve: int) -> Manifest:
    """Fetch a model that is not here, from where an earlier try ended; `tell` is told in words of what is waited for.

    `reserve`: bytes of the disk that stay free. Raises FatalError and HubUnavailableError, which say what to do.
    """
    with needs_extra():
        from embedded.ml.trial import try_model  # noqa: PLC0415 - with the hub's client, which few processes need
        from embedded.models.fetching import fetch  # noqa: PLC0415 - as above
        from embedded.models.hub import Hub  # noqa: PLC0415 - as above
    trial = partial(try_model, learned=shelf.learned)
    return fetch(shelf, entry, Hub(tell=tell), progress, reserve=reserve, trial=trial)


class Arrival(BaseModel):
    """A model on its way, or the last one that was: `done` of `total` bytes are here.

    `note`: what is waited for; `message`: why it failed, and what to do.
    """

    name: str
    state: Literal["running", "done", "failed"] = "running"
    total: int = 0
    done: int = 0
    note: str = ""
    message: str = ""

    def begin(self, total: int, done: int) -> None:
        """Take what is to come, and what is here from an earlier try."""
        self.total, self.done = total, done

    def advance(self, count: int) -> None:
        """Take that more came."""
        self.done += count
        self.note = ""


class Arrivals:
    """Brings one model at a time, and remembers how the last one went."""

    def __init__(self, shelf: Shelf, reserve: int) -> None:
        self._shelf = shelf
        self._reserve = reserve
        self._last: Arrival | None = None

    def told(self) -> Arrival | None:
        """Return how the model on its way stands now, or how the last one went."""
        return self._last and self._last.model_copy()

    def begin(self, entry: Entry) -> None:
        """Begin to bring a model. Raises RequestError(409) while another one comes."""
        if self._last is not None and self._last.state == "running":
            raise RequestError(f"{self._last.name} is on its way: one model comes at a time.", 409)
        arrival = self._last = Arrival(name=entry.name)
        # Not of a pool, whose threads the end of the process would wait for.
        threading.Thread(target=self._bring, args=(entry, arrival), name="arrival", daemon=True).start()

    def _bring(self, entry: Entry, arrival: Arrival) -> None:
        def tell(text: str) -> None:
            arrival.note = text

        try:
            bring(self._shelf, entry, arrival, tell=tell, reserve=self._reserve)
        except Exception as error:  # nobody else would tell of it
            arrival.message = str(error) if isinstance(error, DarkroomError) else f"{type(error).__name__}: {error}"
            arrival.state = "failed"
            log.exception("the model %s did not come", entry.name)
        else:
            arrival.state = "done"
            log.info("the model %s is here", entry.name)
