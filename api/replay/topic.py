"""Publishes what a topic holds once more, marked as a replay. Effects are idempotent, so it changes no count.

It reads up to the topic's end at the start. A collection that the messages name and that is gone is created first.
"""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, get_args

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from api.jobs.publisher import Outgoing, Publisher
from api.jobs.succession import Succession
from api.schemas.replay import ReplayBody, Run
from api.view.view import JobView
from core.errors import InvalidMessageError, KafkaUnavailableError, RequestError
from core.settings import Settings
from gateways.kafka.connection import client_options
from gateways.kafka.reader import KafkaRecord, Reader, all_partitions
from gateways.targets import Targets
from topics import bundle, image_outcome, job_event
from topics.db_write import DBWrite
from topics.erasure import Erase
from topics.files import FileOfJob
from topics.forgotten import FORGOTTEN
from topics.job_event import JOB_EVENT
from topics.raw_path import RawPath
from topics.record import Headers
from topics.replay import REPLAY_OF, Place, replay_headers
from topics.topology import INPUTS

REFUSED = {
    "job-status": "job-status holds documents that follow from job-event: replay that.",
    "dead-letter": "dead-letter holds messages of other topics: use `darkroom dead-letters replay`.",
}
MESSAGES_AT_ONCE = 200
# Facts of a moment, which would be told as if they were true now, and sums, which would count twice.
_MOMENTS = (
    job_event.Step,
    job_event.Moved,
    job_event.MLSent,
    job_event.Waiting,
    job_event.Command,
    job_event.Scanning,
    job_event.WalkedAgain,
    job_event.Forget,
    image_outcome.Forgotten,
    image_outcome.MoreWaiters,
    image_outcome.Released,
    image_outcome.JobCancelled,
    image_outcome.ClaimsCleared,
    *get_args(image_outcome.OfErasures),
    Erase,
)
INVALID = "do not validate (they are in dead-letter)"
# They end claims, and a claim may have been made anew since.
_ENDS = (image_outcome.FailedContent, image_outcome.FailedFile)


@dataclass(frozen=True, slots=True)
class _Found:
    """A file of a message, or a whole one, and what it says; `left_out`: why it is not published.

    `alone`: the message that a file of a bundle would be by itself, so that its replay brings no neighbours along.
    """

    message: KafkaRecord
    record: Any = None
    left_out: str | None = None
    alone: Outgoing | None = None

    @property
    def again(self) -> Outgoing:
        """The message to be published."""
        message = self.message
        return self.alone or Outgoing(message.topic, message.key, message.value, list(message.headers))


class TopicReplayer:
    """Replays topics."""

    def __init__(self, settings: Settings, view: JobView, publisher: Publisher, targets: Targets) -> None:
        self._settings = settings
        self._view = view
        self._publisher = publisher
        self._targets = targets

    def check(self, order: ReplayBody) -> None:
        """Raise RequestError(422) for what cannot be replayed."""
        if order.topic not in INPUTS:
            names = ", ".join(INPUTS)
            raise RequestError(
                REFUSED.get(order.topic, f"There is no topic {order.topic[:80]!r} to be replayed; these are: {names}."),
                422,
            )
        for partition in order.from_offsets:
            if partition >= self._settings.kafka_partitions:
                raise RequestError(
                    f"There is no partition {partition}: the topics have {self._settings.kafka_partitions}.", 422
                )

    async def run(self, order: ReplayBody, progress: Run) -> None:
        """Do it. Raises KafkaUnavailableError, QdrantUnavailableError, MLUnavailableError."""
        try:
            numbers = order.from_offsets or range(self._settings.kafka_partitions)
            parts = [TopicPartition(order.topic, number) for number in numbers]
            async with Reader(client_options(self._settings), parts) as reader:
                await self._read(reader, order, progress)
        except KafkaError as error:
            raise KafkaUnavailableError(
                f"Kafka cannot be read ({type(error).__name__}: {error}). Try again."
            ) from error

    async def _read(self, reader: Reader, order: ReplayBody, progress: Run) -> None:
        ranges = await _ranges(reader, order)
        progress.total = sum(len(offsets) for offsets in ranges.values())
        reader.go_to({part: offsets.start for part, offsets in ranges.items()})
        ends = {part: offsets.stop for part, offsets in ranges.items()}
        refused: dict[tuple[str, str | None], str | None] = {}
        succession = Succession(self._view, self._publisher)
        forgotten = await self._forgotten()
        async for messages in reader.up_to(ends, MESSAGES_AT_ONCE):
            found = await asyncio.to_thread(_judge_all, order, messages, ranges, forgotten)
            taken = []
            for one in found:
                reason = await self._why_left_out(one, order, refused, succession)
                if reason is not None:
                    progress.leave_out(reason)
                else:
                    taken.append(one.again if order.dry_run else await self._again(one, succession))
            if not order.dry_run:
                await self._publisher.publish_all(taken)
            progress.read += len(messages)
            progress.published += len(taken)
            progress.jobs = succession.jobs
        await succession.close()

    async def _forgotten(self) -> dict[str, int]:
        """Return the collections that were forgotten, and when: in milliseconds, by Kafka's time of its record."""
        parts = all_partitions(FORGOTTEN.name, self._settings.kafka_partitions)
        found: dict[str, int] = {}
        async with Reader(client_options(self._settings), parts) as reader:
            begins, ends = await reader.begins(), await reader.ends()
            reader.go_to(begins)
            async for messages in reader.up_to(ends):
                for message in messages:
                    with suppress(InvalidMessageError):
                        found[FORGOTTEN.decode(message.value or b"").collection] = message.timestamp
        return found

    async def _why_left_out(
        self,
        found: _Found,
        order: ReplayBody,
        refused: dict[tuple[str, str | None], str | None],
        succession: Succession,
    ) -> str | None:
        if found.left_out is not None:
            return found.left_out
        if order.topic == JOB_EVENT.name:
            is_forgotten = await succession.is_forgotten(found.record.job_id)
            return "events of jobs that were forgotten" if is_forgotten else None
        if order.dry_run or not isinstance(found.record, FileOfJob):
            return None
        return await self._without_collection(found.record, refused)

    async def _again(self, found: _Found, succession: Succession) -> Outgoing:
        message = await succession.hand_over(found.again, getattr(found.record, "job_id", ""))
        place = Place(found.message.topic, found.message.partition, found.message.offset)
        attempt = Headers.decode(message.headers).attempt
        return replace(message, headers=replay_headers(message.headers, place, attempt, message.topic))

    async def _without_collection(
        self, file: FileOfJob, refused: dict[tuple[str, str | None], str | None]
    ) -> str | None:
        """Create the file's collection if it is gone; return why not, where it cannot be."""
        if isinstance(file, image_outcome.Embedded | image_outcome.Stored):
            return None  # for the cache, not for the collection
        key = (file.collection, file.model_id)
        if key not in refused:
            dimension = len(file.content.vector) if isinstance(file, DBWrite) else None
            try:
                target = await self._targets.ensure(file.collection, file.model_id, dimension)
            except RequestError as error:
                refused[key] = str(error)
            else:
                is_former = file.model_id not in (None, target.model_id) and not isinstance(file, RawPath)
                refused[key] = (
                    f"files of {file.model_id}, a model that {file.collection} is of no more" if is_former else None
                )
        return refused[key]


