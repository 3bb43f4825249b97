"""How a message is handed to its agent: Faust makes four tasks for each."""

import asyncio
from typing import Any

from faust.transport.drivers.aiokafka import Consumer
from mode.services import WaitResults

from streams.begun import rest

# Then the agents take them: their queues fill up otherwise.
HANDED_ON_AT_ONCE = 32


class HandingConsumer(Consumer):
    """Faust's consumer, which makes no task where the agent's queue takes a message at once."""

    _handed_on = 0

    async def wait_first(self, *waits: Any, timeout: Any = None) -> Any:  # noqa: ASYNC109 - Faust's
        """Wait for the first of these, as Faust does, which makes four tasks for it.

        It asks so for each message whether the agent's queue has taken it, or the flow has stopped. Nearly always the
        queue takes it at once: then there is nothing to wait for.
        """
        first, *others = waits
        if not asyncio.iscoroutine(first):
            return await super().wait_first(*waits, timeout=timeout)
        try:
            waits_for = first.send(None)
        except StopIteration as end:
            for other in others:
                other.close()
            self._handed_on += 1
            if self._handed_on % HANDED_ON_AT_ONCE == 0:
                await asyncio.sleep(0)
            return WaitResults([first], [end.value], stopped=False)
        return await super().wait_first(rest(first, waits_for), *others, timeout=timeout)
