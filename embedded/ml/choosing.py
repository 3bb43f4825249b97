"""Which model the service runs. Another one comes, and takes its place, while it runs.

Nothing is restarted: requests that are in work end with the model that they began with, and the next ones get the new
one. What was chosen is kept on the shelf, so that the service starts with it the next time, too.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel

from core.errors import FatalError, RequestError
from embedded.ml.bringing import Arrival, Arrivals
from embedded.ml.model import Model
from embedded.ml.several import Others
from embedded.models.listing import Listed, listed
from embedded.models.manifest import CAPTIONER
from embedded.models.shelf import BUILT_IN, Shelf
from embedded.models.table import entries

Load = Callable[[Path | None, Path | None], Model]
"""Takes the folders of a model (None: the one that needs no weights) and of a captioner (None: none)."""


class Models(BaseModel):
    """Which models there are. `fixed`: why no other can be used than the one that runs, or null.

    `arrival`: the model on its way, or the last one that was; `loading`: the one that is about to take over.
    """

    default: str
    fixed: str | None
    models: list[Listed]
    arrival: Arrival | None
    loading: str | None


class Choice:
    """The model in use. `fixed`: who started the service has said which, in words for a person."""

    def __init__(self, shelf: Shelf, load: Load, *, reserve: int, fixed: str | None = None) -> None:
        self.model: Model | None = None
        self.fixed = fixed
        self._shelf = shelf
        self._load = load
        self._folder: Path | None = None
        self._captioner: Path | None = None
        self._arrivals = Arrivals(shelf, reserve)
        self.others = Others(shelf, lambda folder: load(folder, self._captioner))
        self._loading: str | None = None
        self._changing = asyncio.Lock()

    async def start(self, folder: Path | None) -> Model:
        """Load the model that lies in a folder, with the captioner that was chosen. Raises FatalError."""
        self._loading = BUILT_IN if folder is None else folder.name
        try:
            return await self._change(folder, self._shelf.captioner)
        finally:
            self._loading = None

    async def models(self) -> Models:
        """Say which models there are. Raises FatalError where the table of own entries is none."""
        # What is under way is noted before it is looked at what is there, and as it was then: whoever is told that
        # nothing is under way asks no more, and must have been told all that has come of it.
        arrival, loading = self._arrivals.told(), self._loading
        found = await asyncio.to_thread(listed, self._shelf, self._used)
        default = next(iter(entries(self._shelf.table)))
        return Models(default=default, fixed=self.fixed, models=found, arrival=arrival, loading=loading)

    def get(self, name: str) -> None:
        """Begin to bring a model. Raises RequestError: 404 where there is none of the name, 409 where it cannot be."""
        known = entries(self._shelf.table)
        if name not in known:
            raise RequestError(f"There is no model {name!r} to fetch; these are: {', '.join(known)}.", 404)
        if self._shelf.has(name):
            raise RequestError(f"{name} is here already: use it.", 409)
        self._arrivals.begin(known[name])

    async def use(self, name: str) -> None:
        """Run another model from now on, or a captioner beside the one that runs.

        Raises RequestError: 404 where it is not here; 409 where it cannot be used, with the former one running on.
        """
        if self.fixed:
            raise RequestError(self.fixed, 409)
        if name != BUILT_IN and not self._shelf.has(name):
            raise RequestError(f"The model {name!r} is not here: get it first.", 404)
        async with self._changing:
            self._loading = name
            try:
                if name != BUILT_IN and self._shelf.manifest(name).family == CAPTIONER:
                    await self._change(self._folder, self._shelf.at(name) / CAPTIONER)
                else:
                    await self._change(self._shelf.in_use(name), self._captioner)
                self._shelf.choose(name)
            except FatalError as error:
                raise RequestError(f"{name} cannot be used: {error}", 409) from error
            finally:
                self._loading = None

    async def _change(self, folder: Path | None, captioner: Path | None) -> Model:
        model = await asyncio.to_thread(self._load, folder, captioner)
        self.model, self._folder, self._captioner = model, folder, captioner
        return model

    @property
    def _used(self) -> set[str]:
        """Return what is in use: a model, and maybe a captioner beside it; nothing while the first is being loaded."""
        if self.model is None:
            return set()
        beside = set() if self._captioner is None else {self._captioner.parent.name}
        if self._folder is None:
            return beside | {BUILT_IN}
        return beside | ({self._folder.name} if self._folder.parent == self._shelf.folder else set())


router = APIRouter(prefix="/api/v1/models")


def _choice(request: Request) -> Choice:
    choice: Choice = request.app.state.choice
    return choice


Chosen = Annotated[Choice, Depends(_choice)]


@router.get("")
async def models(choice: Chosen) -> Models:
    """Say which models there are, which are here and in use, and which is on its way."""
    return await choice.models()


@router.post("/{name}/get", status_code=202)
async def get(name: str, choice: Chosen) -> Models:
    """Begin to bring a model."""
    choice.get(name)
    return await choice.models()


@router.post("/{name}/use")
async def use(name: str, choice: Chosen) -> Models:
    """Run another model from now on."""
    await choice.use(name)
    return await choice.models()
