"""Turns a picture into the small JPEG that ML sees, in a process of its own: for a search, or to be shown.

Bytes from outside may crash or stall a decoder: the process is given up, the service goes on.
"""

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import BinaryIO

from errors import ContentError, FileError, RequestError
from imaging.decoding import prepare
from imaging.files import stamp
from processes import CrashedError, Processes
from settings import Settings


class Renditions:
    """One decoding process, started when it is first needed."""

    def __init__(self, settings: Settings) -> None:
        self._max_pixels = settings.max_image_pixels
        self._max_bytes = settings.max_file_bytes
        self._timeout = settings.file_timeout_seconds
        self._processes = Processes(1, preload=["imaging.decoding"])

    async def of(self, picture: BinaryIO) -> bytes:
        """Return a small JPEG of a picture in any listed format. Raises RequestError(422) when it cannot be decoded."""
        with tempfile.NamedTemporaryFile(prefix="darkroom-picture-") as file:
            await asyncio.to_thread(_copy, picture, file.name)
            future = self._processes.submit(self._timeout, _rendition, file.name, self._max_pixels, self._max_bytes)
            try:
                rendition: bytes = await asyncio.wrap_future(future)
            except (ContentError, FileError) as error:
                reason = str(error).removeprefix(file.name).strip()
            except CrashedError:
                reason = "crashes its decoder."
            except TimeoutError:
                reason = f"takes longer than {self._timeout:g} s to decode."
            else:
                return rendition
        raise RequestError(f"The picture cannot be used: it {reason}", 422)

    async def close(self) -> None:
        """End the process."""
        await asyncio.to_thread(self._processes.close)


def _copy(picture: BinaryIO, name: str) -> None:
    with Path(name).open("wb") as file:
        shutil.copyfileobj(picture, file)


def _rendition(name: str, max_pixels: int, max_bytes: int) -> bytes:
    path = name.encode()
    return prepare(path, stamp(path), None, max_pixels=max_pixels, max_bytes=max_bytes).rendition
