"""The routes of Qdrant's REST API that Darkroom uses, with Qdrant's shapes and status codes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any, TypeVar

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from qdrant_client import models

from core.errors import RequestError
from embedded.qdrant.configuration import CollectionConfig
from embedded.qdrant.store import Store
from embedded.qdrant.translate import unsupported

# Qdrant's own limit: `service.max_request_size_mb` in its config.yaml.
MAX_BODY_BYTES = 32 * 1024 * 1024

Answer = TypeVar("Answer")


def make_app(store: Store) -> FastAPI:
    """Make the application that serves `store`, and closes it at the end."""
    engine = ThreadPoolExecutor(max_workers=1, thread_name_prefix="engine")

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await run(store.close)
        engine.shutdown()

    async def run(call: Callable[[], Answer]) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(engine, call)

    async def answer(call: Callable[[], Any]) -> Response:
        """Run `call` on the engine's thread and answer with its result."""
        return await run(lambda: _json({"result": call(), "status": "ok", "time": 0.0}))

    async def change(call: Callable[[], None]) -> Response:
        """Run `call` on the engine's thread and answer that it is done."""
        await run(call)
        return _json({"result": True, "status": "ok", "time": 0.0})

    async def change_points(call: Callable[[], None]) -> Response:
        """Run `call` on the engine's thread and answer that it is done, as the points' routes do."""
        await run(call)
        return _json({"result": {"operation_id": 0, "status": "completed"}, "status": "ok", "time": 0.0})

    app = FastAPI(title="Embedded Qdrant", lifespan=lifespan, openapi_url=None, redirect_slashes=False)
    app.add_exception_handler(RequestError, _on_request_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_body)
    app.add_exception_handler(Exception, _on_internal_error)

    @app.get("/")
    async def about() -> dict[str, str]:
        return {"title": "qdrant - embedded in darkroom", "version": version("qdrant-edge-py")}

    @app.get("/healthz")
    @app.get("/readyz")
    async def ready() -> Response:
        return Response("all shards are ready", media_type="text/plain")

    @app.get("/collections")
    async def list_collections() -> Response:
        return await answer(lambda: {"collections": [{"name": name} for name in store.names()]})

    @app.get("/collections/{name}")
    async def collection_info(name: str) -> Response:
        return await answer(lambda: store.get(name).info())

    @app.get("/collections/{name}/exists")
    async def collection_exists(name: str) -> Response:
        return await answer(lambda: {"exists": name in store.names()})

    @app.put("/collections/{name}")
    async def create_collection(name: str, body: models.CreateCollection) -> Response:
        config = CollectionConfig.of(body)
        return await change(lambda: store.create(name, config))

    @app.patch("/collections/{name}")
    async def update_collection(name: str, body: models.UpdateCollection) -> Response:
        return await change(lambda: store.get(name).change(body))

    @app.delete("/collections/{name}")
    async def delete_collection(name: str) -> Response:
        return await answer(lambda: store.delete(name))

    @app.put("/collections/{name}/index")
    async def create_index(name: str, body: models.CreateFieldIndex, wait: bool = False) -> Response:
        return await change_points(lambda: store.get(name).create_index(body, wait=wait))

    @app.put("/collections/{name}/points")
    async def upsert(name: str, request: Request) -> Response:
        # Not validated by pydantic, which takes many times as long as the upsert itself.
        body = await _bounded_body(request)
        return await change_points(lambda: store.get(name).upsert(*_points_in(body)))

    @app.post("/collections/{name}/points")
    async def retrieve(name: str, body: models.PointRequest) -> Response:
        return await answer(lambda: store.get(name).retrieve(body))

    @app.get("/collections/{name}/points/{point_id}")
    async def retrieve_one(name: str, point_id: str) -> Response:
        wanted = models.PointRequest(
            ids=[int(point_id) if point_id.isdecimal() else point_id], with_payload=True, with_vector=True
        )
        return await answer(lambda: _one(point_id, store.get(name).retrieve(wanted)))

    @app.post("/collections/{name}/points/delete")
    async def delete_points(name: str, body: models.PointsSelector) -> Response:
        return await change_points(lambda: store.get(name).delete_points(body))

    @app.post("/collections/{name}/points/payload")
    async def set_payload(name: str, body: models.SetPayload) -> Response:
        return await change_points(lambda: store.get(name).set_payload(body))

    @app.post("/collections/{name}/points/batch")
    async def batch(name: str, body: models.UpdateOperations) -> Response:
        return await answer(lambda: store.get(name).change_batch(body.operations))

    @app.post("/collections/{name}/points/scroll")
    async def scroll(name: str, body: models.ScrollRequest) -> Response:
        return await answer(lambda: store.get(name).scroll(body))

    @app.post("/collections/{name}/points/query")
    async def query(name: str, body: models.QueryRequest) -> Response:
        return await answer(lambda: {"points": store.get(name).query(body)})

    @app.post("/collections/{name}/points/query/batch")
    async def query_batch(name: str, body: models.QueryRequestBatch) -> Response:
        return await answer(lambda: [{"points": points} for points in store.get(name).query_batch(body.searches)])

    @app.post("/collections/{name}/points/count")
    async def count(name: str, body: models.CountRequest) -> Response:
        return await answer(lambda: {"count": store.get(name).count(body)})

    @app.post("/collections/{name}/facet")
    async def facet(name: str, body: models.FacetRequest) -> Response:
        return await answer(lambda: {"hits": store.get(name).facet(body)})

    return app


async def _bounded_body(request: Request) -> bytes:
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise RequestError(f"Payload error: JSON payload is larger than {MAX_BODY_BYTES} bytes", status=413)
        chunks.append(chunk)
    return b"".join(chunks)


def _points_in(body: bytes) -> tuple[list[dict[str, Any]], models.Filter | None]:
    """Return the points, and which of those that exist are written; None: all."""
    try:
        request = orjson.loads(body)
        points = request["points"]
        where = request.get("update_filter")
        update_filter = None if where is None else models.Filter.model_validate(where)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RequestError(f"Format error in JSON body: {error}", status=400) from error
    if not isinstance(points, list):
        raise RequestError("Format error in JSON body: points must be a list", status=400)
    if request.get("update_mode") is not None:
        raise unsupported("update_mode")
    return points, update_filter


def _one(point_id: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    if not found:
        raise RequestError(f"Not found: Point with id {point_id} does not exists!", status=404)
    return found[0]


def _json(body: dict[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")


def _error(message: str, status: int) -> Response:
    return _json({"status": {"error": message}, "time": 0.0}, status)


async def _on_request_error(_: Request, error: Exception) -> Response:
    return _error(str(error), error.status if isinstance(error, RequestError) else 400)


async def _on_invalid_body(_: Request, error: Exception) -> Response:
    return _error(f"Format error in JSON body: {error}", 400)


async def _on_internal_error(_: Request, error: Exception) -> Response:
    return _error(f"Service internal error: {error}", 500)
