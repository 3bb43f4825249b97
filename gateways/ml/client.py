"""The only client of the ML service: what it is asked. Every answer is checked before anybody acts on it."""

import asyncio
import base64
import re
import time
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx
import orjson

from core import metrics
from core.errors import FatalError, MLRejectedError, MLUnavailableError, RejectedError
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
from gateways.ml.images import CONTROL, ImageInput
from gateways.ml.models import ModelsAnswer

# Longest wait for a connection, and for an answer that needs no work from a model.
QUICK_SECONDS = 10.0
# Longest wait for the vector of a text: the first one loads a text encoder, of half a gigabyte and more.
TEXT_SECONDS = 60.0


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
        self._models: frozenset[str] = frozenset()
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

    async def capabilities(self, model_id: str | None = None) -> Capabilities:
        """Ask the service about itself, or about a model of its `models`; where it has not that, about itself.

        Raises MLUnavailableError, and FatalError where neither the service nor `ML_MODEL_ID` names the model.
        """
        answer = await self._capabilities({}, self._quick)
        self._models = frozenset(one.model_id for one in answer.models)
        if model_id is None or model_id == answer.model_id or model_id not in self._models:
            return answer
        # This may load the model.
        return await self._capabilities({"model_id": model_id}, self._text)

    async def _capabilities(self, params: dict[str, str], wait: httpx.Timeout) -> Capabilities:
        response = await self._send("GET", "/api/v1/capabilities", timeout=wait, params=params)
        raise_for_status(response)
        answer = parse(response, CapabilitiesAnswer)
        self._service_names_its_model = bool(answer.model_id)
        model_id = answer.model_id or self._default_model_id
        if not model_id:
            raise FatalError(
                f"The ML service at {self._http.base_url} does not name its model: set ML_MODEL_ID to a name for it."
            )
        said = {name: value for name in answer.model_fields_set if (value := getattr(answer, name)) is not None}
        return Capabilities(**(said | {"model_id": model_id}))

    async def embed(
        self, images: Sequence[ImageInput], *, caption: bool, dimension: int, model_id: str | None = None
    ) -> dict[str, Embedded | Refused]:
        """Embed a batch: one answer for each image, by `unique_id` (these must differ).

        `model_id`: which of the service's `models` is to do it; a service of one model knows nothing of that.
        Raises MLOutOfMemoryError (send fewer), MLUnavailableError (also for an answer that cannot be
        trusted, such as missing or unknown images) and MLRejectedError (for the batch as a whole).
        Where no vector has the dimension, a picture of our own tells whether the service or the images are at fault.
        """
        params = {"caption": caption} | self._named(model_id)
        results = await self._batch(images, params)
        lengths = _lengths(results)
        if lengths and dimension not in lengths:
            results = await self._with_control(images, params)
            if dimension not in _lengths(results):
                raise MLUnavailableError(
                    f"The ML service answers with vectors of {', '.join(map(str, sorted(lengths)))} dimensions instead "
                    f"of {dimension}: its model changed. Bring the former model back, or ingest into a new collection."
                )
        checked = {result.unique_id: self._checked(result, dimension) for result in results}
        return {image.unique_id: checked[image.unique_id] for image in images}

    async def caption(self, images: Sequence[ImageInput]) -> dict[str, Embedded | Refused]:
        """Have a batch described and not embedded; else as `embed`. A service that cannot do so embeds for nothing."""
        results = await self._batch(images, {"caption": True} | ({"embed": False} if self._models else {}))
        return {result.unique_id: self._checked(result, None) for result in results}

    async def _with_control(self, images: Sequence[ImageInput], params: dict[str, Any]) -> list[Result]:
        """Ask again with a picture of our own beside the images; nothing where the service takes no more of them.

        In one request, as behind one address may be several services, of which one has another model.
        """
        try:
            return await self._batch([*images, CONTROL], params)
        except RejectedError:
            return []

    async def _batch(self, images: Sequence[ImageInput], params: dict[str, Any]) -> list[Result]:
        if not images:
            return []
        asked = {image.unique_id for image in images}
        if len(asked) < len(images):
            raise ValueError("Two images of one batch have the same unique_id")
        response = await self._send(
            "POST",
            "/api/v1/batch_embed_and_caption",
            params=params,
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
        return results

    async def embed_image(self, jpeg: bytes, *, dimension: int, model_id: str | None = None) -> list[float]:
        """Embed one image. Raises as `embed` does, and MLRejectedError where ML cannot read the image."""
        query = ImageInput("query", jpeg, "query.jpg")
        answers = await self.embed([query], caption=False, dimension=dimension, model_id=model_id)
        answer = answers[query.unique_id]
        if isinstance(answer, Refused):
            raise MLRejectedError(f"The ML service cannot use this image: {answer.reason}")
        return answer.vector

    async def embed_text(self, text: str, *, dimension: int, model_id: str | None = None) -> list[float] | None:
        """Embed a text, to compare it with images; None where the model does not know it."""
        response = await self._send(
            "POST", "/api/v1/embed_text", json={"text": text}, timeout=self._text, params=self._named(model_id)
        )
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

    def _checked(self, result: Result, dimension: int | None) -> Embedded | Refused:
        """Check one answer; `dimension`: None where captions alone were asked for."""
        fault = result.error or (None if dimension is None else fault_of(result.embedding or [], dimension))
        if fault:
            return Refused(result.unique_id, fault[:MAX_TEXT])
        caption = result.caption and result.caption[:MAX_TEXT]
        model_id = result.model_name_clip if self._service_names_its_model else None
        vector = [] if dimension is None else list(result.embedding or [])
        return Embedded(result.unique_id, vector, caption, model_id)

    def _named(self, model_id: str | None) -> dict[str, str]:
        """Return what names a model in a request, where the service is known to have it."""
        return {"model_id": model_id} if model_id in self._models and model_id is not None else {}


def _lengths(results: Sequence[Result]) -> set[int]:
    return {len(result.embedding) for result in results if result.embedding}


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
