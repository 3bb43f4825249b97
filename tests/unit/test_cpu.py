"""The decode processes: a file that crashes, hangs or eats memory fails alone; a killed process costs nothing."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from core.errors import ContentError, DrainingError
from gateways.cpu import Cpu
from tests.deadlines import HANG_SECONDS


def pid_after(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def crash_once(marker: str) -> str:
    if not Path(marker).exists():
        Path(marker).touch()
        crash()
    return "done"


def eat() -> int:
    return len(bytearray(2 << 30))


def fail() -> None:
    raise RuntimeError("a fault of the function, not of the pool")


@asynccontextmanager
async def running(timeout: float) -> AsyncIterator[Cpu]:  # noqa: ASYNC109 - that of each task
    processes = Cpu(2, timeout=timeout, memory=1 << 30)
    await processes.start()
    yield processes
    await asyncio.to_thread(processes.close)


@pytest.fixture
async def cpu() -> AsyncIterator[Cpu]:
    async with running(timeout=HANG_SECONDS) as processes:
        yield processes


async def test_a_crash_fails_alone(cpu: Cpu) -> None:
    crashed, *others = await asyncio.gather(
        cpu.run(crash), *(cpu.run(pid_after, 0.05) for _ in range(20)), return_exceptions=True
    )
    assert isinstance(crashed, ContentError)
    assert "crashed its process" in str(crashed)
    assert all(isinstance(pid, int) for pid in others)


async def test_a_process_that_dies_once_costs_no_file(cpu: Cpu, tmp_path: Path) -> None:
    assert await cpu.run(crash_once, str(tmp_path / "marker")) == "done"


async def test_a_task_that_hangs_is_stopped() -> None:
    async with running(timeout=1.0) as cpu:
        for _ in range(3):  # more than there are processes
            with pytest.raises(ContentError, match="longer than 1 s"):
                await cpu.run(pid_after, 10 * HANG_SECONDS)


async def test_a_task_that_eats_memory_is_stopped(cpu: Cpu) -> None:
    with pytest.raises(ContentError, match="more memory than 1024 MiB"):
        await cpu.run(eat)
    assert await cpu.run(pid_after, 0)


async def test_idle_processes_that_are_killed_are_replaced(cpu: Cpu) -> None:
    for _ in range(2):
        for pid in set(await asyncio.gather(*(cpu.run(pid_after, 0.1) for _ in range(4)))):
            os.kill(pid, signal.SIGKILL)
        assert len(await asyncio.gather(*(cpu.run(pid_after, 0.1) for _ in range(4)))) == 4


async def test_processes_that_are_killed_at_any_moment_leave_no_task_behind(cpu: Cpu) -> None:
    """One may die between taking a task and saying so, or while others wait for what it holds."""

    own = psutil.Process()

    async def kill() -> None:
        while True:
            for process in own.children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    if process.nice() > own.nice():  # not the server that forks them
                        process.kill()
            await asyncio.sleep(0.02)

    killing = asyncio.create_task(kill())
    tasks = [asyncio.create_task(cpu.run(pid_after, 0.002)) for _ in range(400)]
    await asyncio.sleep(2)
    killing.cancel()
    ended = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), HANG_SECONDS)
    assert {type(one) for one in ended} <= {int, ContentError}
    assert await cpu.run(pid_after, 0)


async def test_what_cannot_be_sent_costs_no_process(cpu: Cpu) -> None:
    before = len(await asyncio.gather(*(cpu.run(pid_after, 0.1) for _ in range(2))))
    for _ in range(3):
        with pytest.raises(Exception, match="pickle"):
            await cpu.run(lambda: None)
    await cpu.run(pid_after, 0)
    own = psutil.Process()
    assert len([one for one in own.children(recursive=True) if one.nice() > own.nice()]) <= before


async def test_an_error_of_the_function_comes_through(cpu: Cpu) -> None:
    with pytest.raises(RuntimeError, match="not of the pool"):
        await cpu.run(fail)


async def test_what_runs_is_finished_and_the_rest_is_not_begun_when_the_worker_stops(cpu: Cpu) -> None:
    tasks = [asyncio.create_task(cpu.run(pid_after, 0.5)) for _ in range(20)]
    while not any(scheduled.running() for scheduled in cpu._scheduled):
        await asyncio.sleep(0.01)
    cpu.drain()
    ended = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), HANG_SECONDS)
    assert {type(one) for one in ended} == {int, DrainingError}
    assert sum(isinstance(one, int) for one in ended) <= 4
    # What is not done comes after what is: acks are given in order.
    assert [type(one) for one in ended] == sorted((type(one) for one in ended), key=lambda kind: kind is DrainingError)
    with pytest.raises(DrainingError):
        await cpu.run(pid_after, 0)


def churn() -> int:
    """Leave a heap with much that is free below something that is not, as a decoder does."""
    size = 16 << 20
    del [bytearray(size)][:]  # from now on blocks of this size come from the heap
    blocks = [bytearray(size) for _ in range(40)]
    kept.append(bytearray(1 << 20))
    return len(blocks)


kept: list[bytearray] = []


def resident() -> int:
    return psutil.Process().memory_info().rss


async def test_a_process_gives_back_what_a_picture_took() -> None:
    processes = Cpu(1, timeout=HANG_SECONDS, memory=2 << 30)
    before = await processes.run(resident)
    for _ in range(3):
        assert await processes.run(churn) == 40
    assert await processes.run(resident) < before + (100 << 20)
    await asyncio.to_thread(processes.close)


async def test_small_calls_go_together_and_each_has_its_own_answer(cpu: Cpu) -> None:
    calls = [cpu.run_small(divmod, number, 7) for number in range(100)]
    assert await asyncio.gather(*calls) == [divmod(number, 7) for number in range(100)]


async def test_a_small_call_that_fails_crashes_or_takes_too_much_fails_alone() -> None:
    async with running(timeout=4.0) as cpu:
        bad = [cpu.run_small(fail), cpu.run_small(crash), cpu.run_small(eat), cpu.run_small(pid_after, 60.0)]
        # Behind two that keep both processes busy, all of these are one task.
        busy = [cpu.run_small(pid_after, 0.2) for _ in range(2)]
        good = [cpu.run_small(divmod, number, 7) for number in range(8)]
        answers = await asyncio.gather(*busy, *bad, *good, return_exceptions=True)
    failed, crashed, ate, hung = answers[2:6]
    assert (type(failed), str(failed)) == (RuntimeError, "a fault of the function, not of the pool")
    assert [type(error) for error in (crashed, ate, hung)] == [ContentError] * 3
    assert answers[6:] == [divmod(number, 7) for number in range(8)]


async def test_a_small_call_that_was_not_begun_is_left_by_drain(cpu: Cpu) -> None:
    calls = [asyncio.ensure_future(cpu.run_small(pid_after, 0.3)) for _ in range(40)]
    await asyncio.sleep(0.1)
    cpu.drain()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(answer) for answer in answers} == {int, DrainingError}
