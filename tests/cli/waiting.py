"""Waiting for a condition, with a deadline."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from inspect import isawaitable

from tests.deadlines import HANG_SECONDS


async def until(is_true: Callable[[], object | Awaitable[object]], seconds: float = HANG_SECONDS) -> None:
    """Ask, or await, until the answer is true. Fails after the deadline."""
    deadline = time.monotonic() + seconds
    while not (await answer if isawaitable(answer := is_true()) else answer):
        assert time.monotonic() < deadline, "what was waited for did not happen"
        await asyncio.sleep(0.02)
