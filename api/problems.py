"""Errors as answers: `{"detail": text}` with the status that fits."""

import sqlite3
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from disk import MEND
from errors import CollectionMissingError, FatalError, QdrantRejectedError, RequestError, RetryableError

log = structlog.get_logger()

_MEANING = {
    400: "The request cannot be granted as it stands",
    401: "The key is missing or wrong",
    403: "Not from there: another host, or a page of another site",
    404: "There is no such thing",
    409: "It conflicts with what exists, or with what goes on",
    413: "Too large",
    422: "A value is not valid",
    503: "A part that this needs is away: try again",
    507: "The disk takes no more",
}


class Problem(BaseModel):
    """What went wrong, for a person."""

    detail: str


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the errors that a route may answer, for its description."""
    return {status: {"model": Problem, "description": _MEANING[status]} for status in statuses}


def answer_errors(app: FastAPI) -> None:
    """Teach the app what to answer to our errors."""
    app.add_middleware(TooLargeInOurWords)

    @app.exception_handler(RequestError)
    async def refused(_: Request, error: RequestError) -> JSONResponse:
        return _answer(error.status, str(error))

    @app.exception_handler(CollectionMissingError)
    async def missing(_: Request, error: CollectionMissingError) -> JSONResponse:
        return _answer(404, str(error))

    @app.exception_handler(QdrantRejectedError)
    async def rejected(_: Request, error: QdrantRejectedError) -> JSONResponse:
        return _answer(422, str(error))

    # FatalError: the ML service does not say which model it runs; a setting mends it without a restart of ours.
    @app.exception_handler(FatalError)
    @app.exception_handler(RetryableError)
    async def away(request: Request, error: Exception) -> JSONResponse:
        log.warning("request-part-away", path=request.url.path, reason=str(error))
        return _answer(503, str(error))

    @app.exception_handler(sqlite3.OperationalError)
    async def full(request: Request, error: sqlite3.OperationalError) -> JSONResponse:
        log.warning("request-not-written", path=request.url.path, reason=str(error))
        return _answer(503, f"The service cannot write its own data: {error}. {MEND}")

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}" for problem in error.errors()
        )
        return _answer(422, problems)


class TooLargeInOurWords:
    """Replaces the plain text that the framework answers to a body beyond `max_body_size`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything through but that answer."""
        replaced = False

        async def send_in_our_words(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start" and message["status"] == 413:
                replaced = b"application/json" not in dict(message["headers"]).get(b"content-type", b"")
                if replaced:
                    await _answer(413, "The request is larger than this route takes.")(scope, receive, send)
            if not replaced:
                await send(message)

        await self._app(scope, receive, send_in_our_words)


def _answer(status: int, detail: str) -> JSONResponse:
    return JSONResponse({"detail": detail}, status)
