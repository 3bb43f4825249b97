"""Errors as answers: problem details (RFC 9457, `application/problem+json`) whose `detail` says all to a person."""

import sqlite3
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.disk import MEND
from core.errors import (
    BusyError,
    CollectionMissingError,
    FatalError,
    KafkaUnavailableError,
    MLUnavailableError,
    QdrantRejectedError,
    QdrantUnavailableError,
    RequestError,
    RetryableError,
    TooManyRequestsError,
)
from rules.search.query import QueryError

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = {"Retry-After": "5"}

TITLES = {
    400: "The request cannot be granted as it stands",
    401: "The key is missing or wrong",
    403: "Not from there: another host, a page of another site, or nobody of this machine",
    404: "There is no such thing",
    410: "What was there has changed, or is gone for good",
    405: "This cannot be done with it",
    409: "It conflicts with what exists, or with what goes on",
    413: "Too large",
    422: "A value is not valid",
    429: "Asked too often",
    500: "Darkroom has a defect",
    503: "A part that this needs is away or busy: try again",
    507: "The disk takes no more",
}
_NAMES: dict[type[Exception], str] = {
    BusyError: "busy",
    CollectionMissingError: "collection-missing",
    KafkaUnavailableError: "kafka-unavailable",
    MLUnavailableError: "ml-unavailable",
    QdrantUnavailableError: "qdrant-unavailable",
    FatalError: "ml-unavailable",
}


class WrongValue(BaseModel):
    """One value of a request that is not valid: where it stands, and why."""

    at: str
    reason: str


class WrongQuery(BaseModel):
    """Where a query cannot be read, in characters, what may stand there, and an example."""

    position: int
    length: int
    expected: str
    example: str


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field(
        description="Names the kind of problem for programs.", examples=["urn:darkroom:problem:collection-missing"]
    )
    title: str = Field(description="The kind of problem, for a person; the same for each of its kind.")
    status: int = Field(description="The HTTP status.", examples=[404])
    detail: str = Field(
        description="What happened, to what, and what to do.", examples=["There is no collection 'holidays'."]
    )
    token_file: str | None = Field(None, description="Where a user of the service's machine can read the token.")
    errors: list[WrongValue] | None = Field(None, description="Where values are not valid: each of them.")
    query_error: WrongQuery | None = Field(None, description="Where a query cannot be read.")


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the errors that a route may answer, for its description."""
    return {status: {"model": Problem, "description": TITLES[status]} for status in statuses}


def answer(
    status: int,
    detail: str,
    *,
    name: str | None = None,
    headers: Mapping[str, str] | None = None,
    errors: list[WrongValue] | None = None,
    token_file: str | None = None,
    query_error: WrongQuery | None = None,
) -> JSONResponse:
    """Make the answer. `name`: of the kind of problem; None: the status says it all."""
    phrase = HTTPStatus(status).phrase
    problem = Problem(
        type=f"urn:darkroom:problem:{name or phrase.lower().replace(' ', '-')}",
        title=TITLES.get(status, phrase),
        status=status,
        detail=detail,
        token_file=token_file,
        errors=errors,
        query_error=query_error,
    )
    return JSONResponse(
        problem.model_dump(exclude_none=True), status, dict(headers) if headers else None, media_type=MEDIA_TYPE
    )


def answer_errors(app: FastAPI) -> None:
    """Teach the app what to answer to our errors, and to its own."""
    app.add_middleware(TooLargeInOurWords)

    @app.exception_handler(TooManyRequestsError)
    async def too_often(_: Request, error: TooManyRequestsError) -> JSONResponse:
        return answer(429, str(error), headers={"Retry-After": str(error.seconds)})

    @app.exception_handler(QueryError)
    async def not_read(_: Request, error: QueryError) -> JSONResponse:
        where = WrongQuery(position=error.position, length=error.length, expected=error.expected, example=error.example)
        return answer(error.status, str(error), name="query", query_error=where)

    @app.exception_handler(RequestError)
    async def refused(_: Request, error: RequestError) -> JSONResponse:
        return answer(error.status, str(error), token_file=error.token_file)

    @app.exception_handler(CollectionMissingError)
    async def missing(_: Request, error: CollectionMissingError) -> JSONResponse:
        return answer(404, str(error), name=_NAMES[CollectionMissingError])

    @app.exception_handler(QdrantRejectedError)
    async def rejected(_: Request, error: QdrantRejectedError) -> JSONResponse:
        return answer(422, str(error))

    # FatalError: the ML service does not say which model it runs; a setting mends it without a restart of ours.
    @app.exception_handler(FatalError)
    @app.exception_handler(RetryableError)
    async def away(request: Request, error: Exception) -> JSONResponse:
        log.warning("request-part-away", path=request.url.path, reason=str(error))
        return answer(503, str(error), name=_NAMES.get(type(error)), headers=RETRY_AFTER)

    @app.exception_handler(sqlite3.OperationalError)
    async def full(request: Request, error: sqlite3.OperationalError) -> JSONResponse:
        log.warning("request-not-written", path=request.url.path, reason=str(error))
        return answer(503, f"The service cannot write its own data: {error}. {MEND}", name="disk-full")

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        wrong = [
            WrongValue(at=".".join(str(part) for part in one["loc"]), reason=str(one["msg"])) for one in error.errors()
        ]
        return answer(422, "; ".join(f"{one.at}: {one.reason}" for one in wrong), name="invalid-values", errors=wrong)

    @app.exception_handler(HTTPException)
    async def of_the_framework(request: Request, error: HTTPException) -> JSONResponse:
        detail = f"{request.method} {request.url.path}: {error.detail}. /openapi.json lists what there is."
        return answer(error.status_code, detail, headers=error.headers)

    @app.exception_handler(Exception)
    async def defect(_: Request, error: Exception) -> JSONResponse:
        # The framework logs it with its stack trace; what it says may be about our inside.
        return answer(500, f"Darkroom has a defect ({type(error).__name__}). Its log says more: please report it.")


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
                replaced = MEDIA_TYPE.encode() not in dict(message["headers"]).get(b"content-type", b"")
                if replaced:
                    await answer(413, "The request is larger than this route takes.")(scope, receive, send)
            if not replaced:
                await send(message)

        await self._app(scope, receive, send_in_our_words)
