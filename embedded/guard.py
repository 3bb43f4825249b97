"""Stands before the embedded servers, which ask nobody for a key: no web page that a browser runs may use them."""

from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from rules.listening import is_loopback


class NoWebPages:
    """Lets through what programs send. A server that listens on `host`, a loopback address, is called by that alone."""

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app = app
        self._is_local = is_loopback(host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403 to what a page of any site sends, or asks for by a name that was pointed at this machine."""
        if scope["type"] == "lifespan" or self._is_from_a_program(scope):
            await self._app(scope, receive, send)
        else:
            refusal = PlainTextResponse("No web page may use this server: it is for Darkroom.", 403)
            await refusal(scope, receive, send)

    def _is_from_a_program(self, scope: Scope) -> bool:
        if any(name == b"origin" for name, _ in scope["headers"]):
            return False
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        return not self._is_local or all(map(_is_here, hosts))


def _is_here(host: str) -> bool:
    try:
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False
