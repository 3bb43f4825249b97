"""Pictures that people send are decoded within limits, and what waits for a decoder has a bound."""

import asyncio
import hashlib
import io
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from fastapi import Request
from PIL import Image

from api.http.waiting import while_there
from api.images.decoders import WAITING, Decoders
from api.images.preview_store import PreviewStore
from api.images.previews import Previews, Side
from api.images.renditions import Renditions
from api.uploads.room import Room
from core.errors import BusyError, RequestError
from core.settings import Settings
from tests import pictures


@pytest.fixture
async def decoders() -> AsyncIterator[Decoders]:
    limited = Decoders(Settings(cpu_processes=1, file_memory_bytes=256 << 20, file_timeout_seconds=60))
    yield limited
    await limited.close()


@pytest.fixture
def renditions(decoders: Decoders, tmp_path: Path) -> Renditions:
    return Renditions(Settings(), decoders, Room(tmp_path, 0))


def bomb() -> io.BytesIO:
    """Return a TIFF of some 400 KB whose pixels are more than the memory of a process."""
    file = io.BytesIO()
    Image.new("RGB", (10_000, 10_000)).save(file, "TIFF", compression="tiff_adobe_deflate")
    assert len(file.getvalue()) < 1_000_000
    return file


async def test_a_small_file_with_huge_pixels_is_refused_and_costs_nobody_else(renditions: Renditions) -> None:
    with pytest.raises(RequestError, match=r"more memory than 256 MiB \(FILE_MEMORY_BYTES\)") as refused:
        await renditions.of(io.BytesIO(bomb().getvalue()))
    assert refused.value.status == 422
    assert (await renditions.of(io.BytesIO(pictures.jpeg(9_200_000)))).startswith(b"\xff\xd8\xff")


def sleep(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


async def test_one_that_takes_long_holds_up_no_other(decoders: Decoders, renditions: Renditions) -> None:
    with decoders.place() as cpu:
        slow = asyncio.create_task(cpu.run(sleep, 30))
        await renditions.of(io.BytesIO(pictures.jpeg(9_200_001)))
        assert not slow.done()
        slow.cancel()


async def test_behind_a_full_queue_one_is_told_at_once_and_later_ones_pass(
    decoders: Decoders, renditions: Renditions
) -> None:
    def ask(number: int) -> asyncio.Task[bytes]:
        return asyncio.create_task(renditions.of(io.BytesIO(pictures.jpeg(number, 32, 32))))

    tasks = [ask(number) for number in range(WAITING * 2)]
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(one, BusyError) for one in ended) == WAITING - 2
    assert sum(isinstance(one, bytes) for one in ended) == WAITING + 2
    assert await ask(0)


async def test_a_copy_for_a_decoder_leaves_the_reserve_alone(decoders: Decoders, tmp_path: Path) -> None:
    too_much = Room(Path(tempfile.gettempdir()), reserve=1 << 60)
    with pytest.raises(RequestError, match="DISK_RESERVE_BYTES") as refused:
        await Renditions(Settings(), decoders, too_much).of(io.BytesIO(pictures.jpeg(9_200_002)))
    assert refused.value.status == 507
    assert await Renditions(Settings(), decoders, Room(tmp_path, 0)).of(io.BytesIO(pictures.jpeg(9_200_002)))


async def test_one_who_goes_away_leaves_no_place_taken_and_nothing_behind(
    decoders: Decoders, renditions: Renditions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    gone = asyncio.Event()
    jpeg = pictures.jpeg(9_200_003)

    async def receive() -> dict[str, Any]:
        await gone.wait()
        return {"type": "http.disconnect"}

    def ask() -> "asyncio.Task[bytes]":
        request = Request({"type": "http"}, receive)
        return asyncio.create_task(while_there(request, renditions.of(io.BytesIO(jpeg))))

    with ExitStack() as held:
        busy = [asyncio.create_task(held.enter_context(decoders.place()).run(sleep, 60)) for _ in range(2)]
        leaving = [ask() for _ in range(WAITING)]
        while len(os.listdir(tmp_path)) < WAITING:  # noqa: PTH208 - one call
            await asyncio.sleep(0.01)
        with pytest.raises(BusyError):
            await renditions.of(io.BytesIO(jpeg))
        gone.set()
        ended = await asyncio.gather(*leaving, return_exceptions=True)
        assert all(isinstance(one, RequestError) for one in ended)
        assert os.listdir(tmp_path) == []  # noqa: PTH208 - as above
        gone.clear()
        staying = [ask() for _ in range(WAITING)]
        await asyncio.wait(staying, timeout=0.1)
        assert not any(one.done() for one in staying)
        for task in (*busy, *staying):
            task.cancel()
        await asyncio.gather(*busy, *staying, return_exceptions=True)


async def test_a_preview_is_made_for_the_last_who_waits_and_for_nobody_else(
    decoders: Decoders, renditions: Renditions, tmp_path: Path
) -> None:
    previews = Previews(renditions, PreviewStore(tmp_path / "previews", 1 << 20, Room(tmp_path, 0)))
    picture = tmp_path / "a.jpg"
    picture.write_bytes(pictures.jpeg(9_200_004))
    sha256 = hashlib.sha256(picture.read_bytes()).hexdigest()

    async def ask() -> bytes:
        with picture.open("rb") as file:
            return await previews.of(file, sha256, Side.SMALL)

    with ExitStack() as held:
        for _ in range(WAITING + 1):
            held.enter_context(decoders.place())
        for stays in (True, False, True):
            first, second = asyncio.create_task(ask()), asyncio.create_task(ask())
            while not previews._making:
                await asyncio.sleep(0)
            first.cancel()
            if not stays:
                second.cancel()
            ended = await asyncio.gather(first, second, return_exceptions=True)
            assert isinstance(ended[0], asyncio.CancelledError)
            assert isinstance(ended[1], bytes) is stays
            assert not previews._making
            shutil.rmtree(tmp_path / "previews", ignore_errors=True)
