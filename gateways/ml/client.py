"""The only client of the ML service: what it is asked. Every answer is checked before anybody acts on it."""

import asyncio
import base64
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx
import orjson

from core import metrics
from core.errors import FatalError, MLRejectedError, MLUnavailableError
from core.http import without_sniffio
from core.tls import authorities
from gateways.ml.answers import (
    MAX_TEXT,
    BatchAnswer,
    Capabilities,
    CapabilitiesAnswer,
    Embedded,
    Refused,
    Result,
    TextAnswer,
    fault_of,
    parse,
    raise_for_status,
    refusal,
)
from gateways.ml.models import ModelsAnswer

# Longest wait for a connection, and for an answer that needs no work from a model.
QUICK_SECONDS = 10.0
# Longest wait for the vector of a text: the first one loads a text encoder, of half a gigabyte and more.
TEXT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class ImageInput:
    """One image to embed; `unique_id` names it within its batch."""

    unique_id: str
    jpeg: bytes
    filename: str


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
        self._text = httpx.Timeout(min(timeout, TEXT_SECONDS), connect=min(timeout, QUICK_SECONDS))
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
        raise_for_status(response)
        answer = parse(response, CapabilitiesAnswer)
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
        raise_for_status(response)
        results = parse(response, BatchAnswer).results
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
        """Embed a text, to compare it with images; None where the model does not know it."""
        response = await self._send("POST", "/api/v1/embed_text", json={"text": text}, timeout=self._text)
        if response.status_code in {HTTPStatus.NOT_IMPLEMENTED, HTTPStatus.NOT_FOUND}:
            return None
        raise_for_status(response)
        vector = parse(response, TextAnswer).embedding
        if fault := fault_of(vector, dimension):
            raise MLUnavailableError(f"The ML service answered nonsense to a text: {fault}.")
        return vector

    async def models(self) -> ModelsAnswer | None:
        """Return which models the service can run; None where that is its own affair. Raises MLUnavailableError."""
        response = await self._send("GET", "/api/v1/models", timeout=self._quick)
        return None if response.status_code == HTTPStatus.NOT_FOUND else self._listed(response)

    async def get_model(self, name: str) -> ModelsAnswer:
        """Have the service begin to fetch a model.

        Raises RequestError: 404 for a name that it does not know, 409 where it says why not; MLUnavailableError.
        """
        return self._listed(await self._send("POST", f"/api/v1/models/{quote(name, safe='')}/get", timeout=self._quick))

    async def use_model(self, name: str) -> ModelsAnswer:
        """Have the service run another model from now on. Raises as `get_model` does."""
        return self._listed(await self._send("POST", f"/api/v1/models/{quote(name, safe='')}/use"))

    def _listed(self, response: httpx.Response) -> ModelsAnswer:
        if refused := refusal(response):
            raise refused
        raise_for_status(response)
        return parse(response, ModelsAnswer)

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

    def _checked(self, result: Result, dimension: int) -> Embedded | Refused:
        fault = result.error or fault_of(result.embedding or [], dimension)
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
