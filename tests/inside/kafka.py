"""Topics in memory, and what of Faust a stage uses: messages by partition, changelogs, commits; and kills."""

import asyncio
import random
import weakref
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextvars import Context, ContextVar, copy_context
from typing import Any, NamedTuple

from faust.streams import _current_event, current_event
from faust.types.tuples import TP

from core.errors import PartitionRevokedError
from rules.partitions import partitions_of

PARTITIONS = 2

Kept = dict[int, dict[bytes, bytes]]
"""Rows by partition, as a disk has them."""

_APP: "ContextVar[App | None]" = ContextVar("app", default=None)


def task_of_app(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], context: Context | None = None
) -> "asyncio.Task[Any]":
    """Start a task, which ends with the app that it belongs to: as a factory of tasks."""
    context = context or copy_context()
    task = asyncio.Task(work, loop=loop, context=context)
    app = context.get(_APP)
    if app is not None:
        app.tasks.add(task)
        if app.producer.is_dead:
            task.cancel()
    return task


class Message:
    """A message, and the event of Faust that brings it to one stage."""

    def __init__(self, tp: TP, offset: int, key: bytes | None, value: bytes | None, headers: Any, at: float) -> None:
        self.tp, self.topic, self.partition, self.offset = tp, tp.topic, tp.partition, offset
        self.key, self.value, self.headers, self.timestamp = key, value, headers, at
        self.timestamp_type = 1


class Event:
    """What a stage takes."""

    message: Any

    def __init__(self, app: "App", message: Message) -> None:
        self.app = app
        self.message = Message(
            message.tp, message.offset, message.key, message.value, message.headers, message.timestamp
        )
        self.message.generation_id = app.consumer_generation_id
        self.message.span = None
        self.key, self.value, self.headers = message.key, message.value, message.headers

    def ack(self) -> None:
        self.app.acked[self.message.tp].add(self.message.offset)


class Kafka:
    """The broker. `chance` decides how long a delivery takes."""

    def __init__(self, chance: random.Random, told: Callable[[Message], None]) -> None:
        self.chance = chance
        self.logs: defaultdict[TP, list[Message]] = defaultdict(list)
        self.committed: defaultdict[tuple[str, TP], int] = defaultdict(int)
        self.news = asyncio.Event()
        self.withheld: set[str] = set()  # topics of which no stage gets a message
        self._told = told

    def append(self, tp: TP, key: bytes | None, value: bytes | None, headers: Any) -> None:
        log = self.logs[tp]
        message = Message(tp, len(log), key, value, headers, asyncio.get_running_loop().time())
        log.append(message)
        self._told(message)
        self.wake()

    def wake(self) -> None:
        """Have all look for messages that wait for one."""
        self.news.set()
        self.news = asyncio.Event()

    def delay(self) -> float:
        """Mostly some milliseconds, now and then much more."""
        return self.chance.expovariate(2 if self.chance.random() < 0.02 else 300)


class Sent(NamedTuple):
    """What is known of a message that was delivered."""

    offset: int


class Producer:
    """What one process sends: in order by partition, some of it not yet delivered."""

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka
        self._waiting: defaultdict[TP, list[tuple[Any, asyncio.Future[Sent]]]] = defaultdict(list)
        self._due: defaultdict[TP, float] = defaultdict(float)
        self.is_dead = False

    async def send(
        self, topic: str, key: bytes | None, value: bytes | None, partition: int | None, _at: None, headers: Any
    ) -> Awaitable[object]:
        if partition is None:
            [partition] = partitions_of([key or b""], PARTITIONS)
        return self.send_now(TP(topic, partition), key, value, headers)

    def send_now(self, tp: TP, key: bytes | None, value: bytes | None, headers: Any) -> "asyncio.Future[Sent]":
        loop = asyncio.get_running_loop()
        delivered: asyncio.Future[Sent] = loop.create_future()
        if not self.is_dead:
            self._waiting[tp].append(((key, value, headers), delivered))
            self._due[tp] = max(self._due[tp], loop.time() + self._kafka.delay())
            loop.call_at(self._due[tp], self._deliver, tp)
        return delivered

    def kill(self) -> None:
        """Deliver some of what was sent, in order; nobody is told."""
        self.is_dead = True
        for tp, waiting in self._waiting.items():
            for sent, _ in waiting[: self._kafka.chance.randint(0, len(waiting))]:
                self._kafka.append(tp, *sent)
            waiting.clear()

    def _deliver(self, tp: TP) -> None:
        if self._waiting[tp]:
            sent, delivered = self._waiting[tp].pop(0)
            self._kafka.append(tp, *sent)
            if not delivered.done():
                delivered.set_result(Sent(len(self._kafka.logs[tp]) - 1))


