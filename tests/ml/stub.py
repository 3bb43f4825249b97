"""An ML service that does as it is told, and remembers what it was asked.

In a test: `async with serving(Stub()) as stub:` gives `stub.url`; set `stub.behaviour`, read `stub.batches`.
As a process: `python -m tests.ml.stub --port N`; `POST /control` takes a whole Behaviour (what is left out
goes back to its default, so `{}` is a service that works), `GET /log` gives the batches, `DELETE /log` forgets them.
With `--log FILE` the SHA-256 of what it is asked to embed also goes to a file, a line a request: it outlives a kill.
"""

import argparse
import asyncio
import base64
import contextlib
import hashlib
import json
import math
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI, Response
from pydantic import BaseModel, ConfigDict

NAMES = {"stub-2": "two"}


class Behaviour(BaseModel):
    """How the stub answers. An image is named by its `unique_id` or its filename."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    # Every request, also /health: answered with this status and body instead of the right answer.
    status: int | None = None
    body: str = ""
    # Batches.
    delay_per_image: float = 0.0  # seconds
    hang: bool = False  # until another behaviour is set
    oom_above: int | None = None  # images in a batch
    reject_batch_with: list[str] = []  # 422 for a batch that has one of these images
    fail_images: list[str] = []  # these get an `error`
    nan_images: list[str] = []  # these get a vector with a NaN
    short_images: list[str] = []  # these get a vector with a dimension too few
    drop_results: int = 0  # leave out this many
    repeat_results: int = 0  # answer this many twice
    strange_results: int = 0  # add this many that nobody asked for
    reverse: bool = False
    text_length: int | None = None  # letters of each caption and each error
    dimension: int = 512
    # Capabilities. None: left out of the answer.
    model_id: str | None = "stub-1"
    model_name: str | None = None  # `model_name_clip` of the results, if it is not model_id
    safe_clip_batch: int | None = 32
    safe_blip_batch: int | None = 32
    supports_text: bool | None = True
    logit_scale: float | None = None
    logit_bias: float | None = None
    colours_from: float | None = None  # where it knows no text: "red" and "blue" all the same
    chooses_models: bool | None = None
    # Others that a request may name, with their dimensions. The name of `stub-2` is `two`.
    models: dict[str, int] = {}
    writes_captions: bool | None = None

    @classmethod
    def answering(cls, content: object) -> "Behaviour":
        """To every request with this JSON."""
        return cls(status=200, body=json.dumps(content))


class Image(BaseModel):
    unique_id: str
    image_base64: str
    filename: str


class Batch(BaseModel):
    images: list[Image]


class Text(BaseModel):
    text: str


class LoggedImage(BaseModel):
    unique_id: str
    filename: str
    sha256: str
    size: int  # bytes


class LoggedBatch(BaseModel):
    """One request to embed, with the status it was answered with (0 while it is in flight)."""

    images: list[LoggedImage]
    caption: bool
    status: int = 0
    model_id: str | None = None  # as the request named it
    embed: bool = True


class Stub:
    """The state of one stub service."""

    def __init__(self, log: Path | None = None) -> None:
        self.url = ""
        self._log = log
        self.batches: list[LoggedBatch] = []
        self.texts: list[str] = []
        self._behaviour = Behaviour()
        self._changed = asyncio.Event()

    @property
    def behaviour(self) -> Behaviour:
        return self._behaviour

    @behaviour.setter
    def behaviour(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._changed.set()  # Wakes the requests that hang.
        self._changed = asyncio.Event()

    def forget(self) -> None:
        """Back to the start: a service that works and was asked nothing."""
        self.behaviour = Behaviour()
        self.batches.clear()
        self.texts.clear()

    @property
    def batch_sizes(self) -> list[int]:
        return [len(batch.images) for batch in self.batches]

    async def embed(self, batch: Batch, caption: bool, model_id: str | None, embed: bool) -> Response:
        images = [(image, base64.b64decode(image.image_base64)) for image in batch.images]
        logged = LoggedBatch(images=[_logged(image, data) for image, data in images], caption=caption)
        logged.model_id, logged.embed = model_id, embed
        self.batches.append(logged)
        if self._log is not None:
            with self._log.open("a") as file:
                file.write(json.dumps([image.sha256 for image in logged.images]) + "\n")
        while self.behaviour.hang:
            await self._changed.wait()
        await asyncio.sleep(self.behaviour.delay_per_image * len(images))
        response = self._answer(images, logged)
        logged.status = response.status_code
        return response

    def _answer(self, images: list[tuple[Image, bytes]], asked: LoggedBatch) -> Response:
        told = self.behaviour
        if told.status is not None:
            return Response(told.body, told.status)
        if told.oom_above is not None and len(images) > told.oom_above:
            return Response('{"detail":"CUDA out of memory"}', 500)
        if any(_named(image, told.reject_batch_with) for image, _ in images):
            return Response('{"detail":"cannot read one of the images"}', 422)
        results = [self._result(image, data, asked) for image, data in images]
        results = results[: len(results) - told.drop_results]
        results += results[: told.repeat_results]
        results += [results[0] | {"unique_id": f"strange-{n}"} for n in range(told.strange_results)]
        if told.reverse:
            results.reverse()
        # This `json` writes NaN, as a careless service would.
        return _json({"results": results})

    def _result(self, image: Image, data: bytes, asked: LoggedBatch) -> dict[str, Any]:
        told = self.behaviour
        other = asked.model_id if asked.model_id in told.models else None
        vector = vector_of(data, told.models.get(other or "", told.dimension), other)
        if _named(image, told.nan_images):
            vector[0] = math.nan
        if _named(image, told.short_images):
            vector.pop()
        failed = _named(image, told.fail_images)
        said = f"A picture called {image.filename}"
        complaint = "the stub was told to fail this image"
        if told.text_length is not None:
            said = complaint = "x" * told.text_length
        return {
            "unique_id": image.unique_id,
            "filename": image.filename,
            "embedding": vector if asked.embed and not failed else None,
            "embedding_shape": [len(vector)],
            "caption": said if asked.caption and not failed else None,
            "error": complaint if failed else None,
            "model_name_clip": other or told.model_name or told.model_id,
            "model_name_blip": None,
            "device_used": "cpu",
        }


def vector_of(image: bytes, dimension: int = 512, model_id: str | None = None) -> list[float]:
    """The unit vector that the stub answers for an image: random, but always the same for the same bytes and model."""
    seed = int.from_bytes(hashlib.sha256(image + (model_id or "").encode()).digest())
    vector = np.random.default_rng(seed).standard_normal(dimension)
    return [float(value) for value in vector / np.linalg.norm(vector)]


def create_app(stub: Stub) -> FastAPI:
    app = FastAPI()

    @app.get("/health")
    async def health() -> Response:
        return Response(stub.behaviour.body, stub.behaviour.status or 200)

    @app.get("/api/v1/capabilities")
    async def capabilities(model_id: str | None = None) -> Response:
        told = stub.behaviour
        other = model_id if model_id in told.models else None
        if told.status is not None:
            return Response(told.body, told.status)
        answer = {
            "safe_clip_batch": told.safe_clip_batch,
            "safe_blip_batch": told.safe_blip_batch,
            "model_id": other or told.model_id,
            "supports_text": told.supports_text,
            "embedding_dim": told.models[other] if other else told.dimension,
            "models": [{"name": NAMES.get(one, one), "model_id": one} for one in told.models] or None,
            "blip_model_loaded": told.writes_captions,
            "logit_scale": told.logit_scale,
            "logit_bias": told.logit_bias,
            "colours_from": told.colours_from,
            "chooses_models": told.chooses_models,
        }
        return _json({name: value for name, value in answer.items() if value is not None})

    @app.post("/api/v1/batch_embed_and_caption")
    async def batch_embed_and_caption(
        batch: Batch, caption: bool = False, model_id: str | None = None, embed: bool = True
    ) -> Response:
        return await stub.embed(batch, caption, model_id, embed)

    @app.post("/api/v1/embed_text")
    async def embed_text(text: Text, model_id: str | None = None) -> Response:
        told = stub.behaviour
        stub.texts.append(text.text)
        if told.status is not None:
            return Response(told.body, told.status)
        if not told.supports_text and (told.colours_from is None or text.text not in {"red", "blue"}):
            return Response('{"detail":"no text encoder"}', 501)
        other = model_id if model_id in told.models else None
        return _json({"embedding": vector_of(text.text.encode(), told.models.get(other or "", told.dimension), other)})

    @app.post("/control")
    async def control(behaviour: Behaviour) -> None:
        stub.behaviour = behaviour

    @app.get("/log")
    async def log() -> list[LoggedBatch]:
        return stub.batches

    @app.delete("/log")
    async def forget() -> None:
        stub.batches.clear()

    return app


@contextlib.asynccontextmanager
async def serving(stub: Stub, port: int = 0) -> AsyncIterator[Stub]:
    """Serve on 127.0.0.1 (port 0: a free one) in this event loop, until the block ends."""
    server = uvicorn.Server(uvicorn.Config(create_app(stub), log_level="warning", timeout_graceful_shutdown=2))
    with socket.create_server(("127.0.0.1", port)) as listening:
        stub.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        task = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield stub
        finally:
            stub.behaviour = Behaviour()  # Lets go of the requests that hang.
            server.should_exit = True
            await task


def _logged(image: Image, data: bytes) -> LoggedImage:
    sha256 = hashlib.sha256(data).hexdigest()
    return LoggedImage(unique_id=image.unique_id, filename=image.filename, sha256=sha256, size=len(data))


def _named(image: Image, names: list[str]) -> bool:
    return image.unique_id in names or image.filename in names


def _json(content: object) -> Response:
    return Response(json.dumps(content), media_type="application/json")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.ml.stub")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--log", type=Path)
    told = parser.parse_args()
    uvicorn.run(create_app(Stub(told.log)), host="127.0.0.1", port=told.port, log_level="warning")


if __name__ == "__main__":
    main()
