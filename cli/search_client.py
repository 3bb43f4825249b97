"""The commands' client of the API's searches."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict, Unpack

from pydantic import BaseModel, ValidationError
from rich.cells import cell_len

from cli.client import Client
from core.errors import RequestError


class Reason(BaseModel):
    """Why a picture was found: a word of a field, or how near it is to a text or a picture."""

    kind: str
    word: str | None = None
    field: str | None = None
    value: str | None = None
    similarity: float | None = None
    probability: float | None = None


class Hit(BaseModel):
    """A picture that was found; `payload` is without its thumbnail."""

    id: str
    score: float
    filename: str
    payload: dict[str, Any]
    probability: float | None = None
    reasons: list[Reason] = []


class Likely(BaseModel):
    """How many pictures a text fits surely, and perhaps."""

    sure: int
    maybe: int


class Found(BaseModel):
    """A page of hits, best first. `mode`: whether meaning was compared, or words were looked up."""

    results: list[Hit]
    total: int
    mode: str
    next: str | None = None
    likely: Likely | None = None
    standing_out: int | None = None
    hint: str | None = None
    pending: int = 0


class Wanted(TypedDict, total=False):
    """What a search may be told beside its query; what is empty is left out."""

    collection: str | None
    filters: dict[str, object]
    mode: str | None
    min_score: float | None
    cursor: str | None


class _UnreadableQueryError(RequestError):
    """The API cannot read a query, and says where."""

    def __init__(self, detail: str, status: int, where: Mapping[str, Any]) -> None:
        super().__init__(detail, status)
        self._where = where

    def at(self, query: str) -> RequestError:
        """Return the error with the query below it, and a mark below the place."""
        position, length = self._where.get("position"), self._where.get("length")
        if not isinstance(position, int) or not isinstance(length, int):
            return RequestError(str(self), self.status)
        mark = " " * cell_len(query[:position]) + "^" * max(1, cell_len(query[position : position + length]))
        return RequestError(f"{self}\n  {query}\n  {mark}", self.status)


class SearchClient(Client):
    """Raises as Client does."""

    def search(self, query: str, *, limit: int, **wanted: Unpack[Wanted]) -> Found:
        """Find pictures by a query."""
        body = {"query": query, "limit": limit} | {
            name: value for name, value in wanted.items() if value not in (None, {})
        }
        try:
            return self._found(self._call("POST", "/search", json=body))
        except _UnreadableQueryError as error:
            raise error.at(query) from error

    def _refused(self, detail: str, status: int, answer: Mapping[str, Any]) -> RequestError:
        where = answer.get("query_error")
        if isinstance(where, dict):
            return _UnreadableQueryError(detail, status, where)
        return super()._refused(detail, status, answer)

    def similar(self, file: Path, *, collection: str | None, limit: int, filters: dict[str, object]) -> Found:
        """Find pictures that look like the one in a file. Raises RequestError where the file cannot be read."""
        form: dict[str, str] = {"limit": str(limit)} | ({} if collection is None else {"collection": collection})
        if filters:
            form["filters"] = json.dumps(filters)
        try:
            with file.open("rb") as picture:
                return self._found(self._call("POST", "/search/image", files={"file": (file.name, picture)}, data=form))
        except OSError as error:
            raise RequestError(f"{file} cannot be read: {error.strerror}. Name a picture on this machine.") from error

    def thumbnail(self, hit: Hit, collection: str | None) -> bytes | None:
        """Return a small JPEG of a hit, or None where there is none."""
        response = self._http.get(
            f"/images/{hit.id}/thumbnail", params={} if collection is None else {"collection": collection}
        )
        return response.content if response.is_success else None

    def _found(self, answer: object) -> Found:
        try:
            return Found.model_validate(answer)
        except ValidationError as error:
            raise self._nonsense() from error
