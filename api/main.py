"""The application: its services live as long as it does."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Depends, FastAPI
from starlette.middleware.cors import CORSMiddleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from api.access.guard import DESCRIBED, KeyRequired, LocalOnly
from api.access.session import Sessions
from api.http.describing import DESCRIPTION, TAGS, describe
from api.http.page import add_page
from api.http.parameters import only_known
from api.http.problems import answer_errors, problems
from api.http.sandbox import Sandboxed
from api.routes import (
    archive,
    collections,
    dead_letters,
    description,
    duplicates,
    forgetting,
    images,
    ingest,
    jobs,
    models,
    previews,
    replay,
    search,
    session,
    sources,
    system,
)
from api.routes import metrics as metrics_route
from api.services import open_services
from api.system.measure import Measured
from core.settings import Settings, reveal
from rules.listening import HTTP_PORT
from rules.throttle import Throttle

API = "/api/v1"
JSON_BYTES = 1 << 20
FORM_BYTES = 1 << 16


def create_app(settings: Settings, port: int = HTTP_PORT) -> FastAPI:
    """Return the service, for a server at `port`; its lifespan connects it. The topics must exist."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_services(settings, port) as services:
            app.state.services = services
            if app.state.sessions is not None:
                app.state.sessions.know_ended(await services.kept.ended_sessions(time.time()))
            yield

    app = FastAPI(title="Darkroom", version="0.1.0", description=DESCRIPTION, openapi_tags=TAGS, lifespan=lifespan)
    answer_errors(app)
    describe(app)
    # Added behind the others, so around them: nothing is read of a request that may not pass.
    app.state.sign_ins = Throttle(burst=5, seconds=10, all_burst=50, all_seconds=1)
    app.state.sessions = None
    if key := reveal(settings.darkroom_api_key):
        app.state.sessions = Sessions(key)
        app.add_middleware(KeyRequired, key=key, sessions=app.state.sessions, sign_in=f"{API}/session")
    else:
        app.add_middleware(LocalOnly, allowed_origins=settings.cors_origins)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["*"],
            expose_headers=["ETag", "Retry-After"],
        )
    app.add_middleware(Sandboxed, prefix=f"{API}/", is_shared=bool(settings.cors_origins))
    app.add_middleware(Measured, prefix=API)
    app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=settings.trusted_proxies)
    strict = Depends(only_known)
    app.include_router(
        system.health_router, dependencies=[strict], responses=problems(403, 422), max_body_size=FORM_BYTES
    )
    for router in (metrics_route.router, system.ready_router, description.router):
        app.include_router(
            router,
            dependencies=[*DESCRIBED, strict],
            responses=problems(401, 403, 422),
            max_body_size=FORM_BYTES,
        )
    guarded: dict[str, Any] = {
        "prefix": API,
        "dependencies": [*DESCRIBED, strict],
        "responses": problems(400, 401, 403, 413, 422, 503),
    }
    for module in (
        archive,
        ingest,
        jobs,
        replay,
        dead_letters,
        collections,
        forgetting,
        images,
        previews,
        duplicates,
        models,
        session,
        sources,
        system,
    ):
        app.include_router(module.router, max_body_size=JSON_BYTES, **guarded)
    app.include_router(images.random_router, max_body_size=FORM_BYTES, **guarded)
    app.include_router(search.router, max_body_size=settings.max_file_bytes + FORM_BYTES, **guarded)
    app.include_router(ingest.uploads_router, **guarded)
    add_page(app)
    return app
