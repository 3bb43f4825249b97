"""Work that overlaps."""

import asyncio

import pytest

from streams.overlapping import Overlapping


async def test_so_many_run_at_once_and_all_are_done_at_the_end() -> None:
    running, most, done = 0, 0, list[int]()

    async def work(number: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        running -= 1
        done.append(number)

    async with Overlapping(3) as overlapping:
        for number in range(10):
            await overlapping.add(work(number))
    assert (most, sorted(done)) == (3, list(range(10)))


@pytest.mark.parametrize("at_once", [1, 4])
async def test_what_fails_is_raised_by_the_next_or_at_the_end(at_once: int) -> None:
    async def fail() -> None:
        raise OSError("no")

    async def block() -> None:
        async with Overlapping(at_once) as overlapping:
            await overlapping.add(fail())
            await overlapping.add(asyncio.sleep(0))

    with pytest.raises(OSError, match="no"):
        await block()


async def test_where_the_block_fails_what_was_begun_is_waited_for() -> None:
    done = False

    async def work() -> None:
        nonlocal done
        await asyncio.sleep(0)
        done = True

    async def block() -> None:
        async with Overlapping(2) as overlapping:
            await overlapping.add(work())
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - the one above
        await block()
    assert done
