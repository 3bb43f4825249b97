"""Which model makes the vectors. A job's is fixed when it is submitted, also while the ML service is away."""

from api.kept import Kept
from core.errors import FatalError, MLUnavailableError
from core.settings import Settings
from gateways.ml import ML, Capabilities


async def current_model(ml: ML, kept: Kept, settings: Settings) -> Capabilities:
    """Ask the ML service; while it is away, take what it said last, else the settings.

    Raises MLUnavailableError where nobody knows the model.
    """
    try:
        answer = await ml.capabilities()
    except (MLUnavailableError, FatalError) as error:
        if remembered := await kept.capabilities():
            return remembered
        if settings.ml_model_id:
            return Capabilities(settings.ml_model_id, embedding_dim=settings.qdrant_vector_size)
        raise MLUnavailableError(f"{error} Start it, or set ML_MODEL_ID and QDRANT_VECTOR_SIZE.") from error
    if answer != await kept.capabilities():
        await kept.keep_capabilities(answer)
    return answer