class Rows:
    """A table: rows by partition, each change on its changelog. As streams.rows.Rows has it, as far as it is used."""

    def __init__(self, app: "App", kept: Kept | None) -> None:
        self._app = app
        self._changelog = f"{app.name}-changelog"
        if kept is None:
            kept = {}
            for number in range(PARTITIONS):
                rows = kept[number] = {}
                for message in app.kafka.logs[TP(self._changelog, number)]:
                    _apply(rows, message.headers)
        self.partitions = kept

    def get(self, key: bytes) -> bytes | None:
        return self._here().get(key)

    def get_many(self, keys: Any) -> list[bytes | None]:
        here = self._here()
        return [here.get(key) for key in keys]

    def put(self, key: bytes, value: bytes) -> Awaitable[object]:
        return self._write({key: value})

    def delete(self, key: bytes) -> Awaitable[object]:
        return self._write({key: None})

    def delete_held(self, key: bytes) -> Awaitable[object]:
        return self.delete(key)

    def put_together(self, _key: bytes, rows: Any) -> Awaitable[object]:
        return self._write(dict(rows))

    def put_packed(self, _prefix: bytes, rows: Any) -> Awaitable[object]:
        return self._write(dict(rows))

    def starting_with(self, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        here = self._here()
        for key in sorted(here):
            if key.startswith(prefix) and key > after and key in here:
                yield key, here[key]

    def _write(self, changes: dict[bytes, bytes | None]) -> Awaitable[object]:
        _apply(self._here(), changes)
        partition = self._event().message.partition
        return self._app.producer.send_now(TP(self._changelog, partition), None, None, changes)

    def _here(self) -> dict[bytes, bytes]:
        return self.partitions.setdefault(self._event().message.partition, {})

    def _event(self) -> Any:
        event: Any = current_event()
        assert event is not None, "A row is there only for an event."
        if event.message.generation_id != self._app.consumer_generation_id:
            raise PartitionRevokedError("It was killed.")
        return event


def _apply(rows: dict[bytes, bytes], changes: dict[bytes, bytes | None]) -> None:
    for key, value in changes.items():
        if value is None:
            rows.pop(key, None)
        else:
            rows[key] = value


class App:
    """What a stage uses of its Faust app. A new one is made after a kill."""

    generations = 0

    def __init__(self, name: str, kafka: Kafka, kept: Kept | None) -> None:
        App.generations += 1
        self.name, self.kafka, self._kept = name, kafka, kept
        self.rows: Rows | None = None
        self.conf = _Named(id=f"darkroom-{name}")
        self.producer = Producer(kafka)
        self.consumer_generation_id = App.generations
        self.consumer = self
        self.acked: defaultdict[TP, set[int]] = defaultdict(set)
        self.tasks: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()
        self._agents: list[tuple[str, Any]] = []
        self._others: list[Any] = []

    def assignment(self) -> set[TP]:
        return {TP(topic, number) for topic, _ in self._agents for number in range(PARTITIONS)}

    def topic(self, name: str, **_: object) -> str:
        return name

    def agent(self, source: str, name: str) -> Callable[[Any], Any]:
        return lambda function: self._agents.append((source, function))

    def task(self, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._others.append(function)

    def new_rows(self) -> Rows:
        self.rows = Rows(self, self._kept)
        return self.rows

    def start(self) -> None:
        """Begin to take messages."""
        token = _APP.set(self)
        loop = asyncio.get_running_loop()
        works = [function() for function in self._others]
        works += [function(_Stream(self, topic)) for topic, function in self._agents]
        self._running = [loop.create_task(work) for work in (*works, self._commit_now_and_then())]
        _APP.reset(token)

    def kill(self) -> None:
        """End all that goes on, at once. Some of what was sent is delivered, some of what is acked is committed."""
        self.consumer_generation_id = -1
        self.producer.kill()
        for task in [*self.tasks]:
            task.cancel()
        for tp in sorted(self.assignment()):
            before = self.kafka.committed[self.name, tp]
            self.kafka.committed[self.name, tp] = self.kafka.chance.randint(before, self._acked_up_to(tp))

    async def commit(self) -> None:
        """Commit what is acked without a gap."""
        for tp in self.assignment():
            self.kafka.committed[self.name, tp] = self._acked_up_to(tp)

    def _acked_up_to(self, tp: TP) -> int:
        offset = self.kafka.committed[self.name, tp]
        while offset in self.acked[tp]:
            offset += 1
        return offset

    async def _commit_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(self.kafka.chance.uniform(0.1, 1.0))
            await self.commit()

    @property
    def is_at_rest(self) -> bool:
        """Whether all that there is was read and acked."""
        return all(self._acked_up_to(tp) == len(self.kafka.logs[tp]) for tp in self.assignment())


class _Named:
    def __init__(self, **fields: object) -> None:
        self.__dict__.update(fields)


class _Stream:
    def __init__(self, app: App, topic: str) -> None:
        self._app, self._topic = app, topic

    def noack(self) -> "_Stream":
        return self

    async def events(self) -> AsyncIterator[Event]:
        app, kafka = self._app, self._app.kafka
        parts = [TP(self._topic, number) for number in range(PARTITIONS)]
        at = {tp: kafka.committed[app.name, tp] for tp in parts}
        while True:
            is_withheld = self._topic in kafka.withheld
            unread = [] if is_withheld else [tp for tp in parts if at[tp] < len(kafka.logs[tp])]
            if not unread:
                await kafka.news.wait()
                continue
            if kafka.chance.random() < 0.3:
                await asyncio.sleep(kafka.delay())
            tp = kafka.chance.choice(unread)
            event = Event(app, kafka.logs[tp][at[tp]])
            at[tp] += 1
            _current_event.set(weakref.ref(event))  # type: ignore[arg-type]
            yield event
