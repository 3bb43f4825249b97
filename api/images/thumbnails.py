"""Reads thumbnails: a page asks for fifty, a few at a time, and each request to Qdrant costs more than its answer."""

import asyncio
from typing import Any

from gateways.qdrant import Qdrant

FIELD = "thumbnail_base64"

Payload = dict[str, Any] | None


class Thumbnails:
    """What is asked for while a request to Qdrant is under way goes together in the next one."""

    def __init__(self, qdrant: Qdrant) -> None:
        self._qdrant = qdrant
        self._wanted: dict[str, dict[str, asyncio.Future[Payload]]] = {}
        self._reading: dict[str, asyncio.Task[None]] = {}

    async def payload(self, collection: str, image_id: str) -> Payload:
        """Return a point's payload with its thumbnail alone; None where there is no such point.

        Raises what Qdrant raises.
        """
        wanted = self._wanted.setdefault(collection, {})
        future = wanted.get(image_id)
        if future is None:
            wanted[image_id] = future = asyncio.get_running_loop().create_future()
        if collection not in self._reading:
            self._reading[collection] = asyncio.create_task(self._read(collection))
        return await asyncio.shield(future)

    async def _read(self, collection: str) -> None:
        while wanted := self._wanted.pop(collection, None):
            try:
                found = await self._qdrant.payloads(collection, list(wanted), [FIELD])
            except Exception as error:
                for future in wanted.values():
                    future.set_exception(error)
                    future.exception()  # whoever asked may have gone
            else:
                for image_id, future in wanted.items():
                    future.set_result(found.get(image_id))
        del self._reading[collection]
