"""Serves a file that is open already: what its path leads to by now does not matter."""

import os
from pathlib import PurePath

from fastapi.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from api.images.media_types import media_type

HEADERS = {
    # A file may be edited: a browser asks each time, and is told where nothing has changed.
    "Cache-Control": "private, no-cache",
}


class OpenFileResponse(FileResponse):
    """The file behind a descriptor, under the name of `path`. Closes the descriptor when it is sent."""

    def __init__(self, descriptor: int, path: str) -> None:
        name = PurePath(path).name
        super().__init__(
            # Opens the same file again, with an offset of its own, on Linux and on macOS.
            f"/dev/fd/{descriptor}",
            media_type=media_type(name),
            filename=name,
            stat_result=os.fstat(descriptor),  # gives it an ETag
            content_disposition_type="inline",
            headers=HEADERS,
        )
        self._descriptor = descriptor

    def unchanged(self) -> Response:
        """Close the descriptor, and say 304 instead."""
        os.close(self._descriptor)
        return Response(status_code=304, headers=HEADERS | {"ETag": self.headers["etag"]})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            os.close(self._descriptor)