async def _ranges(reader: Reader, order: ReplayBody) -> dict[TopicPartition, range]:
    """Return the offsets to be read, by partition; those without any are left out."""
    begins, ends = await reader.begins(), await reader.ends()
    if order.from_offsets:
        begins = {part: max(begin, order.from_offsets[part.partition]) for part, begin in begins.items()}
    elif order.since is not None:
        milliseconds = max(0, int(order.since.timestamp() * 1000))
        later = await reader.at_times(dict.fromkeys(ends, milliseconds))
        begins = {part: ends[part] if found is None else found for part, found in later.items()}
    return {part: range(begins[part], end) for part, end in ends.items() if begins[part] < end}


def _judge_all(
    order: ReplayBody,
    messages: list[KafkaRecord],
    ranges: dict[TopicPartition, range],
    forgotten: dict[str, int],
) -> list[_Found]:
    """Return the messages that the order is about. Decoding takes a while: in a thread."""
    found = (_judge(order, one, ranges, forgotten) for message in messages for one in _files(order, message))
    return [one for one in found if one is not None]


def _files(order: ReplayBody, message: KafkaRecord) -> Iterator[_Found]:
    """Yield what a message holds: its files, each as a message of its own."""
    topic = INPUTS[order.topic]
    if message.value is None:
        yield _Found(message, left_out="end markers")
        return
    try:
        entries = [*bundle.decode(topic, message.value, message.headers)]
    except InvalidMessageError:
        yield _Found(message, left_out=INVALID)
        return
    for entry in entries:
        if entry.refused is not None:
            yield _Found(message, left_out=INVALID)
        elif len(entries) == 1:
            yield _Found(message, entry.record)
        else:
            key, value = bundle.key_of(topic, entry.record), topic.encode(entry.record)
            alone = Outgoing(message.topic, key, value, topic.headers(entry.record, entry.headers))
            yield _Found(message, entry.record, alone=alone)


def _judge(
    order: ReplayBody, found: _Found, ranges: dict[TopicPartition, range], forgotten: dict[str, int]
) -> _Found | None:
    message, record = found.message, found.record
    if found.left_out is not None:
        of_job = None if found.left_out == INVALID else Headers.decode(message.headers).job_id
        return found if order.job_id in {None, of_job} else None
    if order.job_id not in {None, getattr(record, "job_id", "")}:
        return None
    place = Place.decode(dict(message.headers).get(REPLAY_OF))
    if place and place.topic == order.topic and place.offset in ranges.get(TopicPartition(*_part(place)), ()):
        return _Found(message, left_out="copies that an earlier replay made")
    if isinstance(record, _MOMENTS):
        return _Found(message, left_out="sums and facts of a moment")
    if message.timestamp <= forgotten.get(getattr(record, "collection", ""), -1):
        return _Found(message, left_out="messages about a collection that was forgotten")
    if isinstance(record, _ENDS):
        return _Found(message, left_out="failures (replay their dead letters)")
    return found


def _part(place: Place) -> tuple[str, int]:
    return place.topic, place.partition
