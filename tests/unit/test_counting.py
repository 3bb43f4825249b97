"""Prepare counts what would leave a few rows at a time, and again from the begin where that was cut off."""

from types import SimpleNamespace
from typing import Any

import pytest

from agents.prepare import departing
from agents.prepare.departing import DepartureKeeper
from streams.item import Item
from tables.departures import Departures
from tests.unit.test_departure_rows import GONE, Rows, file
from topics.departure import Departed, Tally
from topics.record import Headers
from topics.removal_event import Tallied


class Event:
    """A message of partition 0."""

    message = SimpleNamespace(partition=0)


class Stage:
    """Notes what is sent and told; the collection is there."""

    services = SimpleNamespace(settings=SimpleNamespace(kafka_partitions=1))

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.told: list[Any] = []

    async def send(self, _topic: Any, _key: str, record: Any, _headers: Headers, _partition: int) -> Any:
        self.sent.append(record)
        return done()

    async def emit(self, event: Any) -> None:
        self.told.append(event)

    async def persist(self, _jobs: Any, _attempt: Any) -> Any:
        return SimpleNamespace(incarnation="i")


class Window:
    """Does the work at once."""

    async def add(self, _event: Any, work: Any, **_: Any) -> None:
        await work


async def done() -> None:
    """Be delivered."""


async def test_what_is_cut_off_is_counted_anew_and_forgotten_when_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(departing, "ROWS_AT_ONCE", 1)
    monkeypatch.setattr(departing, "delivered", lambda _: done())
    rows, stage, window = Rows(), Stage(), Window()
    departures = Departures(rows)  # type: ignore[arg-type]
    for number in range(4):
        one = file(f"/{number}", sha256=f"{number}" * 64)
        rows[b"|".join((b"p", one.sha256.encode(), b"m", b"photos", one.path_bytes))] = b"i|before"
        departures.put_leaving(Departed(job_id="j", collection="photos", path=one.path, sha256=one.sha256, reason=GONE))
    keeper: Any = DepartureKeeper(stage, departures, None, None)  # type: ignore[arg-type]

    async def take(record: Tally) -> None:
        event: Any = Event()
        await keeper.take(Item(event, record, Headers()), window)

    asked = Tally(job_id="j", collection="photos")
    await take(asked)
    await take(stage.sent.pop())
    stage.sent.clear()  # the next step is lost
    await take(asked)
    while stage.sent:
        await take(stage.sent.pop())
    (told,) = [one for one in stage.told if isinstance(one, Tallied)]
    assert (told.gone, told.lost) == (4, 4)
    assert not [key for key in rows if key.startswith(b"g|")]
