"""The HTTP face of a model: the contract of the ML service, with bounds on what it takes in.

Until there is a model, everything that needs one is answered with 503: it is being loaded.
A request may name another model (`model_id`); where that is not here, the one answers that runs.
"""

import asyncio
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response
from pydantic import BaseModel, Field, ValidationError

from core.errors import FatalError, RequestError
from embedded.ml import choosing
from embedded.ml.choosing import Choice, Chosen
from embedded.ml.inference import MAX_IMAGE_SIDE, BatchRequest, results
from embedded.ml.model import Model

MAX_BATCH = 128  # images; what we take. A WORKING_SIDE picture has 0.8 MB, so a full batch holds 100 MB of pixels.
MAX_BODY = 64 << 20  # bytes
SLOTS = 4  # requests in work at once, so that bodies take at most 4 x MAX_BODY of memory; the others wait unread


class TextRequest(BaseModel):
    """The body of a request to embed a text."""

    text: str = Field(max_length=10_000)


def create_app(choice: Choice) -> FastAPI:
    """Build the service; it runs what is chosen."""
    app = FastAPI(title="Darkroom's reference ML service")
    app.state.choice = choice
    app.state.slots = asyncio.Semaphore(SLOTS)
    app.include_router(router)
    app.include_router(choosing.router)
    app.add_exception_handler(RequestError, _refused)
    app.add_exception_handler(FatalError, _impossible)
    app.add_exception_handler(MemoryError, _out_of_memory)
    app.add_exception_handler(ValidationError, _invalid)
    return app


router = APIRouter()


ModelId = Annotated[str | None, Query(max_length=255, description="One of `models`. Default: the one that runs.")]


async def _loaded(choice: Chosen, model_id: ModelId = None) -> Model:
    model = choice.model
    if model is None:
        raise HTTPException(503, "The models are still being loaded.")
    if model_id in (None, model.model_id):
        return model
    return await asyncio.to_thread(choice.others.get, str(model_id)) or model


Loaded = Annotated[Model, Depends(_loaded)]


@router.get("/health")
async def health(model: Loaded) -> dict[str, str]:
    """Say whether the models are loaded."""
    return {"status": "healthy", "model_id": model.model_id}


@router.get("/api/v1/capabilities")
async def capabilities(model: Loaded, choice: Chosen) -> dict[str, Any]:
    """Say what a model can do, how much may be sent at once, and which others there are."""
    offered = await asyncio.to_thread(choice.others.offered)
    return {
        "safe_clip_batch": model.safe_batch,
        "safe_blip_batch": model.safe_batch,
        "clip_model_loaded": True,
        "blip_model_loaded": model.caption_model_id is not None,
        "device_type": model.device,
        "cuda_available": model.device in {"cuda", "tensorrt"},
        "embedding_dim": model.dimension,
        "model_id": model.model_id,
        "supports_text": model.supports_text,
        "colours_from": model.colours_from,
        "logit_scale": model.logit_scale,
        "logit_bias": model.logit_bias,
        "max_image_side": MAX_IMAGE_SIDE,
        "chooses_models": choice.fixed is None,
        "models": [one._asdict() for one in offered],
    }


@router.post("/api/v1/batch_embed_and_caption")
async def batch_embed_and_caption(
    request: Request, model: Loaded, caption: bool = False, embed: bool = True
) -> Response:
    """Embed images, and describe them if asked; with `embed=false` they are described alone.

    An image that cannot be decoded has `error` set.
    """
    async with request.app.state.slots:
        body = await _bounded_body(request)
        content = await asyncio.to_thread(lambda: _answer(model, body, caption=caption, embed=embed))
    return Response(content, media_type="application/json")


@router.post("/api/v1/embed_text")
async def embed_text(request: Request, model: Loaded) -> dict[str, list[float]]:
    """Embed a text, to compare it with images; 501 where the model knows no words, or none but those of colours."""
    if not model.supports_text and model.colours_from is None:
        raise HTTPException(501, f"The model {model.model_id} has no text encoder.")
    async with request.app.state.slots:
        text = TextRequest.model_validate_json(await _bounded_body(request)).text
        vector = await asyncio.to_thread(model.embed_text, text)
    if vector is None:
        raise HTTPException(501, f"The model {model.model_id} knows no words but those of colours.")
    return {"embedding": vector.tolist()}


async def _bounded_body(request: Request) -> bytes:
    """Read the body. One that is too large is read to its end too, or the client would see no answer, but not kept."""
    body = bytearray()
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= MAX_BODY:
            body += chunk
    if size > MAX_BODY:
        raise HTTPException(413, f"The request has {size} bytes; at most {MAX_BODY} are taken. Send fewer images.")
    return bytes(body)


def _answer(model: Model, body: bytes, *, caption: bool, embed: bool) -> bytes:
    images = BatchRequest.model_validate_json(body).images
    if len(images) > MAX_BATCH:
        raise HTTPException(413, f"The request has {len(images)} images; at most {MAX_BATCH} are taken.")
    return orjson.dumps({"results": results(model, images, caption=caption, embed=embed)})


async def _refused(_: Request, error: Exception) -> Response:
    return _detail(error.status if isinstance(error, RequestError) else 400, str(error))


async def _impossible(_: Request, error: Exception) -> Response:
    return _detail(409, str(error))


async def _out_of_memory(_: Request, error: Exception) -> Response:
    return _detail(507, f"Out of memory: {error}")


async def _invalid(_: Request, error: Exception) -> Response:
    return _detail(422, str(error))


def _detail(status: int, detail: str) -> Response:
    return Response(orjson.dumps({"detail": detail}), status, media_type="application/json")
