"""A small shell in memory for the state machine of claims.

Topics are lists; rows are a dictionary, with a log as Kafka has it. A step is taken one effect at a time, between those
of other steps, and a kill may come between any two. Then a worker goes on that has the rows up to some record behind
the last one that was surely delivered, and takes again each message that was not acked.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from rules.claims import effects as do
from rules.claims.claim import Claim, Known
from rules.claims.events import (
    Answered,
    Arrived,
    Cancelled,
    ContentFailed,
    Event,
    File,
    FileFailed,
    FollowUp,
    HasRead,
)
from rules.claims.machine import decide
from tests.unit.claims_around import CONTENTS, TOPICS, Around, Message, Path, id_of, lot_of

Atom = Callable[[], object]  # an effect that is delivered or not


@dataclass(eq=False)
class Step:
    """A message in work."""

    message: Message
    atoms: deque[Atom] = field(default_factory=deque)
    then: list[tuple[str, FollowUp]] = field(default_factory=list)
    last_row: int = 0


class Rows:
    """What the machine sees of a content."""

    def __init__(self, world: "World", content: str) -> None:
        self._world, self._content = world, content

    @property
    def claim(self) -> Claim | None:
        return self._world.rows.get(("claim", self._content))

    @property
    def has_content(self) -> bool:
        return ("content", self._content) in self._world.rows

    @property
    def owners_job_has_ended(self) -> bool:
        job = (self.claim and self.claim.job_of_owner) or ""
        return job in self._world.cancelled or self._world.has_ended(job)

    def waiters(self, after: int = -1) -> Iterator[File]:
        for number in sorted(key[2] for key in self._world.rows if key[:2] == ("waiter", self._content)):
            if number > after:
                yield self._world.file(number)

    def waiter(self, number: int) -> File | None:
        return self._world.file(number) if ("waiter", self._content, number) in self._world.rows else None


class World(Around):
    """All of it."""

    def __init__(self) -> None:
        super().__init__()
        self.windows: dict[str, deque[Step]] = {name: deque() for name in TOPICS}
        self.left: deque[Step] = deque()  # by workers that lost the partition: they may still send
        self.rows: dict[Any, Any] = {}
        self.log: list[tuple[Any, Any]] = []
        self.delivered = 0  # of the log, surely
        # Of a worker that has lost the partition and does not know it: its rows, and how far it has taken each topic.
        self.stale: tuple[dict[Any, Any], dict[str, int]] = {}, {}
        self.unchanged: dict[tuple[str, str], str] = {}  # scope, content → the first, as the worker remembers it

    def take(self, topic: str) -> None:
        """Take the next message of a topic: decide, and write the rows that stand before."""
        if self.taken[topic] == len(self.topics[topic]):
            return
        message = self.topics[topic][self.taken[topic]]
        self.taken[topic] += 1
        step = Step(message)
        self.windows[topic].append(step)
        if message.content is None:
            self._sweep(step, message.event)
        elif isinstance(message.event, Arrived):
            self._decide(step, message.content, self._arrived(message, message.content, message.event))
        else:
            self._decide(step, message.content, message.event)

    def _arrived(self, message: Message, content: str, sent: Arrived) -> Arrived:
        file = self.file(sent.file.number)
        confirmed = ("path", content, message.file[1]) in self.rows
        first = self.unchanged.get((file.scope, content))
        return Arrived(file, sent.begun, is_confirmed=confirmed, rereads=sent.rereads, first_unchanged=first)

    def _sweep(self, step: Step, sweep: str | tuple[str, ...]) -> None:
        for content in CONTENTS:
            claim = Rows(self, content).claim
            if not isinstance(sweep, str):
                if claim is not None and claim.owner is not None:
                    released = FileFailed(claim.owner, is_released=True)
                    step.atoms.append(lambda content=content, event=released: self.tell(content, event))  # type: ignore[misc]
            elif sweep in self.cancelled:
                waiting = [key[2] for key in self.rows if key[:2] == ("waiter", content)]
                numbers = sorted(number for number in waiting if self.known[number][0][0] == sweep)
                self._decide(step, content, Cancelled(tuple(numbers)))

    def _decide(self, step: Step, content: str, event: Event | FollowUp) -> None:
        effects = decide(Rows(self, content), event)
        for row in effects.rows:
            for key, value in _written(row, content, step.message.file):
                self.log.append((key, value))
                _put(self.rows, key, value)
        step.last_row = len(self.log)
        for work in effects.work:
            step.atoms.extend(self._atoms(step, content, work))
        if effects.then is not None:
            step.then.append((content, effects.then))

    def _atoms(self, step: Step, content: str, work: do.Work) -> Iterator[Atom]:
        """Yield what a piece of work delivers, one after the other."""
        match work:
            case do.Decode(number):
                yield lambda: self._decode(step, content, number, lambda: self._send_to_ml(content, number))
            case do.Reread(number):
                yield lambda: self._decode(step, content, number, lambda: self._has_read(step, content, number))
            case do.SendDecoded(number):
                yield lambda: self._send_to_ml(content, number)
            case do.SendReading(number):
                file, _ = self.known[number]
                yield lambda: self.qdrant.append((content, file, "cached"))
                yield lambda: self.tell(content, Answered(id_of(file), lot_of(file)), file)
            case do.Send(files):
                yield from (self._later(self._send, content, *sent) for sent in files)
            case do.Finish(numbers, outcome):
                yield from (self._later(self._finish, content, number, outcome) for number in numbers)
            case do.FailWithContent(numbers):
                yield from (self._later(self._finish, content, number, "failed") for number in numbers)
            case do.Tell(event):
                yield lambda: self.tell(content, event, step.message.file)

    def _later(self, send: Callable[..., None], *arguments: Any) -> Atom:
        return lambda: send(*arguments)

    def _send(self, content: str, number: int, outcome: Known) -> None:
        self.qdrant.append((content, self.known[number][0], outcome))

    def _finish(self, content: str, number: int, outcome: str) -> None:
        file, _ = self.known[number]
        self.report(file, outcome)
        if outcome == "unchanged":
            self.unchanged.setdefault((lot_of(file), content), id_of(file))

    def _send_to_ml(self, content: str, number: int) -> None:
        self.asked[content] += 1
        self.ml.append((content, self.known[number][0]))

    def _decode(self, step: Step, content: str, number: int, go_on: Atom) -> None:
        file, begun = self.known[number]
        fate, failed = self.fates[file[1]], FileFailed(id_of(file), begun)
        if fate == "good" and self.holds[file[1]] == content:
            go_on()
        elif fate in {"bad", "vanished"}:
            event = ContentFailed(id_of(file)) if fate == "bad" else failed
            step.atoms.extendleft([lambda: self.tell(content, event, file), lambda: self.report(file, "failed")])
        else:  # it holds another content now
            self.fates[file[1]] = "good"
            self.holds[file[1]] = "B" if content == "A" else "A"
            step.atoms.extendleft([lambda: self.tell(content, failed, file), lambda: self.submit(*file, begun)])

    def _has_read(self, step: Step, content: str, number: int) -> None:
        if step not in self.left:  # it could write no rows
            file, begun = self.known[number]
            is_same = ("content", content) in self.rows and file[1] != "1"
            self._decide(step, content, HasRead(self.file(number), begun, is_same))

    def advance(self, topic: str, place: int = 0) -> None:
        """Have one effect of one message delivered; or what is behind them all decided, or the oldest acked."""
        window = self.windows[topic]
        if not window:
            return
        step = window[place % len(window)]
        if step.atoms:
            step.atoms.popleft()()
        elif step is window[0] and step.then:
            then, step.then = step.then, []
            for content, event in then:
                self._decide(step, content, event)
        elif step is window[0]:
            window.popleft()
            self.delivered = max(self.delivered, step.last_row)

    def kill(self, cut: int, *, at_once: bool, keeps_disk: bool = False) -> None:
        """End the worker; or have it lose the partition: what it has begun may still be sent.

        `keeps_disk`: it goes on with its own rows, also those that never came into the log.
        """
        self.stale = {}, {}
        if not at_once:
            self.stale = dict(self.rows), dict(self.taken)
            self.left.extend(step for window in self.windows.values() for step in window)
        for topic, window in self.windows.items():
            self.taken[topic] -= len(window)
            window.clear()
        self.delivered += cut % (len(self.log) - self.delivered + 1)
        del self.log[self.delivered :]
        self.unchanged.clear()
        if not keeps_disk:
            self.rows = {}
            for key, value in self.log:
                _put(self.rows, key, value)

    def send_late(self) -> None:
        if self.left and self.left[0].atoms:
            self.left[0].atoms.popleft()()
        elif self.left:
            self.left.popleft()

    def take_stale(self, topic: str) -> None:
        """Have the worker take one more message that does not know yet that it has lost the partition."""
        rows, taken = self.stale
        if taken and taken[topic] < len(self.topics[topic]):
            now = self.rows, self.taken[topic]
            self.rows, self.taken[topic] = rows, taken[topic]
            self.take(topic)
            self.left.append(self.windows[topic].pop())
            taken[topic] += 1
            self.rows, self.taken[topic] = now

    def settle(self, *, with_ml: bool) -> None:
        """Let all go on that is on its way; or all but what ML has in hand."""
        for _ in range(10_000):
            for topic in TOPICS:
                self.take(topic)
                self.advance(topic)
            self.send_late()
            self.ask_qdrant()
            if with_ml:
                self.ask_ml()
            unread = any(self.taken[name] < len(self.topics[name]) for name in TOPICS)
            if not (unread or any(self.windows.values()) or self.left or self.qdrant or (with_ml and self.ml)):
                return
        raise AssertionError("It goes round.")


def _written(row: do.Row, content: str, file: Path) -> Iterator[tuple[Any, Any]]:
    """Yield the key and the value of each row; None deletes it."""
    match row:
        case do.PutClaim(claim):
            yield ("claim", content), claim
        case do.DropClaim():
            yield ("claim", content), None
        case do.PutAnswer(claim, is_stored):
            yield ("content", content), True
            yield ("claim", content), claim
            if is_stored:
                yield ("path", content, file[1]), True
        case do.DropContent():
            yield ("content", content), None
        case do.PutWaiter(number):
            yield ("waiter", content, number), True
        case do.DropWaiters(numbers):
            for number in numbers:
                yield ("waiter", content, number), None
        case do.PutPath():
            yield ("path", content, file[1]), True


def _put(rows: dict[Any, Any], key: Any, value: Any) -> None:
    if value is None:
        rows.pop(key, None)
    else:
        rows[key] = value
