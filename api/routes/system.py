"""Whether the service runs, whether it can work, and what it can do."""

import asyncio
from dataclasses import asdict

from fastapi import APIRouter, Request, Response

from api.collections.model import current_model
from api.images.previews import Side
from api.parts import Parts
from api.routes.deps import PartsDep
from api.schemas.system import (
    Health,
    Limits,
    MLCapabilities,
    PartState,
    PreviewCapabilities,
    Readiness,
    ServiceCapabilities,
)
from api.system.overview import System, iso, stage_states, throughput_points
from api.system.supervised import failed_parts
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
async def ready(parts: PartsDep, response: Response) -> Readiness:
    """Say whether all can work: 503 while the view lacks news of Kafka, Qdrant is away or a stage stands still."""
    states = await _readiness(parts)
    response.status_code = 200 if states.ready else 503
    return states


async def _readiness(parts: Parts) -> Readiness:
    behind, qdrant, ml = await asyncio.gather(parts.view.problem(), parts.qdrant.healthy(), parts.ml.healthy())
    failed = failed_parts(parts.settings.darkroom_data)
    stuck = "; ".join(filter(None, [failed.get("stages"), parts.watchdog.problem])) or None
    return Readiness(
        ready=behind is None and qdrant and stuck is None,
        parts={
            "kafka": PartState(ready=behind is None, detail=behind and failed.get("kafka", f"Kafka {behind}")),
            "qdrant": PartState(
                ready=qdrant,
                detail=None
                if qdrant
                else failed.get("qdrant", f"Qdrant at {parts.settings.qdrant_address} does not answer"),
            ),
            "stages": PartState(ready=stuck is None, detail=stuck),
            "ml": PartState(
                ready=ml,
                detail=None
                if ml
                else failed.get(
                    "ml", f"ML at {parts.settings.ml_inference_service_url} does not answer, or still loads its models"
                ),
            ),
        },
    )


@router.get("/system")
async def system(request: Request, parts: PartsDep) -> System:
    """Show the parts, the stages with their lag by partition, and the throughput of the last half hour."""
    look = parts.watchdog.look
    return System(
        **dict(await _readiness(parts)),
        version=request.app.version,
        started_at=iso(parts.started_at),
        sampled_at=look and iso(look.at),
        addresses={
            "kafka": parts.settings.kafka_brokers,
            "qdrant": parts.settings.qdrant_address,
            "ml": parts.settings.ml_inference_service_url,
        },
        stages=stage_states(look, parts.settings),
        throughput=throughput_points(parts.watchdog.throughput.rates()),
    )


@router.get("/capabilities")
async def capabilities(parts: PartsDep) -> ServiceCapabilities:
    """Say which files are taken, how large they may be, and what ML offers."""
    try:
        ml = await current_model(parts.ml, parts.kept, parts.settings)
    except (MLUnavailableError, FatalError):
        ml = None
    return ServiceCapabilities(
        extensions=sorted(EXTENSIONS),
        limits=Limits(
            max_file_bytes=parts.settings.max_file_bytes,
            max_image_pixels=parts.settings.max_image_pixels,
            upload_max_files=parts.settings.upload_max_files,
        ),
        previews=PreviewCapabilities(sides=list(Side), version=parts.previews.version),
        ml=MLCapabilities.model_validate(asdict(ml)) if ml else None,
        text_search="semantic" if ml and ml.supports_text else "keywords",
        partitions=parts.settings.kafka_partitions,
    )
