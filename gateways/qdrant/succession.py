"""One generation of a collection follows another: made, filled, switched to, and the former taken away."""

import uuid
from dataclasses import replace
from typing import Any

from qdrant_client import models

from core.errors import CollectionMissingError, RequestError
from gateways.qdrant.connection import Connection
from gateways.qdrant.errors import unless_missing
from gateways.qdrant.generations import Generations
from gateways.qdrant.records import BoundCollection, CollectionInfo, Storage
from gateways.qdrant.schema import collection_info, complete, create, our_metadata
from gateways.qdrant.storage import as_created
from rules.collections import check_name, generation, in_qdrant

_POINTS_AT_ONCE = 1000


class Succession(Connection):
    """What can be asked of the generations of a collection."""

    async def generations(self, name: str) -> list[BoundCollection]:
        """Return the generations that there are: the one that serves, the one that is filled, the one that goes.

        None for a collection that is not there, or that others made.
        """
        try:
            check_name(name)  # it becomes a part of an address
        except RequestError:
            return []
        async with self._errors(name):
            generations, root = await self._generations(name)
            if root is None:
                return []
            found = [await self._generation(name, root, generations, number) for number in generations.numbers]
        return [info for info in found if isinstance(info, BoundCollection)]

    async def addresses(self, name: str) -> list[str]:
        """Return the addresses of all generations of a collection, the one that serves first."""
        return [info.at for info in await self.generations(name)] or [name]

    async def of_model(self, name: str, model_id: str) -> BoundCollection | None:
        """Return the generation that holds vectors of a model; None where the collection has none of that model."""
        return next((info for info in await self.generations(name) if info.model_id == model_id), None)

    async def filling(self, name: str) -> BoundCollection | None:
        """Return the generation that is being filled, if any."""
        async with self._errors(name):
            generations, root = await self._generations(name)
            if generations.filling is None or root is None:
                return None
            info = await self._generation(name, root, generations, generations.filling)
        return info if isinstance(info, BoundCollection) else None

    async def leaving(self, name: str) -> BoundCollection | None:
        """Return the generation that another has followed and whose points are not gone yet, if any."""
        async with self._errors(name):
            generations, root = await self._generations(name)
            if generations.leaving is None or root is None:
                return None
            info = await self._generation(name, root, generations, generations.leaving)
        return info if isinstance(info, BoundCollection) else None

    async def begin_filling(self, name: str, *, model_id: str, dimension: int, distance: str) -> BoundCollection:
        """Return the generation to be filled with vectors of a model, made where it is not there yet.

        One of another model, which nobody went on with, is replaced. Raises CollectionMissingError; RequestError(409)
        while the generation before the one that serves is not gone yet, or for a collection that others made.
        """
        async with self._errors(name):
            generations, root = await self._generations(name)
            if root is None:
                raise CollectionMissingError(f"There is no collection {name!r}.")
            if generations.leaving is not None:
                raise RequestError(f"Collection {name!r} is being embedded anew: wait for the end of that job.", 409)
            if generations.line is None:
                generations = replace(generations, line=str(uuid.uuid4()))
                await self._point_to(name, generations)
            number = generations.serving + 1
            at = in_qdrant(generation(name, number))
            ours = {**our_metadata(model_id), "line": generations.line or ""}
            info = await unless_missing(self._client.get_collection(at))
            if info is not None and not _is_of(info, ours, dimension):
                await self._point_to(name, replace(generations, filling=None))
                await self._lists.delete_all(at)
                await self._client.delete_collection(at)
                info = None
            if info is None:
                serving = await self._generation(name, root, generations, generations.serving)
                kept = as_created(serving.storage if serving else Storage(), dimension, models.Distance(distance))
                await create(self._client, at, ours, kept)
                info = await self._client.get_collection(at)
            await complete(self._client, at, info)
            generations = replace(generations, filling=number)
            await self._point_to(name, generations)
            found = collection_info(name, info, generations, number)
        assert isinstance(found, BoundCollection)  # noqa: S101 - its metadata were just looked at
        return found

    async def switch(self, name: str, to: BoundCollection) -> None:
        """Have the generation that was filled serve. Doing it twice is doing it once."""
        async with self._errors(name):
            generations, root = await self._generations(name)
            if generations.filling != to.number or root is None:
                return
            now = await self._generation(name, root, generations, generations.serving)
            await self._point_to(name, generations.switched((now and now.model_id) or "", to.model_id))

    async def drop_leaving(self, name: str) -> None:
        """Take away the generation that was followed. Doing it twice is doing it once."""
        async with self._errors(name):
            generations, root = await self._generations(name)
            if generations.leaving is None or root is None:
                return
            await self._drop(name, generations.leaving)
            await self._point_to(name, replace(generations, leaving=None))

    async def _drop(self, name: str, number: int) -> None:
        at = in_qdrant(generation(name, number))
        await self._lists.delete_all(at)
        if at != name:
            await self._client.delete_collection(at)
            return
        # The first one has the name, and tells of the others: it stays, without points.
        while True:
            records, _ = await self._client.scroll(name, limit=_POINTS_AT_ONCE, with_payload=False)
            if not records:
                return
            await self._client.delete(name, [record.id for record in records], wait=True)

    async def _addresses(self, name: str) -> list[str]:
        generations, root = await self._generations(name)
        numbers = {*generations.numbers, generations.serving + 1} if root else ()
        return [in_qdrant(generation(name, number)) for number in numbers]

    async def _generations(self, name: str) -> tuple[Generations, models.CollectionInfo | None]:
        """Return the generations as they are now, and what Qdrant says of the collection that has the name."""
        root = await unless_missing(self._client.get_collection(name))
        return (Generations(), None) if root is None else (Generations.of(root), root)

    async def _generation(
        self, name: str, root: models.CollectionInfo, generations: Generations, number: int
    ) -> CollectionInfo | None:
        at = in_qdrant(generation(name, number))
        info = root if at == name else await unless_missing(self._client.get_collection(at))
        return None if info is None else collection_info(name, info, generations, number)

    async def _point_to(self, name: str, generations: Generations) -> None:
        await self._client.update_collection(name, metadata=generations.metadata())


def _is_of(info: models.CollectionInfo, ours: dict[str, Any], dimension: int) -> bool:
    metadata, vectors = info.config.metadata or {}, info.config.params.vectors
    return (
        (metadata.get("model_id"), metadata.get("line")) == (ours["model_id"], ours["line"])
        and isinstance(vectors, models.VectorParams)
        and vectors.size == dimension
    )
