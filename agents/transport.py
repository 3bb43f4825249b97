"""Faust's Kafka driver with two mends, without which a rebalance loses events or ends the process (Faust 0.15.3).

Faust resumes the partitions of a stream first and seeks to the committed offsets then, which takes a while.
What it fetches in between is dropped or handed on; the next event leaves a gap to the offset that it sought,
and Faust takes the events in a gap as acked. So here the partitions stay paused until the seek is done.

A commit that is under way when a rebalance takes all of its partitions is left with none; aiokafka refuses an
empty commit, and Faust crashes the app for it. Such a commit has nothing to say.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from faust.transport.drivers import aiokafka as driver
from faust.types import TP, AppT


class _ConsumerThread(driver.AIOKafkaConsumerThread):
    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        if offsets.keys().isdisjoint(self.assignment()):
            return False
        committed: bool = await super()._commit(offsets)
        return committed


class _Consumer(driver.Consumer):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._held: set[TP] = set()  # resumed by Faust, but the flow is not

    def _new_consumer_thread(self) -> _ConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        # Faust stops the flow when partitions are revoked; at the first assignment none were.
        self.stop_flow()
        self._held.clear()
        await super().on_partitions_assigned(assigned, generation_id)

    def pause_partitions(self, tps: Iterable[TP]) -> None:
        self._held.difference_update(tps)
        super().pause_partitions(tps)

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Resume changelogs at once, streams together with the flow: Faust does that after the seek."""
        changelogs = {tp for tp in tps if self._is_changelog_tp(tp)}
        self._held.update(set(tps) - changelogs)
        super().resume_partitions(changelogs)

    def resume_flow(self) -> None:
        super().resume_partitions(self._held)
        self._held.clear()
        super().resume_flow()


class _Transport(driver.Transport):
    Consumer = _Consumer


def mend(app: AppT) -> None:
    """Have an app that is not started yet use the mended driver."""
    app.transport = _Transport(app.conf.broker_consumer, app)
