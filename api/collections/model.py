"""Which model makes the vectors. A job's is fixed when it is submitted, also while the ML service is away."""

from api.kept import Kept
from core.errors import FatalError, MLUnavailableError, RequestError
from core.settings import Settings
from gateways.ml import ML, Capabilities


class CurrentModel:
    """The model that ML runs now, or ran when it answered last."""

    def __init__(self, ml: ML, kept: Kept, settings: Settings) -> None:
        self._ml = ml
        self._kept = kept
        self._settings = settings

    async def ask(self) -> Capabilities:
        """Ask the ML service; while it is away, take what it said last, else the settings.

        Raises MLUnavailableError where nobody knows the model.
        """
        try:
            answer = await self._ml.capabilities()
        except (MLUnavailableError, FatalError) as error:
            if remembered := await self._kept.capabilities():
                return remembered
            if self._settings.ml_model_id:
                return Capabilities(self._settings.ml_model_id, embedding_dim=self._settings.qdrant_vector_size)
            raise MLUnavailableError(f"{error} Start it, or set ML_MODEL_ID and QDRANT_VECTOR_SIZE.") from error
        if answer != await self._kept.capabilities():
            await self._kept.keep_capabilities(answer)
        return answer

    async def named(self, model: str) -> str:
        """Return the id of a model that ML can run, by its name or its id.

        Raises RequestError(422) where ML has none of that name, MLUnavailableError.
        """
        answer = await self._ml.capabilities()
        if model == answer.model_id:
            return model
        found = next((one.model_id for one in answer.models if model in (one.name, one.model_id)), None)
        if found is None:
            there = ", ".join([one.name for one in answer.models] or [answer.model_id])
            raise RequestError(
                f"ML has no model {model[:80]!r}; it has {there}. `darkroom models get NAME` fetches one.", 422
            )
        return found
