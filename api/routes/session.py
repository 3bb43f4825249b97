"""Letting a browser in."""

import time
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from api.deps import PartsDep
from api.problems import problems
from api.session import SESSION_SECONDS, Sessions
from errors import RequestError
from settings import reveal

router = APIRouter(prefix="/session", tags=["session"])


class KeyBody(BaseModel):
    """The key that was set as DARKROOM_API_KEY."""

    key: Annotated[str, Field(min_length=1, max_length=1000)]


@router.post("", status_code=204, responses=problems(401))
async def begin(body: KeyBody, request: Request, response: Response, parts: PartsDep) -> None:
    """Trade the key for a cookie, for thirty days. Where no key is set, there is nothing to trade."""
    key = reveal(parts.settings.darkroom_api_key)
    if key is None:
        return
    sessions = Sessions(key)
    cookie = sessions.begin(body.key, time.time())
    if cookie is None:
        raise RequestError("This is not the key that Darkroom was started with (DARKROOM_API_KEY).", 401)
    response.set_cookie(
        sessions.cookie_name,
        cookie,
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )


@router.delete("", status_code=204)
async def end(response: Response, parts: PartsDep) -> None:
    """Forget the cookie."""
    if key := reveal(parts.settings.darkroom_api_key):
        response.delete_cookie(Sessions(key).cookie_name, httponly=True, samesite="strict")
