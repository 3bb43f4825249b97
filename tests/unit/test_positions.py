"""Whether a log is the one that was read, and where reading begins."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from gateways.kafka.last_reads import LastReads
from rules.positions import Begin, LastRead, begin_at, decode_last_read, is_another_log

HERE = TopicPartition("raw-path", 0)


@pytest.mark.parametrize(
    ("stands_there", "younger", "expected"),
    [
        (1000, None, False),
        (1000, 5, False),
        (2000, 9, True),
        (None, 10, False),
        (None, None, False),
        (None, 9, True),
        (None, 3, True),
    ],
    ids=[
        "the same",
        "the same, and a clock that went back",
        "another",
        "gone, the younger behind it",
        "gone, and nothing is younger",
        "gone, a younger at its offset is a marker",
        "gone, a younger before it",
    ],
)
def test_a_log_is_known_by_the_last_message_that_was_read(
    stands_there: int | None, younger: int | None, expected: bool
) -> None:
    assert is_another_log(LastRead(9, 1000), stands_there, younger) is expected


@pytest.mark.parametrize(
    ("remembered", "is_another", "expected"),
    [
        (None, False, Begin(3)),
        (10, False, Begin(10)),
        (10, True, Begin(3, anew=True)),
        (21, False, Begin(3, anew=True)),
        (1, False, Begin(3, deleted=2)),
    ],
    ids=["nothing was read", "it goes on", "another log", "it lost its end", "it lost its beginning"],
)
def test_where_reading_begins(remembered: int | None, is_another: bool, expected: Begin) -> None:
    assert begin_at(remembered, 3, 20, is_another=is_another) == expected


@pytest.mark.parametrize("metadata", ["", "last=@", "last=1@x", "last=1@2 ", "somebody else's", "last=-1@2"])
def test_what_others_committed_says_nothing(metadata: str) -> None:
    assert decode_last_read(metadata) is None


def reads(*messages: tuple[int, int]) -> Any:
    return [SimpleNamespace(offset=offset, timestamp=at) for offset, at in messages]


def begun(metadata: str | None) -> LastReads:
    async def fetch(_: object) -> dict[TopicPartition, OffsetAndMetadata]:
        return {} if metadata is None else {HERE: OffsetAndMetadata(5, metadata)}

    consumer: Any = SimpleNamespace(_coordinator=SimpleNamespace(fetch_committed_offsets=fetch))
    made = LastReads()
    asyncio.run(made.begin(consumer, [HERE]))
    return made


def test_a_commit_names_the_last_message_before_it() -> None:
    made = begun(None)
    assert made.commit({HERE: 5}) == {HERE: (5, "")}
    made.add(HERE, reads((5, 50), (6, 60), (9, 90)))
    assert made.commit({HERE: 6}) == {HERE: (6, "last=5@50")}
    assert made.commit({HERE: 9}) == {HERE: (9, "last=6@60")}, "7 and 8 are markers"
    assert made.commit({HERE: 10}) == {HERE: (10, "last=9@90")}
    assert made.commit({HERE: 12}) == {HERE: (12, "last=9@90")}


def test_who_takes_over_passes_on_what_is_named_until_it_has_read_itself() -> None:
    made = begun(LastRead(4, 40).encode())
    assert made.commit({HERE: 7}) == {HERE: (7, "last=4@40")}
    made.add(HERE, reads((7, 70)))
    assert made.commit({HERE: 8}) == {HERE: (8, "last=7@70")}


def test_what_is_read_again_takes_the_place_of_what_was_read() -> None:
    made = begun(LastRead(4, 40).encode())
    made.add(HERE, reads((5, 50), (6, 60)))
    made.add(HERE, reads((0, 1), (1, 2)))
    assert made.commit({HERE: 1}) == {HERE: (1, "last=0@1")}
    assert made.commit({HERE: 6}) == {HERE: (6, "last=1@2")}


def test_a_position_has_a_last_message_before_it_too() -> None:
    made = begun(LastRead(4, 40).encode())
    made.add(HERE, reads((5, 50), (6, 60), (7, 70)))
    assert made.before({HERE: 7}) == {HERE: LastRead(6, 60)}
    assert made.before({HERE: 5}) == {HERE: LastRead(4, 40)}
    assert made.before({HERE: 4, TopicPartition("raw-path", 1): 9}) == {}


def test_nothing_is_named_of_partitions_that_are_not_committed() -> None:
    made = begun(None)
    changelog = TopicPartition("changelog", 0)
    made.add(changelog, reads((5, 50)))
    assert made.commit({changelog: 6}) == {changelog: (6, "")}
