"""Stands before every route: with a key, who has it may pass; without, only programs on this machine."""

import hmac
import time
from collections.abc import Collection, Iterable

from fastapi import Depends
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.types import ASGIApp, Receive, Scope, Send

from api.access.session import Sessions
from api.http.page import is_page
from api.http.problems import answer
from rules.listening import HTTP_PORT, is_proxied, why_foreign

DESCRIBED = [
    Depends(HTTPBearer(auto_error=False, description="The key, DARKROOM_API_KEY.")),
    Depends(APIKeyHeader(name="X-API-Key", auto_error=False, description="The key, in a header of its own.")),
]
"""Shows the key in the description of the routes, and asks for nothing: that is done before any route."""

OPEN_PATHS = frozenset({"/health"})
"""What needs no key: a supervisor asks it, and it tells nothing."""


class KeyRequired:
    """Lets through what carries the key, as `Authorization: Bearer KEY` or `X-API-Key: KEY`, or a session's cookie."""

    def __init__(self, app: ASGIApp, key: str, sessions: Sessions, sign_in: str) -> None:
        self._app = app
        self._key = key.encode()
        self._sessions = sessions
        self._sign_in = sign_in

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401 to a request without the key."""
        if scope["type"] == "lifespan" or self._may_pass(scope):
            await self._app(scope, receive, send)
            return
        refusal = answer(
            401,
            "This Darkroom asks for a key: send Authorization: Bearer KEY (DARKROOM_API_KEY).",
            headers={"WWW-Authenticate": 'Bearer realm="darkroom"'},
        )
        await refusal(scope, receive, send)

    def _may_pass(self, scope: Scope) -> bool:
        # A method of its own, that no route answers to, for anything but HTTP.
        method, path, headers = scope.get("method", ""), scope["path"], scope["headers"]
        return (
            path in OPEN_PATHS
            or is_page(method, path)
            or (method, path) == ("POST", self._sign_in)
            or self._has_key(headers)
            or self._sessions.admits(method, headers, time.time())
        )

    def _has_key(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Compare in a time that tells nothing about how much of the key is right."""
        return any(hmac.compare_digest(self._key, sent) for sent in _keys(headers))


class LocalOnly:
    """Lets through what a program on this machine sends, and no browser on behalf of a site that is not allowed."""

    def __init__(self, app: ASGIApp, allowed_origins: Collection[str]) -> None:
        self._app = app
        self._allowed_origins = allowed_origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403 to a request that names another host, or comes from a page of another site."""
        reason = None
        if scope["type"] != "lifespan":
            origins = [one for one in _values(scope["headers"], b"origin") if one not in self._allowed_origins]
            reason = why_foreign(_values(scope["headers"], b"host"), origins, _port(scope))
            if any(is_proxied(name) for name, _ in scope["headers"]):
                reason = "It came through a proxy, from whom nobody knows: set DARKROOM_API_KEY."
        if reason is None:
            await self._app(scope, receive, send)
        else:
            await answer(403, f"The request is refused. {reason}")(scope, receive, send)


def _keys(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[bytes]:
    for name, value in headers:
        if name == b"x-api-key":
            yield value
        elif name == b"authorization":
            scheme, _, key = value.partition(b" ")
            if scheme.lower() == b"bearer":
                yield key.strip()


def _values(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> list[str]:
    return [value.decode("latin-1") for name, value in headers if name == wanted]


def _port(scope: Scope) -> int:
    _, port = scope.get("server") or ("", None)
    return port or HTTP_PORT
