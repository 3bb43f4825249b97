"""What every stage has: a Faust app, hence a consumer group, and the ways to take messages, send, and give up."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar

import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from faust import Event

from core import metrics, tracing
from core.errors import DarkroomError, DrainingError, FatalError, PartitionRevokedError
from core.settings import Settings
from core.settings import Stage as Name
from gateways.kafka.batches import Unreadable
from gateways.kafka.connection import client_options
from gateways.kafka.reader import holds_message
from streams.app import ROCKSDB_OPTIONS, new_app
from streams.batching import Batcher
from streams.item import Item
from streams.messages import check_size, header_list
from streams.outbox import Outbox
from streams.rows import Rows
from streams.window import MAX_BYTES, Share, Window
from topics import bundle
from topics.bundle import Alike, Bundle, Own, take_apart
from topics.dead_letter import DEAD_LETTER, UNREADABLE, DeadLetter, Failure
from topics.files import FileOfJob
from topics.limits import clipped
from topics.record import HeaderList, Headers, Topic
from topics.topology import TOPOLOGY, topics_read, topics_written

R = TypeVar("R")
T = TypeVar("T")

# Of one message of a program; ours have no more than bundle.MAX_FILES.
MOST_LOOKED_AT = 2000

Handler = Callable[[Event, Window], Awaitable[None]]
TakeKnown = Callable[[Event, Bundle[Any], Window], Awaitable[Iterable[int]]]
Outgoing = tuple[bytes, FileOfJob, Headers]
"""A file with the key of its message and what its headers say."""

log = structlog.get_logger()


class Stage:
    """One consumer group: what it takes, and how it sends. `stop`: ends the worker."""

    def __init__(
        self,
        name: Name,
        settings: Settings,
        producer: AIOKafkaProducer,
        stop: Callable[[BaseException], None],
        datadir: Path,
    ) -> None:
        self.name: Name = name
        self.settings = settings
        self._stop = stop
        self._producer = producer
        put_back = (topic.name for topic in TOPOLOGY[name].reads if topic.has_bundles)
        self._writes = topics_written(name).union(put_back)
        self.app = new_app(name, settings, datadir, producer, self.put_aside)
        self.outbox = Outbox(self.send_raw, settings.kafka_partitions, settings.kafka_files_per_message, stop)
        self._windows: list[Window] = []
        self._batchers: list[Batcher[Any]] = []
        self.is_draining = False

    def consume(
        self,
        topic: str,
        handle: Handler,
        *,
        window: int,
        window_bytes: int = MAX_BYTES,
        commit_at_once: bool = False,
    ) -> None:
        """Have `handle` take each event of a topic, and put its work into a window of so many and so many bytes.

        Events come as raw bytes: one that Faust cannot decode would crash its agent (robinhood/faust #143).
        No exception may leave an agent either, as Faust would go on behind the event (faust-streaming #189):
        what `handle` cannot take is dead-lettered. Raises FatalError for a topic that the topology does not name.
        """
        if topic not in topics_read(self.name):
            raise FatalError(f"Stage {self.name} reads {topic}, which topics/topology.py does not say.")
        source = self.app.topic(
            topic, key_serializer="raw", value_serializer="raw", partitions=self.settings.kafka_partitions
        )

        # Alerts ask how much these grow: what is not there before it happens does not grow.
        metrics.UNREADABLE.labels(topic)
        for counter in (metrics.DELETED_UNREAD, metrics.READ_ANEW):
            counter.labels(self.app.conf.id, topic)

        @self.app.agent(source, name=f"{self.name}-{topic}")
        async def agent(stream: Any) -> None:
            open_window = self._new_window(window, window_bytes, commit_at_once=commit_at_once)
            async for event in stream.noack().events():
                with open_window.taking():
                    await self._take(event, handle, open_window)

    def consume_files(
        self,
        topic: Topic[Any],
        take: Callable[[list[Item[Any]], Window], Awaitable[None]],
        *,
        take_known: TakeKnown | None = None,
        end_marker: Handler | None = None,
        **bounds: Any,
    ) -> None:
        """Have `take` take the files of each message of a topic, and `end_marker` those without a value.

        `take_known` takes of a bundle what costs no more than a look, as JSON has it, and returns the places of all
        other files. What is not valid is dead-lettered by itself. A message is acked when all its files are done;
        their work is added to the window as shares.
        """

        async def handle(event: Event, window: Window) -> None:
            if event.value is None and end_marker is not None:
                await end_marker(event, window)
                return
            files = bundle.opened(topic, event.value or b"", event.message.headers)
            if files is None:
                record, headers = topic.decode(event.value or b""), Headers.decode(event.message.headers)
                await take([self.item(event, record, headers)], window)
            else:
                of = len(files.files)
                places: Iterable[int] = range(of)
                # Each file has a span of its own. A look at very many would hold up the event loop.
                if take_known is not None and of <= MOST_LOOKED_AT and not tracing.is_on():
                    places = await take_known(event, files, window)
                items: list[Item[Any]] = []
                for entry in map(files.entry, places):
                    if len(items) == bundle.MAX_FILES:
                        await take(items, window)
                        items = []
                    if entry.refused is None:
                        items.append(self.item(event, entry.record, entry.headers, entry.place, of))
                    else:
                        refused = entry.refused
                        key, value, error = refused.key, refused.value, refused.error
                        refusal = self._reject(event, key, value, error, entry.headers.encode(), place=entry.place)
                        await window.add(event, refusal, share=Share(1, of))
                if items:
                    await take(items, window)
            await window.end(event)

        self.consume(topic.name, handle, **bounds)

    async def or_put_back(self, topic: Topic[Any], item: Item[Any], work: Coroutine[Any, Any, T]) -> T | None:
        """Do the work on a file; where the worker stops before it is begun, send the file again, to be taken later.

        So its message can be acked, others of which may be done: these would all be done again, up to ML.
        """
        try:
            return await work
        except DrainingError:
            if item.of == 1:
                raise
            key = bundle.key_of(topic, item.record)
            await self.send_file(topic, key, item.record, item.headers)
            return None

    def item(self, event: Event, record: R, headers: Headers, place: int = 0, of: int = 1) -> Item[R]:
        """Return a file of a message as it is taken; its trace begins."""
        named = {"job_id": headers.job_id, "file_id": headers.file_id, "traceparent": headers.traceparent}
        span, traceparent = tracing.process(event.message, self.app.conf.id, named)
        return Item(event, record, replace(headers, traceparent=traceparent), place, of, span)

    def consume_each(
        self,
        topic: Topic[Any],
        take: Callable[[Item[Any], Window], Awaitable[None]],
        *,
        end_marker: Handler | None = None,
        **bounds: Any,
    ) -> None:
        """Have `take` take the files of each message one after the other; what it cannot take is dead-lettered."""

        async def take_all(items: list[Item[Any]], window: Window) -> None:
            for item in items:
                try:
                    await take(item, window)
                except (PartitionRevokedError, DrainingError, FatalError):
                    raise
                except Exception as error:
                    await window.add(item.event, self.reject_file(topic, item, error), share=item.share())

        self.consume_files(topic, take_all, end_marker=end_marker, **bounds)

    async def _take(self, event: Event, handle: Handler, window: Window) -> None:
        try:
            check_size(event)
            await handle(event, window)
        except PartitionRevokedError:
            return  # it comes again, here or elsewhere
        except DrainingError as error:
            await window.add(event, _leave(error))
        except FatalError as error:
            self._stop(error)
        except Exception as error:
            await window.add(event, self.reject(event, error))

    def rows(self) -> Rows:
        """Return this stage's table. Raises FatalError where the topology names none."""
        table = TOPOLOGY[self.name].table
        if table is None:
            raise FatalError(f"Stage {self.name} has a table, which topics/topology.py does not say.")
        kafka = client_options(self.settings)
        return Rows(
            self.app.Table(
                table,
                partitions=self.settings.kafka_partitions,
                key_type=bytes,
                value_type=bytes,
                options=dict(ROCKSDB_OPTIONS),
            ),
            self._producer,
            lambda tp, first, last: holds_message(kafka, TopicPartition(*tp), first, last),
        )

    def _new_window(self, size: int, max_bytes: int, *, commit_at_once: bool) -> Window:
        window = Window(
            self.app,
            size=size,
            max_bytes=max_bytes,
            on_fatal=self._stop,
            on_full=self.flush,
            commit_at_once=commit_at_once,
            on_done=self._done,
        )
        self._windows.append(window)
        return window

    def flush(self) -> None:
        """Let what waits for its batch or bundle to fill go as it is."""
        self.outbox.flush()
        for batcher in self._batchers:
            batcher.flush()

    def _done(self, event: Event, seconds: float) -> None:
        metrics.PROCESSED.labels(self.app.conf.id, event.message.topic).observe(seconds)
        tracing.done(event.message)

    def batcher(self, handle: Callable[[list[T]], Awaitable[Awaitable[Any] | None]], **bounds: Any) -> Batcher[T]:
        """Return a batcher that begins no batch while the worker stops; see Batcher for its bounds."""
        batcher = Batcher(self.name, handle, on_fatal=self._stop, **bounds)
        self._batchers.append(batcher)
        return batcher

    async def drain(self) -> None:
        """Take no further events, begin nothing, and wait until all that was begun is acked and committed."""
        self.is_draining = True
        self.app.consumer.stop_flow()
        self.app.flow_control.suspend()
        for batcher in self._batchers:
            batcher.drain()
        for window in self._windows:
            await window.drained()
        await self.outbox.drained()
        await self.reported()
        await self.app.consumer.commit()

    async def reported(self) -> None:
        """Wait until what is said about the work is delivered."""

    def close(self) -> None:
        """Give up what is in work."""
        for window in self._windows:
            window.close()

    async def send(self, topic: Topic[R], key: str | bytes, record: R, headers: Headers) -> Awaitable[object]:
        """Send a record; await the result to know that it is delivered."""
        return await self.send_raw(topic.name, _bytes(key), topic.encode(record), topic.headers(record, headers))

    async def send_file(self, topic: Topic[Any], key: str | bytes, record: FileOfJob, headers: Headers) -> None:
        """Send a file, maybe in one message with others, and wait until it is delivered."""
        await self.send_files(topic, [(_bytes(key), record, headers)])

    async def send_files(self, topic: Topic[Any], files: Iterable[Outgoing]) -> list[int]:
        """Send files with their keys, and wait until they are delivered; return the partition of each."""
        partitions: list[int] = []
        deliveries: set[asyncio.Future[None]] = set()
        for alike, some in groupby((take_apart(*file) for file in files), itemgetter(0)):
            at, delivered = self.outbox.send(topic, alike, [own for _, own in some])
            partitions += at
            deliveries |= delivered
        await _delivered(deliveries)
        return partitions

    async def send_alike(self, topic: Topic[Any], alike: Alike, files: Sequence[Own]) -> list[int]:
        """Send files that share the same, and wait until they are delivered; return the partition of each."""
        partitions, deliveries = self.outbox.send(topic, alike, files)
        await _delivered(deliveries)
        return partitions

    async def send_raw(
        self, topic: str, key: bytes | None, value: bytes | None, headers: HeaderList, partition: int | None = None
    ) -> Awaitable[object]:
        """Send bytes; await the result to know that they are delivered.

        Raises FatalError for a topic that the topology does not name.
        """
        if topic not in self._writes:
            raise FatalError(f"Stage {self.name} writes {topic}, which topics/topology.py does not say.")
        metrics.SENT.labels(topic).inc()
        delivery: Awaitable[object] = await self.app.producer.send(topic, key, value, partition, None, headers)
        return delivery

    async def pass_on(self, event: Event, topic: str) -> Awaitable[object]:
        """Send a tombstone on to the same partition of the next topic; await the result for its delivery."""
        return await self.send_raw(topic, event.message.key, None, header_list(event), event.message.partition)

    async def reject(self, event: Event, error: Exception) -> None:
        """Move a message that cannot be taken to `dead-letter`, its bytes untouched. It counts in no job."""
        await self._reject(event, event.message.key, event.value, error, header_list(event))

    async def reject_file(self, topic: Topic[Any], item: Item[Any], error: Exception) -> None:
        """Move one file of a message, which cannot be taken, to `dead-letter`. It counts in no job."""
        if item.of == 1:
            await self.reject(item.event, error)
            return
        key = bundle.key_of(topic, item.record)
        await self._reject(item.event, key, topic.encode(item.record), error, item.headers.encode())

    async def _reject(
        self,
        event: Event,
        key: bytes | None,
        value: bytes | None,
        error: Exception,
        headers: HeaderList,
        *,
        place: int = 0,
    ) -> None:
        topic, offset = event.message.topic, event.message.offset
        job_id = Headers.decode(headers).job_id
        log.warning("rejected", topic=topic, offset=offset, job_id=job_id, stage=self.name, reason=explain(error))
        await self.dead_letter(event, key, value, error, headers, restart_topic=topic, place=place)

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
            message=f"{count} message{'s' * (count > 1)} of {part.topic}, partition {part.partition}, offsets "
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
        place: int = 0,
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
            place=place,
        )
        letter = DeadLetter.about(key, value, headers, failure)
        await (await self.send_raw(DEAD_LETTER, letter.key, letter.value, letter.headers))


async def _delivered(deliveries: "Iterable[asyncio.Future[None]]") -> None:
    for delivered in deliveries:
        await asyncio.shield(delivered)  # who gives up takes it from nobody else


async def _leave(error: DrainingError) -> None:
    raise error


def explain(error: Exception) -> str:
    """Return the reason that a person reads: our own errors' message, else also the kind of error."""
    reason = str(error) if isinstance(error, DarkroomError) else f"{type(error).__name__}: {error}"
    return clipped(reason.encode("utf-8", "backslashreplace").decode())


def _bytes(key: str | bytes) -> bytes:
    return key.encode() if isinstance(key, str) else key
