"""The one way to have a collection that can be written to: it is there, of one model, with all indexes."""

from collections.abc import Awaitable, Callable

from core.errors import MLUnavailableError
from core.settings import Settings
from gateways.ml import Capabilities
from gateways.qdrant import BoundCollection, Qdrant, Storage
from rules.collections import check_name


class Targets:
    """Collections that are written to. `offered`: tells what model ML runs, or raises MLUnavailableError."""

    def __init__(self, qdrant: Qdrant, settings: Settings, offered: Callable[[], Awaitable[Capabilities]]) -> None:
        self._qdrant = qdrant
        self._settings = settings
        self._offered = offered

    @property
    def storage(self) -> Storage:
        """How a new collection is kept, unless somebody says how."""
        return Storage(
            vectors_on_disk=self._settings.qdrant_vectors_on_disk,
            payload_on_disk=self._settings.qdrant_payload_on_disk,
            quantization=self._settings.qdrant_quantization,
        )

    async def ensure(
        self,
        name: str,
        model_id: str | None = None,
        dimension: int | None = None,
        *,
        storage: Storage | None = None,
    ) -> BoundCollection:
        """Return the collection, made or adopted where it is of no model yet; for vectors of that model and dimension.

        `storage`: how it is kept if it is made; None: as the settings say.

        What is None is as the collection has it; where that has none either, as ML offers it, or the settings while ML
        does not run that model. Who asks for a model that the collection was of before gets the one that it is of now;
        one that it is being embedded anew with is its own, too.
        Raises RequestError: 422 for a wrong name, 409 for a collection of another model or dimension;
        MLUnavailableError where only ML could tell the model; QdrantUnavailableError.
        """
        check_name(name)
        known = await self._qdrant.collection(name)
        if isinstance(known, BoundCollection) and model_id not in (None, known.model_id):
            if model_id in known.former:
                model_id, dimension = known.model_id, known.dimension
            elif (other := await self._qdrant.of_model(name, str(model_id))) is not None:
                return other
        if isinstance(known, BoundCollection):
            model_id, dimension = model_id or known.model_id, dimension or known.dimension
        elif model_id is None or dimension is None:
            model_id, dimension = await self._new(model_id)
        return await self._qdrant.ensure_collection(
            name,
            model_id=model_id,
            dimension=dimension,
            distance=self._settings.qdrant_distance_metric,
            storage=storage or self.storage,
        )

    async def _new(self, model_id: str | None) -> tuple[str, int]:
        """Return model and dimension of a new collection. One whose model is named does not need ML."""
        try:
            offered = await self._offered()
        except MLUnavailableError:
            model_id = model_id or self._settings.ml_model_id
            if model_id is None:
                raise
        else:
            if model_id in {None, offered.model_id}:
                return offered.model_id, offered.embedding_dim
        return model_id, self._settings.qdrant_vector_size
