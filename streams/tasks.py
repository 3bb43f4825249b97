"""How to start a task that belongs to no event, and how to wait for many deliveries."""

import asyncio
import contextvars
from collections.abc import Awaitable, Coroutine, Iterable
from typing import Any, TypeVar

from faust.streams import _current_event

T = TypeVar("T")


def start(work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
    """Start a task that can write no rows: a task made in the iteration would inherit its event.

    After a revoke such a write would reopen a RocksDB partition that belongs to another worker.
    """
    context = contextvars.copy_context()
    context.run(_current_event.set, None)
    return asyncio.get_running_loop().create_task(work, context=context)


async def delivered(deliveries: Iterable[Awaitable[object]]) -> None:
    """Wait for all deliveries; a coroutine, as `Window.add` takes work."""
    await asyncio.gather(*deliveries)
