"""What the stages need to know of a collection: its model, and its present incarnation."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from core.settings import Settings
from gateways.ml import ML
from gateways.qdrant import BoundCollection, CollectionInfo, Qdrant
from gateways.targets import Targets
from streams.tasks import start

V = TypeVar("V")

# A job asks anew when it begins, so this bounds only how late a running job notices a deletion.
FRESH_SECONDS = 1.0
REMEMBERED = 1000


class KnownCollections:
    """Answers for a job and a collection, each remembered for a moment and asked once at a time.

    None waits for another: a collection that is slow to tell holds up its own files only. What is published again may
    follow a deletion at once, and be of the same job: `since` (a time of `time.monotonic`) refuses older answers.
    """

    def __init__(self, qdrant: Qdrant) -> None:
        self._qdrant = qdrant
        self._places: _Remembered[BoundCollection | None] = _Remembered()
        self._known: _Remembered[CollectionInfo | None] = _Remembered()

    async def target(
        self, job_id: str, collection: str, model_id: str, *, since: float = 0.0
    ) -> BoundCollection | None:
        """Return where files of a model go: the generation of the collection that is of it; None when there is none.

        Raises QdrantUnavailableError.
        """
        key = (job_id, collection, model_id)
        return await self._places.get(key, lambda: self._qdrant.of_model(collection, model_id), since)

    def known_target(self, job_id: str, collection: str, model_id: str) -> BoundCollection | None:
        """Return what `target` would, where that was told lately."""
        return self._places.known((job_id, collection, model_id))

    async def known(self, job_id: str, collection: str, model_id: str | None = None) -> CollectionInfo | None:
        """Return what is known of a collection, of its generation of a model if it has that; None when there is none.

        Raises QdrantUnavailableError.
        """

        async def ask() -> CollectionInfo | None:
            found = None if model_id is None else await self._qdrant.of_model(collection, model_id)
            return found or await self._qdrant.collection(collection)

        return await self._known.get((job_id, collection, model_id), ask)


class WritableCollections(KnownCollections):
    """Answers likewise, and makes what is missing."""

    def __init__(self, qdrant: Qdrant, ml: ML, settings: Settings) -> None:
        super().__init__(qdrant)
        self._targets = Targets(qdrant, settings, ml.capabilities)
        self._ensured: _Remembered[BoundCollection] = _Remembered()

    async def ensure(self, job_id: str, collection: str, model_id: str | None) -> str:
        """Create a collection if it is missing, and return the model that it is bound to.

        Raises as `Targets.ensure` does.
        """
        key = (job_id, collection, model_id)
        return (await self._ensured.get(key, lambda: self._targets.ensure(collection, model_id))).model_id


class _Remembered(Generic[V]):
    """Answers by what was asked, each good for FRESH_SECONDS. Who asks what is being asked gets that answer."""

    def __init__(self) -> None:
        # With the time when it was asked.
        self._answers: OrderedDict[tuple[str | None, ...], tuple[float, V]] = OrderedDict()
        self._asking: dict[tuple[str | None, ...], tuple[float, asyncio.Task[V]]] = {}

    async def get(
        self, key: tuple[str | None, ...], ask: Callable[[], Coroutine[Any, Any, V]], since: float = 0.0
    ) -> V:
        now = time.monotonic()
        known = self._answers.get(key)
        if known is not None and known[0] >= max(since, now - FRESH_SECONDS):
            return known[1]
        asking = self._asking.get(key)
        if asking is None or asking[0] < since:
            asking = self._asking[key] = now, start(self._ask(key, ask, now))
        # One that gives up its question takes the answer from nobody else.
        return await asyncio.shield(asking[1])

    def known(self, key: tuple[str | None, ...]) -> V | None:
        """Return an answer that is good still, or None."""
        at, answer = self._answers.get(key, (0.0, None))
        return answer if at >= time.monotonic() - FRESH_SECONDS else None

    async def _ask(self, key: tuple[str | None, ...], ask: Callable[[], Coroutine[Any, Any, V]], asked_at: float) -> V:
        try:
            answer = await ask()
        finally:
            if key in self._asking and self._asking[key][0] == asked_at:
                del self._asking[key]
        if key not in self._answers or self._answers[key][0] <= asked_at:
            self._answers[key] = (asked_at, answer)
            self._answers.move_to_end(key)
        if len(self._answers) > REMEMBERED:
            self._answers.popitem(last=False)
        return answer
