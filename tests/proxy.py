"""A reverse proxy that remembers what passed: `python -m tests.proxy --port N --to URL`, `GET /passed`.

It spoils what it is told to: `POST /control` takes a whole Behaviour (`{}`: everything passes).
With `--require HEADER VALUE` it refuses what does not carry that, as a server that asks for a key.
"""

import argparse
import asyncio
import json

import httpx
import uvicorn
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, ConfigDict


class Behaviour(BaseModel):
    """What happens to the requests."""

    model_config = ConfigDict(extra="forbid")

    only_upserts: bool = False  # leave all others alone
    delay: float = 0.0  # seconds, before it passes
    late: bool = False  # the delay comes after it has passed
    status: int | None = None  # answered in place of passing
    body: str = ""
    refuse_points_of: str | None = None  # 400 for an upsert with a point of this file name


def create_app(target: str, required: tuple[str, str] | None = None) -> FastAPI:
    app = FastAPI()
    client = httpx.AsyncClient(base_url=target, timeout=60, trust_env=False)
    upserts: list[int] = []
    told = Behaviour()

    @app.post("/control")
    async def control(behaviour: Behaviour) -> None:
        nonlocal told
        told = behaviour

    @app.get("/passed")
    async def passed() -> list[int]:
        """Points in each upsert."""
        return upserts

    @app.api_route("/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    async def forward(path: str, request: Request) -> Response:
        if required and request.headers.get(required[0]) != required[1]:
            return Response("no key", 401)
        body = await request.body()
        now = told
        if request.method == "PUT" and path.endswith("/points"):
            points = json.loads(body)["points"]
            upserts.append(len(points))
            if any(point["payload"].get("filename", "") == now.refuse_points_of for point in points):
                return Response('{"status":{"error":"told to refuse this point"}}', 400)
        elif now.only_upserts:
            now = Behaviour()
        if now.status is not None:
            return Response(now.body, now.status)
        if not now.late:
            await asyncio.sleep(now.delay)
        answer = await client.request(
            request.method,
            f"/{path}",
            params=request.query_params,
            content=body,
            headers={"content-type": request.headers.get("content-type", "application/json")},
        )
        if now.late:
            await asyncio.sleep(now.delay)
        return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))

    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--to", required=True)
    parser.add_argument("--require", nargs=2)
    options = parser.parse_args()
    uvicorn.run(create_app(options.to, options.require), host="127.0.0.1", port=options.port, log_level="warning")
