"""Where the removals of a sync stand, as their events come: in any order, and more than once."""

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tables.removals import Removals, Remove
from topics.removal_event import Guarded, LeftAll, Overtaken, Swept, Tallied
from topics.sweep import Sweep

PARTITIONS = 2
WHO: dict[str, Any] = {"job_id": "sync-home-1", "at": 0.0}
SWEEP = Sweep(job_id="sync-home-1", walk_id="w", source="home", collection="photos", folder="/photos")
NONE = {"moved": 0, "gone": 0, "replaced": 0, "excluded": 0, "lost": 0}


def new(pictures: int = 1000) -> Removals:
    return Removals(sweep=SWEEP, pictures=pictures)


def swept(partition: int, departed: int = 1, unread: int = 0) -> Swept:
    return Swept(**WHO, partition=partition, partitions=PARTITIONS, departed=departed, unread=unread)


def tallied(partition: int, **counts: int) -> Tallied:
    return Tallied(**WHO, partition=partition, **(NONE | counts))


def left_all(number: int) -> list[LeftAll]:
    return [
        LeftAll(**WHO, round=number, sent_from=one, partition=two)
        for one, two in product(range(PARTITIONS), range(PARTITIONS))
    ]


def after(removals: Removals, *events: Any) -> Removals:
    for event in events:
        removals.take(event)
    return removals


def test_where_nothing_has_left_nothing_is_asked() -> None:
    removals = after(new(), swept(0, 0), swept(1, 0, unread=3))
    assert (removals.state, removals.unread, removals.asked(is_over=True)) == ("none", 3, None)


def test_few_are_counted_and_removed_once_the_job_is_over() -> None:
    removals = after(new(), swept(0))
    assert (removals.state, removals.asked(is_over=True)) == ("looking", None)
    after(removals, swept(1, 0))
    assert (removals.state, removals.asked(is_over=False), removals.asked(is_over=True)) == ("counting", None, "tally")
    after(removals, tallied(0, gone=1, lost=1), tallied(1, moved=2))
    assert (removals.state, removals.asked(is_over=True)) == ("removing", Remove(1, gone=True))
    *most, last = left_all(1)
    after(removals, *most)
    assert removals.state == "removing"
    after(removals, last)
    assert (removals.state, removals.asked(is_over=True)) == ("removed", None)
    assert removals.counts.model_dump() == NONE | {"moved": 2, "gone": 1, "lost": 1}


@pytest.mark.parametrize("word", ["confirm", "keep"])
def test_many_wait_for_a_word(word: Any) -> None:
    removals = after(new(20), swept(0), swept(1), tallied(0, gone=12, lost=12, replaced=1), tallied(1))
    assert removals.asked(is_over=True) == Remove(1, gone=False)
    assert not removals.decide(word)  # what is replaced goes first
    after(removals, *left_all(1))
    assert (removals.state, removals.asked(is_over=True)) == ("held", None)
    assert removals.reason == "12 of 20 pictures of the collection would leave it"
    assert removals.decide(word)
    assert not removals.decide("keep")
    if word == "keep":
        assert (removals.state, removals.asked(is_over=True)) == ("kept", None)
        return
    assert (removals.state, removals.asked(is_over=True)) == ("removing", Remove(2, gone=True))
    assert after(removals, *left_all(2)).state == "removed"


@pytest.mark.parametrize("place", range(6))
def test_a_question_that_a_newer_look_has_taken_over_is_asked_no_more(place: int) -> None:
    story = [swept(0), swept(1), tallied(0, gone=12, lost=12), tallied(1), *left_all(1)]
    story.insert(min(place, 4) if place < 5 else len(story), Overtaken(**WHO, by="sync-home-2"))
    removals = after(new(20), *story)
    assert (removals.state, removals.code) == ("overtaken", "overtaken")
    assert "sync-home-2" in (removals.reason or "")
    assert not removals.decide("confirm")
    assert removals.asked(is_over=True) is None
    answered = after(new(20), *(one for one in story if not isinstance(one, Overtaken)))
    answered.decide("confirm")
    assert after(answered, Overtaken(**WHO, by="sync-home-2"), *left_all(2)).state == "removed"


def test_why_nothing_is_removed_is_told_to_programs_too() -> None:
    held = after(new(20), swept(0), swept(1), tallied(0, gone=12, lost=12), tallied(1), *left_all(1))
    assert (held.state, held.code) == ("held", "many")
    assert after(new(), Guarded(**WHO, code="other-mount", reason="on another disk")).code == "other-mount"
    behind = after(new().model_copy(update={"sweep": SWEEP.model_copy(update={"away": ["/photos/usb"]})}), swept(0, 0))
    assert (behind.code, "/photos/usb" in (behind.reason or "")) == ("link-away", True)


def test_what_is_guarded_is_not_removed() -> None:
    removals = after(new(), swept(0), swept(1), Guarded(**WHO, reason="its disk is away"))
    assert (removals.state, removals.asked(is_over=True)) == ("guarded", None)
    removing = after(new(), swept(0), swept(1), tallied(0, gone=1), tallied(1), Guarded(**WHO, reason="away"))
    assert (removing.state, removing.asked(is_over=True)) == ("guarded", None)


events = [swept(0), swept(1), tallied(0, gone=1, lost=1), tallied(1, moved=1), *left_all(1)]


@given(st.lists(st.sampled_from(events), max_size=20).flatmap(lambda more: st.permutations([*events, *more])))
def test_order_and_repetition_do_not_matter(told: list[Any]) -> None:
    removals = after(new(), *told)
    assert removals.state == "removed"
    assert removals.counts.model_dump() == NONE | {"moved": 1, "gone": 1, "lost": 1}
    assert Removals.model_validate_json(removals.model_dump_json()) == removals


def test_what_was_lost_is_asked_again_of_who_has_not_answered() -> None:
    removals = new()
    assert removals.asked_anew() == "look"
    after(removals, swept(0))
    assert [removals.is_answered("look", number) for number in range(PARTITIONS)] == [True, False]
    after(removals, swept(1), tallied(1))
    assert removals.asked_anew() == "tally"
    assert [removals.is_answered("tally", number) for number in range(PARTITIONS)] == [False, True]
    after(removals, tallied(0, gone=1), *left_all(1)[:-1])
    asked = removals.asked_anew()
    assert asked == Remove(1, gone=True)
    assert [removals.is_answered(asked, number) for number in range(PARTITIONS)] == [True, False]
    after(removals, *left_all(1))
    assert removals.asked_anew() is None


@pytest.mark.parametrize("told", [0, 2, 4])
def test_what_is_given_up_is_over(told: int) -> None:
    removals = after(new(), *[swept(0), swept(1), tallied(0, gone=1), tallied(1)][:told])
    removals.give_up("lost")
    assert (removals.state, removals.reason) == ("guarded", "lost")


def test_what_is_done_is_not_given_up() -> None:
    removals = after(new(), *events)
    removals.give_up("lost")
    assert removals.state == "removed"
