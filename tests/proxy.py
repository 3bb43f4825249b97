"""A reverse proxy that remembers what passed: `python -m tests.proxy --port N --to URL`, `GET /passed`.

With `--require HEADER VALUE` it refuses what does not carry that, as a server that asks for a key.
"""

import argparse
import json

import httpx
import uvicorn
from fastapi import FastAPI, Request, Response


def create_app(target: str, required: tuple[str, str] | None = None) -> FastAPI:
    app = FastAPI()
    client = httpx.AsyncClient(base_url=target, timeout=60, trust_env=False)
    upserts: list[int] = []

    @app.get("/passed")
    async def passed() -> list[int]:
        """Points in each upsert."""
        return upserts

    @app.api_route("/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    async def forward(path: str, request: Request) -> Response:
        if required and request.headers.get(required[0]) != required[1]:
            return Response("no key", 401)
        body = await request.body()
        if request.method == "PUT" and path.endswith("/points"):
            upserts.append(len(json.loads(body)["points"]))
        answer = await client.request(
            request.method,
            f"/{path}",
            params=request.query_params,
            content=body,
            headers={"content-type": request.headers.get("content-type", "application/json")},
        )
        return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))

    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--to", required=True)
    parser.add_argument("--require", nargs=2)
    options = parser.parse_args()
    uvicorn.run(create_app(options.to, options.require), host="127.0.0.1", port=options.port, log_level="warning")
