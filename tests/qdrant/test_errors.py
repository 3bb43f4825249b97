"""Which errors of a sick Qdrant are worth a retry."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from core.errors import DarkroomError, QdrantRejectedError, QdrantUnavailableError
from gateways.qdrant import Qdrant
from tests.qdrant.points import photo


@asynccontextmanager
async def answering(answer: str | None) -> AsyncIterator[str]:
    """The URL of a server that gives every request this answer; None: it never answers."""

    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer is not None:
            writer.write(answer.encode())
            await writer.drain()
        else:
            await reader.read()
        writer.close()
        await writer.wait_closed()
        ended.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await ended.wait()


def response(status: int, body: str = '{"status": {"error": "so it is"}}', headers: str = "") -> str:
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{headers}\r\n{body}"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (response(500), QdrantUnavailableError),
        (response(503), QdrantUnavailableError),
        (response(429), QdrantUnavailableError),
        (response(429, headers="Retry-After: 3\r\n"), QdrantUnavailableError),
        (response(401), QdrantUnavailableError),
        (response(200, "<html>a proxy's page</html>"), QdrantUnavailableError),
        ("", QdrantUnavailableError),
        (None, QdrantUnavailableError),
        (response(400), QdrantRejectedError),
        (response(413), QdrantRejectedError),
    ],
)
async def test_only_a_refusal_of_the_points_is_final(answer: str | None, error: type[DarkroomError]) -> None:
    async with answering(answer) as url, Qdrant(url, timeout=1) as qdrant:
        with pytest.raises(error):
            await qdrant.upsert("photos", [photo(1)])
