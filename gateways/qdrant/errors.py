"""What qdrant-client raises, in the words of our errors."""

import json
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TypeVar

from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from core.errors import CollectionMissingError, QdrantRejectedError, QdrantUnavailableError

# 401 and 403 are a wrong key: a person mends it and the work goes on, so nothing is dead-lettered for it.
_PASSING_STATUSES = frozenset({401, 403, 408, 429})

T = TypeVar("T")


@asynccontextmanager
async def translated_errors(url: str, collection: str | None) -> AsyncIterator[None]:
    """Raise our errors for what goes wrong inside; `collection` is the one that the calls are about, if any."""
    try:
        yield
    except UnexpectedResponse as error:
        status, reason = error.status_code or 0, error.content.decode(errors="replace")[:300]
        if status >= 500 or status in _PASSING_STATUSES:
            raise QdrantUnavailableError(f"Qdrant at {url} answered {status}: {reason}") from error
        if status == 404 and collection is not None:
            raise CollectionMissingError(f"There is no collection {collection!r} in Qdrant at {url}.") from error
        raise QdrantRejectedError(f"Qdrant at {url} refused the request ({status}): {reason}") from error
    except ResourceExhaustedResponse as error:
        raise QdrantUnavailableError(f"Qdrant at {url} is overloaded: {error}") from error
    except ResponseHandlingException as error:
        cause = error.source
        raise QdrantUnavailableError(
            f"Qdrant at {url} cannot be reached ({type(cause).__name__}: {cause}). Is it running?"
        ) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise QdrantUnavailableError(f"What answers at {url} does not speak as Qdrant does: {error}") from error
    except ValueError as error:
        # Raised before anything is sent: a text with lone surrogates, say, or a vector of something else.
        raise QdrantRejectedError(f"These points cannot be written as JSON: {error}"[:500]) from error


async def unless_missing(answer: Awaitable[T]) -> T | None:
    """Return what Qdrant answers, and None where there is no such collection."""
    try:
        return await answer
    except UnexpectedResponse as error:
        if error.status_code != 404:
            raise
        return None
