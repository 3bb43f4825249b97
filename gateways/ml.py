"""The only client of the ML service. Every answer is checked before anybody acts on it.

An answer about the service (away, busy, another model, nonsense) is a RetryableError; an answer
about the request is an MLRejectedError; an answer about one image is that image's `Refused`.
"""

import asyncio
import base64
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar

import httpx
import numpy as np
import orjson
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from core import metrics
from core.errors import FatalError, MLOutOfMemoryError, MLRejectedError, MLUnavailableError
from core.http import without_sniffio
from core.tls import authorities

# Longest wait for a connection, and for an answer that needs no work from a model.
QUICK_SECONDS = 10.0

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


@dataclass(frozen=True, slots=True)
class ImageInput:
    """One image to embed; `unique_id` names it within its batch."""

    unique_id: str
    jpeg: bytes
    filename: str


@dataclass(frozen=True, slots=True)
class Embedded:
    """A checked answer for one image.

    `vector` has the asked dimension, finite values and a length above zero. `model_id` is the model
    that made it; None where the service does not name its model, so that `ML_MODEL_ID` stands for it.
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


class _CapabilitiesAnswer(BaseModel):
    model_config = ConfigDict(protected_namespaces=())

    model_id: str | None = Field(None, max_length=MAX_MODEL_ID)
    safe_clip_batch: PositiveInt | None = None
    safe_blip_batch: PositiveInt | None = None
    embedding_dim: int | None = Field(None, ge=1, le=MAX_DIMENSION)
    supports_text: bool | None = None
    max_image_side: PositiveInt | None = None
    device_type: str | None = None


class _Result(BaseModel):
    model_config = ConfigDict(protected_namespaces=())

    unique_id: str
    # Any: one odd value is that image's error, and must not cost its neighbours their vectors.
    embedding: list[Any] | None = None
    caption: str | None = None
    error: str | None = None
    model_name_clip: str | None = None


class _BatchAnswer(BaseModel):
    results: list[_Result]


class _TextAnswer(BaseModel):
    embedding: list[float] = Field(min_length=1)


Answer = TypeVar("Answer", bound=BaseModel)


class ML:
    """The ML service at `url`.

    `timeout` is the longest wait for a batch, in seconds. `default_model_id` (`ML_MODEL_ID`) names
    the model of a service that does not. Raises FatalError for a URL that cannot be one.
    """

    def __init__(
        self, url: str, *, timeout: float, token: str | None = None, default_model_id: str | None = None
    ) -> None:
        if not re.match(r"https?://[^/]", url):
            raise FatalError(f"ML_INFERENCE_SERVICE_URL is {url!r}, but must look like http://host:8001")
        self._default_model_id = default_model_id
        self._service_names_its_model = False
        self._quick = httpx.Timeout(min(timeout, QUICK_SECONDS))
        without_sniffio()
        self._http = httpx.AsyncClient(
            base_url=url.rstrip("/"),
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=httpx.Timeout(timeout, connect=min(timeout, QUICK_SECONDS)),
            # The service is one of ours: a proxy meant for the internet must not see photographs.
            trust_env=False,
            verify=authorities(url),
        )

    async def capabilities(self) -> Capabilities:
        """Ask the service about itself.

        Raises MLUnavailableError, and FatalError where neither the service nor `ML_MODEL_ID` names the model.
        """
        response = await self._send("GET", "/api/v1/capabilities", timeout=self._quick)
        _raise_for_status(response)
        answer = _parse(response, _CapabilitiesAnswer)
        self._service_names_its_model = bool(answer.model_id)
        model_id = answer.model_id or self._default_model_id
        if not model_id:
            raise FatalError(
                f"The ML service at {self._http.base_url} does not name its model: set ML_MODEL_ID to a name for it."
            )
        return Capabilities(**(answer.model_dump(exclude_none=True) | {"model_id": model_id}))

    async def embed(
        self, images: Sequence[ImageInput], *, caption: bool, dimension: int
    ) -> dict[str, Embedded | Refused]:
        """Embed a batch: one answer for each image, by `unique_id` (these must differ).

        Raises MLOutOfMemoryError (send fewer), MLUnavailableError (also for an answer that cannot be
        trusted, such as missing or unknown images) and MLRejectedError (for the batch as a whole).
        """
        if not images:
            return {}
        asked = {image.unique_id for image in images}
        if len(asked) < len(images):
            raise ValueError("Two images of one batch have the same unique_id")
        response = await self._send(
            "POST",
            "/api/v1/batch_embed_and_caption",
            params={"caption": caption},
            content=await asyncio.to_thread(_encode, images),
            headers={"Content-Type": "application/json"},
        )
        _raise_for_status(response)
        results = _parse(response, _BatchAnswer).results
        answered = [result.unique_id for result in results]
        if len(answered) != len(asked) or set(answered) != asked:
            raise MLUnavailableError(
                f"The ML service answered nonsense: {len(images)} images were sent, and the answer has "
                f"{len(answered)} results for {len(asked & set(answered))} of them."
            )
        lengths = {len(result.embedding) for result in results if result.embedding}
        if lengths and dimension not in lengths:
            raise MLUnavailableError(
                f"The ML service answers with vectors of {', '.join(map(str, sorted(lengths)))} dimensions instead of "
                f"{dimension}: its model changed. Bring the former model back, or ingest into a new collection."
            )
        return {result.unique_id: self._checked(result, dimension) for result in results}

    async def embed_image(self, jpeg: bytes, *, dimension: int) -> list[float]:
        """Embed one image. Raises as `embed` does, and MLRejectedError where ML cannot read the image."""
        query = ImageInput("query", jpeg, "query.jpg")
        answer = (await self.embed([query], caption=False, dimension=dimension))[query.unique_id]
        if isinstance(answer, Refused):
            raise MLRejectedError(f"The ML service cannot use this image: {answer.reason}")
        return answer.vector

    async def embed_text(self, text: str, *, dimension: int) -> list[float] | None:
        """Embed a text, to compare it with images; None where the model has no text encoder."""
        response = await self._send("POST", "/api/v1/embed_text", json={"text": text}, timeout=self._quick)
        if response.status_code in {HTTPStatus.NOT_IMPLEMENTED, HTTPStatus.NOT_FOUND}:
            return None
        _raise_for_status(response)
        vector = _parse(response, _TextAnswer).embedding
        if fault := _fault(vector, dimension):
            raise MLUnavailableError(f"The ML service answered nonsense to a text: {fault}.")
        return vector

    async def healthy(self) -> bool:
        """Whether the service answers and has its models loaded."""
        try:
            response = await self._send("GET", "/health", timeout=self._quick)
        except MLUnavailableError:
            return False
        return response.is_success

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        result, started = "error", time.monotonic()
        try:
            response = await self._http.request(method, path, **request)
            result = metrics.result_of(response.status_code)
        except httpx.RequestError as error:
            result = type(error).__name__
            # A timeout has no text of its own.
            cause = str(error) or type(error).__name__
            raise MLUnavailableError(f"The ML service at {self._http.base_url} cannot be reached: {cause}") from error
        else:
            return response
        finally:
            metrics.ML.labels(path.rpartition("/")[2], result).observe(time.monotonic() - started)

    def _checked(self, result: _Result, dimension: int) -> Embedded | Refused:
        fault = result.error or _fault(result.embedding or [], dimension)
        if fault:
            return Refused(result.unique_id, fault[:MAX_TEXT])
        caption = result.caption and result.caption[:MAX_TEXT]
        model_id = result.model_name_clip if self._service_names_its_model else None
        return Embedded(result.unique_id, list(result.embedding or []), caption, model_id)


def _encode(images: Sequence[ImageInput]) -> bytes:
    return orjson.dumps(
        {
            "images": [
                {
                    "unique_id": image.unique_id,
                    "image_base64": base64.b64encode(image.jpeg).decode("ascii"),
                    "filename": image.filename,
                }
                for image in images
            ]
        }
    )


def _raise_for_status(response: httpx.Response) -> None:
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


def _parse(response: httpx.Response, shape: type[Answer]) -> Answer:
    try:
        return shape.model_validate_json(response.content)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        raise MLUnavailableError(
            f"The ML service answered nonsense to {response.request.url.path}: "
            f"{problem['msg']} at {'.'.join(map(str, problem['loc'])) or 'the start'}"
        ) from error


def _fault(vector: Sequence[Any], dimension: int) -> str | None:
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
