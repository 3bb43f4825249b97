"""The commands' client of the API's collections."""

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from cli.client import Client, part


class Storage(BaseModel):
    """How Qdrant keeps a collection, and what it says of that."""

    vectors_on_disk: bool
    payload_on_disk: bool
    quantization: str
    warnings: list[str] = []


class Collection(BaseModel):
    """A collection; `model_id` is None where another program made it."""

    model_config = ConfigDict(protected_namespaces=())

    name: str
    points: int
    gone: int
    dimension: int
    model_id: str | None
    storage: Storage


class CollectionsClient(Client):
    """Raises as Client does."""

    def collections(self) -> list[Collection]:
        """Return all collections, by name."""
        found = self._call("GET", "/collections").get("collections")
        return [self._collection(one) for one in found] if isinstance(found, list) else []

    def create(self, name: str, storage: dict[str, Any]) -> Collection:
        """Make a collection; what `storage` leaves out is as the settings of the API say."""
        return self._collection(self._call("POST", "/collections", json={"name": name, "storage": storage}))

    def keep(self, name: str, storage: dict[str, Any]) -> Collection:
        """Change how a collection is kept; what `storage` leaves out stays."""
        return self._collection(self._call("PATCH", f"/collections/{part(name)}/storage", json=storage))

    def _collection(self, answer: object) -> Collection:
        try:
            return Collection.model_validate(answer)
        except ValidationError as error:
            raise self._nonsense() from error
