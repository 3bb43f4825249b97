"""An event loop whose time passes as soon as nothing is left to do, and whose threads are none."""

import asyncio
import random
import selectors
from collections.abc import Callable
from typing import Any


class IdleError(AssertionError):
    """Nothing will ever happen any more."""


class _Selector(selectors.SelectSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise IdleError("Nothing is left to do, and what was waited for has not come.")
        self.now += timeout
        return super().select(0)


class Loop(asyncio.SelectorEventLoop):
    """`chance` decides how long a thread takes."""

    def __init__(self, chance: random.Random) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)
        self._chance = chance

    def time(self) -> float:
        return self._virtual.now

    def run_in_executor(  # type: ignore[override]  # whatever it returns
        self, _executor: object, func: Callable[..., Any], *args: Any
    ) -> "asyncio.Future[Any]":
        """Do it here, in a moment."""
        done: asyncio.Future[Any] = self.create_future()

        def work() -> None:
            if done.cancelled():
                return
            try:
                done.set_result(func(*args))
            except Exception as error:
                done.set_exception(error)

        self.call_later(self._chance.expovariate(500), work)
        return done
