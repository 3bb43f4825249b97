"""What every stage has: a Faust app, hence a consumer group, and the ways to take messages."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from faust import Event

from core import metrics, tracing
from core.errors import DrainingError, FatalError, PartitionRevokedError
from core.settings import Settings
from core.settings import Stage as Name
from gateways.kafka.connection import client_options
from gateways.kafka.reader import holds_message
from streams.app import new_app
from streams.batching import Batcher
from streams.item import Item
from streams.messages import check_size
from streams.rejecting import Rejecting
from streams.rows import Rows
from streams.window import MAX_BYTES, Permits, Window
from topics import bundle
from topics.bundle import Bundle
from topics.record import Headers, Topic
from topics.topology import TOPOLOGY, topics_read

R = TypeVar("R")
T = TypeVar("T")

# Of one message of a program; ours have no more than bundle.MAX_FILES.
MOST_LOOKED_AT = 2000

Handler = Callable[[Event, Window], Awaitable[None]]
TakeFiles = Callable[[list[Item[Any]], Window], Awaitable[None]]
TakeKnown = Callable[[Event, Bundle[Any], Window], Awaitable[Iterable[int]]]

log = structlog.get_logger()


class Stage(Rejecting):
    """One consumer group: what it takes, beside how it sends and gives up. `stop`: ends the worker."""

    def __init__(
        self,
        name: Name,
        settings: Settings,
        producer: AIOKafkaProducer,
        stop: Callable[[BaseException], None],
        datadir: Path,
    ) -> None:
        super().__init__(name, settings, stop)
        self._stop = stop
        self._producer = producer
        self.app = new_app(name, settings, datadir, producer, self.put_aside)
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
        take: TakeFiles,
        *,
        take_known: TakeKnown | None = None,
        end_marker: Handler | None = None,
        **bounds: Any,
    ) -> None:
        """Have `take` take the files of each message of a topic, and `end_marker` those without a value.

        `take_known` takes the files of a bundle that cost no more than a look at their JSON, and returns the indexes of
        all others. A file that is not valid is dead-lettered by itself. A message is acked when all its files are done:
        their work takes permits of the window.
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
                indexes: Iterable[int] = range(len(files.files))
                # Each file has a span of its own. A look at very many would hold up the event loop.
                if take_known is not None and len(files.files) <= MOST_LOOKED_AT and not tracing.is_on():
                    indexes = await take_known(event, files, window)
                await self._take_files(event, files, indexes, window, take)
            await window.end(event)

        self.consume(topic.name, handle, **bounds)

    async def _take_files(
        self, event: Event, files: Bundle[Any], indexes: Iterable[int], window: Window, take: TakeFiles
    ) -> None:
        """Have `take` take these files of a bundle, so many at a time; dead-letter those that are not valid."""
        of = len(files.files)
        items: list[Item[Any]] = []
        for entry in map(files.entry, indexes):
            if len(items) == bundle.MAX_FILES:
                await take(items, window)
                items = []
            if entry.refused is None:
                items.append(self.item(event, entry.record, entry.headers, entry.index, of))
            else:
                refused = entry.refused
                key, value, error = refused.key, refused.value, refused.error
                refusal = self.reject_entry(event, key, value, error, entry.headers.encode(), index=entry.index)
                await window.add(event, refusal, permits=Permits(1, of))
        if items:
            await take(items, window)

    async def or_put_back(self, topic: Topic[Any], item: Item[Any], work: Awaitable[T]) -> T | None:
        """Do the work on a file; where the worker stops before the work begins, send the file to its topic again.

        So its message is acked. Else all that was done behind the file, in this message or later ones, would be done
        again.
        """
        try:
            return await work
        except DrainingError:
            await self.send_file(topic, bundle.key_of(topic, item.record), item.record, item.headers)
            return None

    async def do_each(
        self, topic: Topic[Any], items: Sequence[Item[Any]], works: Iterable[Awaitable[object]], permits: Permits
    ) -> None:
        """Do the work on files of one message, or put them back; release the permit of each file as it is done."""

        async def do(item: Item[Any], work: Awaitable[object]) -> None:
            await self.or_put_back(topic, item, work)
            permits.release()

        await asyncio.gather(*(do(item, work) for item, work in zip(items, works, strict=True)))

    def item(self, event: Event, record: R, headers: Headers, index: int = 0, of: int = 1) -> Item[R]:
        """Return a file of a message as it is taken; its trace begins."""
        named = {"job_id": headers.job_id, "file_id": headers.file_id, "traceparent": headers.traceparent}
        span, traceparent = tracing.process(event.message, self.app.conf.id, named)
        if traceparent != headers.traceparent:
            headers = replace(headers, traceparent=traceparent)
        return Item(event, record, headers, index, of, span)

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
                    await window.add(item.event, self.reject_file(topic, item, error), permits=item.permits())

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
                options={"driver": "rocksdict"},
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


async def _leave(error: DrainingError) -> None:
    raise error
