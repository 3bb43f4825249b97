"""The connection to one Qdrant, which all that is asked of it shares."""

import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Self

import httpx
from qdrant_client import AsyncQdrantClient

from core.errors import QdrantRejectedError, QdrantUnavailableError
from core.http import without_sniffio
from core.tls import authorities
from gateways.qdrant.errors import translated_errors, unless_missing
from gateways.qdrant.generations import Generations
from gateways.qdrant.lean import without_fastembed
from gateways.qdrant.measure import measure
from gateways.qdrant.path_lists import PathLists
from rules.collections import in_qdrant, is_address, public_name

# qdrant-client keeps none open to a Qdrant on this machine. Qdrant closes those that rest for 5 seconds: one that it
# closes as a request is sent would fail that.
FRESH_SECONDS = 1.0
"""So late may a process notice which generation of a collection serves."""
REMEMBERED = 1000
LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=2.0)


class Connection:
    """A client of the Qdrant at `url`; `timeout` in seconds, rounded up. Close it, or use it in `async with`."""

    def __init__(self, url: str, *, api_key: str | None = None, timeout: float = 60.0) -> None:
        self._url = url
        without_sniffio()
        # The key goes in a header of our own: qdrant-client warns about a key over plain HTTP, which is
        # ordinary inside a cluster.
        with without_fastembed():
            self._client = AsyncQdrantClient(
                url=url,
                headers={"api-key": api_key} if api_key else None,
                timeout=timeout,  # type: ignore[arg-type]  # annotated int, and rounded up inside
                prefer_grpc=False,
                check_compatibility=False,
                verify=authorities(url),
                limits=LIMITS,
            )
        measure(self._client)
        self._lists = PathLists(self._client)
        # Collection → whether it is one of ours, with all indexes.
        self._complete: dict[str, bool] = {}
        # By the names of collections, with the time when it was asked.
        self._serving: dict[str, tuple[float, str]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def healthy(self) -> bool:
        """Whether Qdrant answers, and accepts our key."""
        try:
            async with self._errors():
                await self._client.get_collections()
        except (QdrantUnavailableError, QdrantRejectedError):
            return False
        return True

    def _errors(self, name: str | None = None) -> AbstractAsyncContextManager[None]:
        return translated_errors(self._url, name and public_name(name))

    @asynccontextmanager
    async def _in(self, name: str) -> AsyncIterator[str]:
        """Translate errors, and give what Qdrant calls the generation that a name or an address means now."""
        async with self._errors(name):
            yield in_qdrant(name) if is_address(name) else await self._serving_in(name)

    async def _serving_in(self, name: str) -> str:
        now = time.monotonic()
        known = self._serving.get(name)
        if known is not None and known[0] > now - FRESH_SECONDS:
            return known[1]
        info = await unless_missing(self._client.get_collection(name))
        if info is None:
            self._serving.pop(name, None)
            return name  # whoever asks it is told so
        return self._note_serving(name, Generations.of(info), now)

    def _note_serving(self, name: str, generations: Generations, asked_at: float) -> str:
        serving = in_qdrant(generations.address(name))
        if len(self._serving) >= REMEMBERED:
            self._serving.clear()
        self._serving[name] = asked_at, serving
        return serving
