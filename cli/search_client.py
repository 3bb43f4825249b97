"""The commands' client of the API's searches."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from cli.client import Client
from core.errors import RequestError


class Hit(BaseModel):
    """A picture that was found; `payload` is without its thumbnail."""

    id: str
    score: float
    filename: str
    payload: dict[str, Any]


class Found(BaseModel):
    """A page of hits, best first. `mode`: whether meaning was compared, or words were looked up."""

    results: list[Hit]
    total: int
    mode: str


class SearchClient(Client):
    """Raises as Client does."""

    def search(self, query: str, *, collection: str | None, limit: int, filters: dict[str, object]) -> Found:
        """Find pictures by a text."""
        body: dict[str, object] = {"query": query, "limit": limit}
        if collection is not None:
            body["collection"] = collection
        if filters:
            body["filters"] = filters
        return self._found(self._call("POST", "/search", json=body))

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
