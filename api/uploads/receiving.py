"""Files sent over HTTP, streamed to disk. A name that was sent is never used as a path.

uploads/.JOB/…                    while files arrive: removed when anything goes wrong, and at the next start
uploads/JOB/INDEX/NAME            when all of them have arrived

What is no picture by its first bytes is not kept, whatever it is called.
"""

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from api.uploads.room import Promise, Room
from core.errors import RequestError
from imaging.formats import HEAD_BYTES, is_picture
from rules.leaving_out import Patterns, left_out_name
from rules.paths import ARCHIVE_FOLDER

MAX_NAME_BYTES = 200
MAX_BOUNDARY_BYTES = 70
"""RFC 2046, 5.1.1."""
MAX_FIELD_BYTES = 1 << 16
"""For all parts together that are no files: they are not used."""
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069/\\]")
"""What separates folders, what a terminal obeys, and what shows a name the other way round."""


@dataclass(frozen=True, slots=True)
class RefusedFile:
    """A file that was sent and not kept, by the name that it was sent with."""

    filename: str
    reason: str


def safe_name(name: str) -> str:
    """Return a file name that stays in its folder: the last part of `name`, not hidden, short enough for any disk."""
    last = _UNSAFE.sub("", re.split(r"[/\\]", name)[-1]).strip().lstrip(".")
    stem, dot, extension = last.rpartition(".")
    if not stem:
        stem, dot, extension = last, "", ""
    room = MAX_NAME_BYTES - len((dot + extension).encode())
    if room < 1:
        stem, dot, extension, room = last, "", "", MAX_NAME_BYTES
    return stem.encode()[:room].decode("utf-8", "ignore") + dot + extension or "file"


def remove_unfinished(uploads: Path) -> None:
    """Remove what a process that was killed has left."""
    for folder in uploads.glob(".*"):
        if os.fsencode(folder.name) != ARCHIVE_FOLDER:
            shutil.rmtree(folder, ignore_errors=True)


class UnderWay:
    """The jobs whose files arrive now."""

    def __init__(self) -> None:
        self._job_ids: set[str] = set()

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._job_ids

    @contextmanager
    def only(self, job_id: str) -> Iterator[None]:
        """Receive the files of a job. Raises RequestError(409) where another request does so already."""
        if job_id in self._job_ids:
            raise RequestError("Another upload with this Idempotency-Key is being received: wait for its answer.", 409)
        self._job_ids.add(job_id)
        try:
            yield
        finally:
            self._job_ids.remove(job_id)


async def receive(
    body: AsyncIterable[bytes],
    content_type: str,
    folder: Path,
    room: Room,
    *,
    content_length: int,
    max_files: int,
    max_file_bytes: int,
    exclude: Patterns,
) -> list[RefusedFile]:
    """Write the files of a multipart body to a new folder, one chunk in memory at a time.

    `content_length` bytes of the disk are promised to it before the first is read; 0 where nobody knows.

    Return the files that were not kept: those that are no pictures, and those that a scan of a folder would leave out.
    Raises RequestError: 400 for a body that is not multipart or has no file, 413 for too many or too large ones, 422
    when none is a picture, 507 when the disk has no room beside its reserve. Nothing is left on disk then.
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not content_type.startswith("multipart/form-data") or not boundary or len(boundary) > MAX_BOUNDARY_BYTES:
        raise RequestError("Send the files as multipart/form-data, each as a part with a filename.")
    partial = folder.with_name(f".{folder.name}")
    files = _Files(boundary, partial, max_files=max_files, max_file_bytes=max_file_bytes, exclude=exclude)
    try:
        with room.promised(folder.parent, content_length) as promise:
            await asyncio.to_thread(partial.mkdir, parents=True)
            async for chunk in body:
                await asyncio.to_thread(files.feed, chunk, promise)
        await asyncio.to_thread(files.finish)
        await asyncio.to_thread(partial.rename, folder)
    except OSError as error:
        raise RequestError(f"The upload cannot be written to disk: {error.strerror}.", 507) from error
    finally:
        files.close()
        await asyncio.to_thread(shutil.rmtree, partial, ignore_errors=True)
    return files.refused


class _Files:
    """Writes the parts that have a filename; the parser calls it back."""

    def __init__(
        self, boundary: bytes, folder: Path, *, max_files: int, max_file_bytes: int, exclude: Patterns
    ) -> None:
        self._folder = folder
        self._max_files = max_files
        self._max_file_bytes = max_file_bytes
        self._exclude = exclude
        self._header = b""
        self._value = b""
        self._name: str | None = None
        self._file: BinaryIO | None = None
        self._head = b""
        self._size = 0
        self._field_bytes = 0
        self._count = 0
        self.refused: list[RefusedFile] = []
        self._ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._add_to_header,
                "on_header_value": self._add_to_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._open,
                "on_part_data": self._write,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
        )

    def feed(self, chunk: bytes, promise: Promise) -> None:
        promise.use(len(chunk))
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise RequestError(f"The upload is not valid multipart/form-data: {error}.") from error

    def finish(self) -> None:
        if not self._ended:
            raise RequestError("The upload ends too early: send it again.")
        if not self._count:
            raise RequestError("The upload has no file: send each as a part with a filename.")
        if len(self.refused) == self._count:
            said = "; ".join(f"{file.filename}: {file.reason}" for file in self.refused[:5])
            raise RequestError(f"The upload has no picture. {said}", 422)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _begin_part(self) -> None:
        self._header = self._value = b""
        self._name = None

    def _add_to_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _add_to_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            name = parse_options_header(self._value.decode("latin-1"))[1].get(b"filename")
            self._name = None if name is None else name.decode("utf-8", "replace")
        self._header = self._value = b""

    def _open(self) -> None:
        if not self._name:  # a form field, or a file input that was left empty
            return
        if self._count == self._max_files:
            raise RequestError(
                f"The upload has more than {self._max_files} files (setting UPLOAD_MAX_FILES): send fewer at a time.",
                413,
            )
        place = self._folder / str(self._count) / safe_name(self._name)
        place.parent.mkdir()
        self._file = place.open("xb")
        self._head = b""
        self._size = 0
        self._count += 1

    def _write(self, data: bytes, start: int, end: int) -> None:
        if self._file is None:
            self._field_bytes += end - start
            if self._field_bytes > MAX_FIELD_BYTES:
                raise RequestError("The upload has large parts that are no files: send each with a filename.", 413)
            return
        self._head += data[start : min(end, start + HEAD_BYTES - len(self._head))]
        self._size += end - start
        if self._size > self._max_file_bytes:
            raise RequestError(
                f"{self._name} has more than {self._max_file_bytes:,} bytes (setting MAX_FILE_BYTES).", 413
            )
        self._file.write(data[start:end])

    def _end_part(self) -> None:
        if self._file is None or self._name is None:
            return
        place = Path(self._file.name)
        self.close()
        if reason := self._why_refused(self._name):
            place.unlink()
            place.parent.rmdir()
            self.refused.append(RefusedFile(self._name, reason))

    def _why_refused(self, name: str) -> str | None:
        if left_out_name(name, self._exclude):
            return "left out by its name, as below a folder"
        if not self._head:
            return "it is empty"
        return None if is_picture(self._head) else "no picture in a format that Darkroom takes, by its first bytes"

    def _end(self) -> None:
        self._ended = True
