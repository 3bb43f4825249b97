"""The web page: the files of `static/`, as they lie there.

They hold nothing of anyone's photographs, so they need no key; the page asks for it and opens a session.
"""

from pathlib import Path

from fastapi import FastAPI
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FOLDER = Path(__file__).parents[1] / "static"
AT = "/static"

# Only files of this service run, and nothing that they do can reach another host.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # Asked for each time, and answered with 304: a new version shows at once.
    "Cache-Control": "no-cache",
}


def is_page(method: str, path: str) -> bool:
    """Tell whether a request is for the page's own files."""
    return method in {"GET", "HEAD"} and (path == "/" or path.startswith(f"{AT}/"))


def add_page(app: FastAPI) -> None:
    """Serve the page at `/`."""

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(FOLDER / "index.html", headers=HEADERS)

    app.mount(AT, _Files(directory=FOLDER))


class _Files(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        return response
