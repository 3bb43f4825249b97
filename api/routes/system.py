"""Whether the service runs, whether it can work, and what it can do."""

from dataclasses import asdict

from fastapi import APIRouter, Request, Response

from api.images.previews import Side
from api.routes.deps import ModelDep, OverviewDep, PreviewsDep, SettingsDep
from api.schemas.system import (
    Health,
    Limits,
    MLCapabilities,
    PreviewCapabilities,
    Readiness,
    ServiceCapabilities,
)
from api.system.overview import System
from core.errors import FatalError, MLUnavailableError
from imaging.formats import EXTENSIONS

# Apart: the one needs no key, and the other answers 503 in a shape of its own.
health_router = APIRouter(tags=["system"])
ready_router = APIRouter(tags=["system"])
router = APIRouter(tags=["system"])


@health_router.get("/health")
async def health() -> Health:
    """Say that the process runs."""
    return Health()


@ready_router.get("/ready", responses={503: {"model": Readiness}})
async def ready(overview: OverviewDep, response: Response) -> Readiness:
    """Say whether all can work: 503 while the view lacks news of Kafka, Qdrant is away or a stage stands still."""
    states = await overview.readiness()
    response.status_code = 200 if states.ready else 503
    return states


@router.get("/system")
async def system(request: Request, overview: OverviewDep) -> System:
    """Show the parts, the stages with their lag by partition, and the throughput of the last half hour."""
    return await overview.system(request.app.version)


@router.get("/capabilities")
async def capabilities(settings: SettingsDep, model: ModelDep, previews: PreviewsDep) -> ServiceCapabilities:
    """Say which files are taken, how large they may be, and what ML offers."""
    try:
        ml = await model.ask()
    except (MLUnavailableError, FatalError):
        ml = None
    return ServiceCapabilities(
        extensions=sorted(EXTENSIONS),
        limits=Limits(
            max_file_bytes=settings.max_file_bytes,
            max_image_pixels=settings.max_image_pixels,
            upload_max_files=settings.upload_max_files,
        ),
        previews=PreviewCapabilities(sides=list(Side), version=previews.version),
        ml=MLCapabilities.model_validate(asdict(ml)) if ml else None,
        text_search="semantic" if ml and ml.supports_text else "keywords",
        partitions=settings.kafka_partitions,
    )
