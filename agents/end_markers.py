"""How prepare and embed pass end markers on to the stage behind them."""

from agents.stage import StageApp
from streams.messages import Event
from streams.window import Deliveries, Window
from topics.sentinel import read_sentinel


class EndMarkers:
    """Passes end markers on to `topic`: of several of a job that wait behind each other, the last one alone.

    Each partition of raw-path sends one to every partition, but all they say is that there is nothing to wait for.
    """

    def __init__(self, stage: StageApp, topic: str) -> None:
        self._stage = stage
        self._topic = topic
        # The offset of the last one that was taken, by partition and job.
        self._last: dict[tuple[int, bytes | None], int] = {}

    async def take(self, event: Event, window: Window) -> None:
        """Take an end marker, to be passed on when all before it is done."""
        read_sentinel(event.message.headers)
        self._last[event.message.partition, event.message.key] = event.message.offset
        await window.add_in_order(event, lambda: self._pass_on(event))

    async def _pass_on(self, event: Event) -> Deliveries:
        partition, key = event.message.partition, event.message.key
        if self._last.get((partition, key)) == event.message.offset:
            del self._last[partition, key]
            return [await self._stage.pass_on(event, self._topic)]
        return []
