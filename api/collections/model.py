"""Which model makes the vectors. A job's is fixed when it is submitted, also while the ML service is away."""

from api.kept import Kept
from core.errors import FatalError, MLUnavailableError
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
