"""What the ML service answers, and what that means.

An answer about the service (away, busy, another model, nonsense) is a RetryableError; an answer
about the request is an MLRejectedError; an answer about one image is that image's `Refused`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

import httpx
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from core.errors import MLOutOfMemoryError, MLRejectedError, MLUnavailableError, RequestError

# What fits into a message of Kafka together with all else that is known of a picture.
MAX_TEXT = 2_000
MAX_MODEL_ID = 255
MAX_DIMENSION = 16_384

OUT_OF_MEMORY = re.compile(r"out.?of.?memory", re.IGNORECASE)

# Client errors that are about the service or how we reach it. No image is at fault, so none may fail for them.
NOT_ABOUT_THE_IMAGES = {
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
}


@dataclass(frozen=True, slots=True)
class OfferedModel:
    """A model that a service can run, by the name that people give it, and by the one that its vectors have."""

    name: Annotated[str, Field(max_length=MAX_MODEL_ID)]
    model_id: Annotated[str, Field(max_length=MAX_MODEL_ID)]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the ML service says about itself, with the contract's defaults for what it leaves out."""

    model_id: str
    safe_clip_batch: int = 32
    safe_blip_batch: int = 32
    embedding_dim: int = 512
    supports_text: bool = False
    max_image_side: int | None = None
    """Longest side of an image that is accepted, in pixels; None: not said."""
    device_type: str = "unknown"
    logit_scale: float | None = None
    """With `logit_bias`: the model was trained to give probabilities, see `rules.search.likeness`."""
    logit_bias: float | None = None
    colours_from: float | None = None
    """It knows texts of colour words alone: the similarity from which on a picture counts as of that colour."""
    chooses_models: bool = False
    """Whether other models can be fetched and used while it runs."""
    blip_model_loaded: bool | None = None
    """Whether it writes captions; None: not said."""
    models: tuple[OfferedModel, ...] = ()
    """The models that a request may name; without any, the service runs one."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """A checked answer for one image.

    `vector` has the asked dimension, finite values and a length above zero; it is empty where captions alone were asked
    for. `model_id` is the model that made it; None where the service does not name its model, so that `ML_MODEL_ID`
    stands for it.
    """

    unique_id: str
    vector: list[float]
    caption: str | None
    model_id: str | None


@dataclass(frozen=True, slots=True)
class Refused:
    """ML could not embed this one image."""

    unique_id: str
    reason: str


class CapabilitiesAnswer(BaseModel):
    """What the service says about itself, as it may be."""

    model_config = ConfigDict(protected_namespaces=())

    model_id: str | None = Field(None, max_length=MAX_MODEL_ID)
    safe_clip_batch: PositiveInt | None = None
    safe_blip_batch: PositiveInt | None = None
    embedding_dim: int | None = Field(None, ge=1, le=MAX_DIMENSION)
    supports_text: bool | None = None
    max_image_side: PositiveInt | None = None
    device_type: str | None = None
    logit_scale: float | None = None
    logit_bias: float | None = None
    colours_from: float | None = Field(None, ge=-1, le=1)
    chooses_models: bool | None = None
    blip_model_loaded: bool | None = None
    models: tuple[OfferedModel, ...] | None = None


class Result(BaseModel):
    """The answer for one image of a batch."""

    model_config = ConfigDict(protected_namespaces=())

    unique_id: str
    # Any: one odd value is that image's error, and must not cost its neighbours their vectors.
    embedding: list[Any] | None = None
    caption: str | None = None
    error: str | None = None
    model_name_clip: str | None = None


class BatchAnswer(BaseModel):
    """The answer for a batch."""

    results: list[Result]


class TextAnswer(BaseModel):
    """The answer for a text."""

    embedding: list[float] = Field(min_length=1)


class _Refusal(BaseModel):
    detail: str


Answer = TypeVar("Answer", bound=BaseModel)


def raise_for_status(response: httpx.Response) -> None:
    """Raise what an answer that is no success means: MLOutOfMemoryError, MLRejectedError or MLUnavailableError."""
    if response.is_success:
        return
    status = response.status_code
    said = f"The ML service answered {status} to {response.request.url.path}: {response.text[:500]!r}"
    if status in {HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.INSUFFICIENT_STORAGE} or (
        response.is_server_error and OUT_OF_MEMORY.search(response.text)
    ):
        raise MLOutOfMemoryError(said)
    if response.is_client_error and status not in NOT_ABOUT_THE_IMAGES:
        raise MLRejectedError(said)
    raise MLUnavailableError(said)


def refusal(response: httpx.Response) -> RequestError | None:
    """Return what the service says of a request that it refuses, in words for a person; None where it says nothing."""
    if response.status_code not in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:
        return None
    try:
        return RequestError(_Refusal.model_validate_json(response.content).detail, response.status_code)
    except ValidationError:
        return None


def parse(response: httpx.Response, shape: type[Answer]) -> Answer:
    """Return the answer in a body. Raises MLUnavailableError for one of another shape."""
    try:
        return shape.model_validate_json(response.content)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        raise MLUnavailableError(
            f"The ML service answered nonsense to {response.request.url.path}: "
            f"{problem['msg']} at {'.'.join(map(str, problem['loc'])) or 'the start'}"
        ) from error


def fault_of(vector: Sequence[Any], dimension: int) -> str | None:
    """Say what makes a vector useless, or None."""
    if len(vector) != dimension:
        return f"its vector has {len(vector)} dimensions instead of {dimension}"
    if not {*map(type, vector)} <= {int, float, bool}:
        return "its vector holds something that is not a number"
    with np.errstate(over="ignore"):  # What float32 cannot hold becomes infinite, and is told so.
        values = np.asarray(vector, dtype=np.float64).astype(np.float32)
    if not np.isfinite(values).all():
        return "its vector holds something that is not a finite number"
    if not values.any():
        return "its vector is all zeros, which has no direction"
    return None
