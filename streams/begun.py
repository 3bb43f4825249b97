"""A coroutine that was begun by hand, for somebody else to go on with."""

from collections.abc import Coroutine, Generator
from functools import partial
from types import coroutine
from typing import Any


async def rest(begun: Coroutine[Any, Any, Any], waits_for: Any) -> Any:
    """Return what a coroutine that has begun returns; it waits for this."""
    return await _go_on(begun, waits_for)


@coroutine
def _go_on(begun: Coroutine[Any, Any, Any], waits_for: Any) -> Generator[Any, Any, Any]:
    while True:
        try:
            answer = yield waits_for
        except BaseException as error:
            step = partial(begun.throw, error)
        else:
            step = partial(begun.send, answer)
        try:
            waits_for = step()
        except StopIteration as end:
            return end.value
