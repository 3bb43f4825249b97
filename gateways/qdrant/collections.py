"""Collections: made, found, listed, renewed, deleted."""

import asyncio
import time
import uuid
from dataclasses import replace

from core.errors import CollectionMissingError, RequestError
from gateways.qdrant.errors import unless_missing
from gateways.qdrant.generations import Generations
from gateways.qdrant.records import BoundCollection, CollectionInfo, Storage
from gateways.qdrant.schema import collection_info, ensure
from gateways.qdrant.storage import as_changed
from gateways.qdrant.succession import Succession
from rules.collections import check_name, in_qdrant

AS_QDRANT_DOES = Storage()


class CollectionCalls(Succession):
    """What can be asked of collections as a whole. The lists of paths beside them are no collections to anybody."""

    async def ensure_collection(
        self, name: str, *, model_id: str, dimension: int, distance: str, storage: Storage = AS_QDRANT_DOES
    ) -> BoundCollection:
        """Return the collection `name` for vectors of `model_id`, creating it if it is missing, to be kept so.

        `gateways.targets` asks this for all who write.
        One that others made is adopted: it gets our metadata. Raises RequestError: 422 for a wrong name,
        409 when the collection holds vectors of another model or dimension.
        """
        check_name(name)
        async with self._errors(name):
            return await ensure(
                self._client, name, model_id=model_id, dimension=dimension, distance=distance, storage=storage
            )

    async def collection(self, name: str) -> CollectionInfo | None:
        """Return what is known of the collection, as it serves now; None when there is none of that name."""
        try:
            check_name(name)  # it becomes a part of an address
        except RequestError:
            return None
        asked_at = time.monotonic()
        async with self._errors(name):
            info = await unless_missing(self._client.get_collection(name))
            if info is None:
                return None
            generations = Generations.of(info)
            at = in_qdrant(generations.address(name))
            self._note_serving(name, generations, asked_at)
            if at != name and (info := await unless_missing(self._client.get_collection(at))) is None:
                return None  # it is being deleted, or was followed just now
            return collection_info(name, info, generations)

    async def existing_collection(self, name: str) -> CollectionInfo:
        """Return what is known of the collection. Raises CollectionMissingError when there is none of that name."""
        found = await self.collection(name)
        if found is None:
            raise CollectionMissingError(f"There is no collection {name!r}.")
        return found

    async def collections(self) -> list[CollectionInfo]:
        """List all collections, by name. Those whose vectors are named or sparse are not for us and left out."""
        async with self._errors():
            names = sorted(found.name for found in (await self._client.get_collections()).collections)
        infos = await asyncio.gather(*(self._collection_for_us(name) for name in names))
        return [info for info in infos if info is not None]

    async def _collection_for_us(self, name: str) -> CollectionInfo | None:
        try:
            return await self.collection(name)
        except RequestError:
            return None

    async def delete_collection(self, name: str) -> bool:
        """Delete the collection with all its points and generations; False when there was none."""
        async with self._errors(name):
            # First those that the one with the name tells of.
            for at in await self._addresses(name):
                if at != name:
                    await self._lists.delete_all(at)
                    await self._client.delete_collection(at)
            deleted = await self._client.delete_collection(name)
            await self._lists.delete_all(name)
        return deleted

    async def incarnation(self, name: str) -> str | None:
        """Return the incarnation that the collection has now; None when it is missing, or made by others."""
        found = await self.collection(name)
        return found.incarnation if found else None

    async def keep_collection(self, name: str, storage: Storage) -> CollectionInfo:
        """Have a collection kept so from now on, and return it as Qdrant describes it then.

        Raises CollectionMissingError.
        """
        found = await self.existing_collection(name)
        async with self._errors(name):
            await self._client.update_collection(in_qdrant(found.at), **as_changed(storage))
        return await self.existing_collection(name)

    async def renew_collection(self, name: str) -> CollectionInfo:
        """Give a collection a new incarnation, as if it had been made now, and return it as it is then.

        Raises CollectionMissingError; RequestError(409) for a collection that others made and nothing was stored in.
        """
        found = await self.existing_collection(name)
        if found.incarnation is None:
            raise RequestError(f"Collection {name!r} was made by another program: nothing is known of it.", 409)
        incarnation = str(uuid.uuid4())
        async with self._errors(name):
            await self._client.update_collection(in_qdrant(found.at), metadata={"incarnation": incarnation})
        return replace(found, incarnation=incarnation)
