"""Turns a picture into the small JPEG that ML sees, in a process of its own: for a search, or to be shown.

Bytes from outside may crash or stall a decoder, or eat memory: the process is given up, the service goes on.
"""

import asyncio
import os
import shutil
import tempfile
from pathlib import Path
from typing import IO, BinaryIO

from api.images.decoders import Decoders
from api.uploads.room import Room
from core.errors import ContentError, FileChangedError, FileError, RequestError
from core.settings import Settings
from gateways.decoding import prepare
from imaging.files import FileStamp, stamp


class Renditions:
    """Makes them with the service's decoders."""

    def __init__(self, settings: Settings, decoders: Decoders, room: Room) -> None:
        self._max_pixels = settings.max_image_pixels
        self._max_bytes = settings.max_file_bytes
        self._salvage_damaged = settings.salvage_damaged
        self._decoders = decoders
        self._room = room

    async def of(
        self,
        picture: BinaryIO,
        *,
        side: int = 512,
        max_rendition_bytes: int = 262_144,
        sha256: str | None = None,
    ) -> bytes:
        """Return a small JPEG of a picture in any listed format; its longest side has at most `side` pixels.

        Raises RequestError: 422 when it cannot be decoded, 410 when its content is not that of `sha256`, 507 when the
        disk has no room for a copy; BusyError when too many wait.
        """
        size = picture.seek(0, os.SEEK_END)
        picture.seek(0)
        with (
            self._decoders.place() as cpu,
            self._room.promised(Path(tempfile.gettempdir()), size),
            tempfile.NamedTemporaryFile(prefix="darkroom-picture-") as file,
        ):
            await asyncio.to_thread(_copy, picture, file)
            try:
                return await cpu.run(
                    _rendition,
                    file.name,
                    sha256,
                    side=side,
                    max_rendition_bytes=max_rendition_bytes,
                    max_pixels=self._max_pixels,
                    max_bytes=self._max_bytes,
                    salvage_damaged=self._salvage_damaged,
                )
            except FileChangedError as error:
                raise RequestError(
                    "The file has changed since it was taken in, and is another picture now. Take its folder in again.",
                    410,
                ) from error
            except (ContentError, FileError) as error:
                reason = str(error).replace(file.name, "it")  # a path of ours
        raise RequestError(f"The picture cannot be used: {reason}", 422)


def _copy(picture: BinaryIO, file: IO[bytes]) -> None:
    # Not by its name: who asked may have gone, and the file with it.
    shutil.copyfileobj(picture, file)
    file.flush()


def _rendition(
    name: str,
    sha256: str | None,
    *,
    side: int,
    max_rendition_bytes: int,
    max_pixels: int,
    max_bytes: int,
    salvage_damaged: bool,
) -> bytes:
    path = name.encode()
    now = stamp(path)
    return prepare(
        path,
        FileStamp(now.size, now.mtime_ns),
        sha256,
        max_pixels=max_pixels,
        max_bytes=max_bytes,
        rendition_side=side,
        rendition_bytes=max_rendition_bytes,
        salvage_damaged=salvage_damaged,
    ).rendition
