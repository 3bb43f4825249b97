"""Letting a browser in."""

import time
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field

from api.access.session import SESSION_SECONDS, Sessions
from api.http.problems import problems
from api.routes.deps import KeptDep
from api.schemas.body import Body
from core.errors import RequestError, TooManyRequestsError
from rules.throttle import Throttle

router = APIRouter(prefix="/session", tags=["session"])


class KeyBody(Body):
    """The key that was set as DARKROOM_API_KEY."""

    key: Annotated[str, Field(min_length=1, max_length=1000)]


@router.post("", status_code=204, responses=problems(401, 429))
async def begin(body: KeyBody, request: Request, response: Response) -> None:
    """Trade the key for a cookie, for thirty days. Where no key is set, there is nothing to trade.

    Who is wrong too often has to wait.
    """
    sessions: Sessions | None = request.app.state.sessions
    if sessions is None:
        return
    sign_ins: Throttle = request.app.state.sign_ins
    caller = request.client.host if request.client else ""
    # Nothing is awaited from here on: of many that come at once, each sees the failures of those before it.
    if seconds := sign_ins.wait(caller, time.monotonic()):
        raise TooManyRequestsError(f"Too many wrong keys were tried: try again in {seconds} s.", seconds)
    cookie = sessions.begin(body.key, time.time())
    if cookie is None:
        sign_ins.failed(caller, time.monotonic())
        raise RequestError("This is not the key that Darkroom was started with (DARKROOM_API_KEY).", 401)
    secure = request.url.scheme == "https"
    response.set_cookie(
        sessions.secure_cookie_name if secure else sessions.cookie_name,
        cookie,
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite="strict",
        secure=secure,
    )


@router.delete("", status_code=204)
async def end(request: Request, response: Response, kept: KeptDep) -> None:
    """End the session: neither its cookie nor a copy of it is admitted any more."""
    sessions: Sessions | None = request.app.state.sessions
    if sessions is not None:
        await kept.end_sessions(sessions.end(request.headers.raw, time.time()))
        response.delete_cookie(sessions.cookie_name, httponly=True, samesite="strict")
        response.delete_cookie(sessions.secure_cookie_name, httponly=True, samesite="strict", secure=True)
