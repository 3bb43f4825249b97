"""Models that know what a picture shows: which there are, how one comes, and how it takes over."""

from typing import Annotated

from fastapi import APIRouter, Path

from api.http.problems import problems
from api.routes.deps import MLDep, ModelDep
from api.schemas.models import Models
from core.errors import RequestError
from gateways.ml import ML, ModelsAnswer

router = APIRouter(prefix="/models", tags=["models"])

ELSEWHERE = (
    "The ML service that ML_INFERENCE_SERVICE_URL names chooses its model by itself: have it run one that knows texts "
    "(docs/models.md)."
)

Name = Annotated[str, Path(max_length=100, description="The name of the model, as `GET /models` has it.")]


@router.get("")
async def list_models(ml: MLDep) -> Models:
    """Say which models can be had, which are here and in use, and how far the one is that is on its way."""
    return _models(await ml.models())


@router.post("/{name}/get", status_code=202, responses=problems(404, 409))
async def get_model(name: Name, ml: MLDep) -> Models:
    """Begin to fetch a model, from where an earlier try ended; `arrival` of `GET /models` tells how it goes.

    One comes at a time. It is compared with its hashes and tried once; search stays as it is until the model is used.
    """
    await _require_offer(ml)
    return _models(await ml.get_model(name))


@router.post("/{name}/use", responses=problems(404, 409))
async def use_model(name: Name, ml: MLDep, model: ModelDep) -> Models:
    """Run another model from now on, also after a restart.

    A collection stays with the model that it was made with until it is embedded anew
    (`POST /collections/{name}/reembed`).
    """
    await _require_offer(ml)
    answer = _models(await ml.use_model(name))
    await model.ask()  # remembers it, for when the ML service is away
    return answer


async def _require_offer(ml: ML) -> None:
    """Raise RequestError(409) where the models of the ML service are not ours to choose."""
    reason = _models(await ml.models()).reason
    if reason is not None:
        raise RequestError(reason, 409)


def _models(answer: ModelsAnswer | None) -> Models:
    if answer is None:
        return Models(offered=False, reason=ELSEWHERE, default=None, models=[], arrival=None, loading=None)
    return Models(
        offered=answer.fixed is None,
        reason=answer.fixed,
        default=answer.default,
        models=answer.models,
        arrival=answer.arrival,
        loading=answer.loading,
    )
