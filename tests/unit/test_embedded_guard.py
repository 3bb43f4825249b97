"""The embedded servers ask for no key: a browser on this machine must not use them for the page of some site."""

import httpx
import pytest
from starlette.responses import PlainTextResponse

from embedded.guard import NoWebPages


async def status(listens_on: str, **headers: str) -> int:
    app = NoWebPages(PlainTextResponse("here"), listens_on)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:6333") as client:
        return (await client.post("/collections/photos/points/delete", headers=headers)).status_code


@pytest.mark.parametrize("host", ["127.0.0.1:6333", "localhost:6333", "[::1]:6333", "127.0.0.1:7000", "LOCALHOST"])
async def test_programs_are_served(host: str) -> None:
    assert await status("127.0.0.1", Host=host) == 200


@pytest.mark.parametrize("host", ["photos.example:6333", "127.0.0.1.photos.example", "192.168.0.7:6333", "[::1", ""])
async def test_a_name_that_was_pointed_here_is_refused(host: str) -> None:
    assert await status("127.0.0.1", Host=host) == 403
    # In a network of containers, it has any name.
    assert await status("0.0.0.0", Host=host) == 200


@pytest.mark.parametrize("origin", ["http://photos.example", "null", "http://127.0.0.1:6333"])
async def test_what_a_page_sends_is_refused(origin: str) -> None:
    assert await status("127.0.0.1", Origin=origin) == 403
    assert await status("0.0.0.0", Origin=origin) == 403
