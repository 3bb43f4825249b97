"""No answer of the API is a page: a browser that opens one runs nothing in it, whatever bytes it holds."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Browsers show a picture that is opened by itself with a style of their own.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


class Sandboxed:
    """Adds to all answers below `prefix`, also to the originals that people have sent, what keeps a browser still.

    Unless it is shared with pages of other sites, none of these may show what comes from here.
    """

    def __init__(self, app: ASGIApp, prefix: str, *, is_shared: bool) -> None:
        self._app = app
        self._is_shared = is_shared
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything through."""
        if scope["type"] != "http" or not scope["path"].startswith(self._prefix):
            await self._app(scope, receive, send)
            return

        async def sandboxed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = POLICY
                headers["X-Content-Type-Options"] = "nosniff"
                if not self._is_shared:
                    headers["Cross-Origin-Resource-Policy"] = "same-origin"
            await send(message)

        await self._app(scope, receive, sandboxed)
