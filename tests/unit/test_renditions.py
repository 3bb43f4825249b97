"""Pictures that people send are decoded within limits, and what waits for a decoder has a bound."""

import asyncio
import io
import os
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL import Image

from api.decoders import WAITING, Decoders
from api.renditions import Renditions
from api.room import Room
from errors import BusyError, RequestError
from settings import Settings
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
