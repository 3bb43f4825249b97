"""Measures every request to Qdrant."""

import time

from httpx import Request, Response
from qdrant_client import AsyncQdrantClient
from qdrant_client.async_qdrant_remote import AsyncQdrantRemote
from qdrant_client.http.api_client import SendAsync

from core import metrics


def measure(client: AsyncQdrantClient) -> None:
    """Have the requests of a client go to the metrics."""
    remote = client._client
    if not isinstance(remote, AsyncQdrantRemote):
        raise TypeError("Only a client of a Qdrant that is reached over HTTP can be measured.")
    remote.http.client.add_middleware(_measured)


async def _measured(request: Request, send: SendAsync) -> Response:
    result, started = "error", time.monotonic()
    try:
        response = await send(request)
        result = metrics.result_of(response.status_code)
        return response
    finally:
        metrics.QDRANT.labels(operation(request), result).observe(time.monotonic() - started)


def operation(request: Request) -> str:
    """Return what is asked for, without the name of the collection: few values, however many there are."""
    parts = request.url.path.strip("/").split("/")
    return " ".join([request.method, *(part for number, part in enumerate(parts) if number != 1)])
