"""How a stage gives up a message, a file of one, or what nobody can read: as a dead letter."""

import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from aiokafka import TopicPartition
from faust import Event

from core import metrics
from core.errors import DarkroomError, RejectedError
from gateways.kafka.batches import Unreadable
from rules.wording import plural
from streams.item import Item
from streams.messages import header_list
from streams.sending import Sending
from topics import bundle
from topics.dead_letter import DEAD_LETTER, UNREADABLE, DeadLetter, Failure
from topics.limits import clipped
from topics.record import HeaderList, Headers, Topic

log = structlog.get_logger()


class Rejecting(Sending):
    """What a stage gives up."""

    async def reject(self, event: Event, error: Exception) -> None:
        """Move a message that cannot be taken to `dead-letter`, its bytes untouched. It counts in no job."""
        await self.reject_entry(event, event.message.key, event.value, error, header_list(event))

    async def reject_file(self, topic: Topic[Any], item: Item[Any], error: Exception) -> None:
        """Move one file of a message, which cannot be taken, to `dead-letter`. It counts in no job."""
        if item.of == 1:
            await self.reject(item.event, error)
            return
        key = bundle.key_of(topic, item.record)
        await self.reject_entry(item.event, key, topic.encode(item.record), error, item.headers.encode())

    async def reject_entry(
        self,
        event: Event,
        key: bytes | None,
        value: bytes | None,
        error: Exception,
        headers: HeaderList,
        *,
        index: int = 0,
    ) -> None:
        """Move what stands at an index of a message, and cannot be taken, to `dead-letter`, as it would be alone."""
        topic, offset = event.message.topic, event.message.offset
        job_id = Headers.decode(headers).job_id
        log.warning("rejected", topic=topic, offset=offset, job_id=job_id, stage=self.name, reason=explain(error))
        await self.dead_letter(event, key, value, error, headers, restart_topic=topic, index=index)

    async def put_aside(self, part: TopicPartition, left_out: Unreadable) -> None:
        """Note in `dead-letter` messages that no consumer can read, and wait until that is delivered."""
        metrics.DEAD_LETTERS.labels(self.name, UNREADABLE).inc()
        count = left_out.last - left_out.first + 1
        failure = Failure(
            topic=part.topic,
            partition=part.partition,
            offset=left_out.first,
            stage=self.name,
            error_class=UNREADABLE,
            message=f"{plural(count, 'message')} of {part.topic}, partition {part.partition}, offsets "
            f"{left_out.first} to {left_out.last}, cannot be read: {left_out.reason}. The stage went on behind them; "
            "whoever sent them sends them again.",
            stack_trace="",
            restart_topic="",
        )
        letter = DeadLetter.about(None, b"", Headers().encode(), failure)
        await (await self.send_raw(DEAD_LETTER, letter.key, letter.value, letter.headers))

    async def dead_letter(
        self,
        event: Event,
        key: bytes | None,
        value: bytes | None,
        error: Exception,
        headers: HeaderList,
        *,
        restart_topic: str,
        index: int = 0,
    ) -> None:
        """Publish a dead letter and wait until it is delivered."""
        metrics.DEAD_LETTERS.labels(self.name, type(error).__name__).inc()
        failure = Failure(
            topic=event.message.topic,
            partition=event.message.partition,
            offset=event.message.offset,
            stage=self.name,
            error_class=type(error).__name__,
            message=str(error),
            stack_trace="".join(traceback.format_exception(error)),
            restart_topic=restart_topic,
            index=index,
        )
        letter = DeadLetter.about(key, value, headers, failure)
        await (await self.send_raw(DEAD_LETTER, letter.key, letter.value, letter.headers))


async def or_reject(work: Awaitable[None], reject: Callable[[Exception], Awaitable[None]]) -> None:
    """Do what a message asks for; where it proves only then to ask for what cannot be, give it up by `reject`."""
    try:
        await work
    except (RejectedError, ValueError, ArithmeticError) as error:
        await reject(error)


def explain(error: Exception) -> str:
    """Return the reason that a person reads: our own errors' message, else also the kind of error."""
    reason = str(error) if isinstance(error, DarkroomError) else f"{type(error).__name__}: {error}"
    return clipped(reason.encode("utf-8", "backslashreplace").decode())
