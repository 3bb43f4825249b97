"""The connection to one Qdrant, which all that is asked of it shares."""

from contextlib import AbstractAsyncContextManager
from typing import Self

import httpx
from qdrant_client import AsyncQdrantClient

from core.errors import QdrantRejectedError, QdrantUnavailableError
from core.http import without_sniffio
from core.tls import authorities
from gateways.qdrant.errors import translated_errors
from gateways.qdrant.lean import without_fastembed
from gateways.qdrant.measure import measure
from gateways.qdrant.path_lists import PathLists

# qdrant-client keeps none open to a Qdrant on this machine. Qdrant closes those that rest for 5 seconds: one that it
# closes as a request is sent would fail that.
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
        self._complete: set[str] = set()

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
        return translated_errors(self._url, name)
