"""The state machine of claims alone: every file has its outcome in the end, whatever is killed, repeated or cancelled.

Meanwhile, whoever waits has an owner that is in flight. Where messages are deleted unread, or a worker that has lost
the partition writes rows all the same, the watchdog has files begin again.

A history is bytes: three to an action, which are its kind and two arguments.
"""

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.claims import ending
from rules.claims.state import claim_of
from rules.watchdog import RESTARTS
from tests.unit.claims_around import CONTENTS, FATES, JOBS, PATHS, TOPICS
from tests.unit.claims_world import Rows, World

# The first does nothing: so a history that fails is made short.
CALM = ["nothing", *["submit"] * 4, *["take files", "take outcomes"] * 4, *["files", "outcomes"] * 6]
CALM += [*["ml", "qdrant"] * 3, "settle"]
HARD = [*CALM, "cancel", "forget", "reread", "anew"]
ROUGH = [*HARD, "clear", "repeat", *["kill", "lose partition", "late", "fate"] * 2]
ON_ONE_DISK = [*ROUGH, *["restart"] * 4]
LOSSY = [*ON_ONE_DISK, *["lose", "stale"] * 4]


def play(history: bytes, actions: list[str]) -> World:
    """Have a history happen. What becomes of each path when it is read is up to its first bytes."""
    world = World()
    world.fates = {path: FATES[byte % len(FATES)] for path, byte in zip(PATHS, history, strict=False)}
    for kind, first, second in zip(history[::3], history[1::3], history[2::3], strict=False):
        act(world, actions[kind % len(actions)], first, second)
    return world


def act(world: World, action: str, first: int, second: int) -> None:
    job, path = JOBS[first % len(JOBS)], PATHS[second % len(PATHS)]
    if action in {"submit", "reread"}:
        if job not in world.cancelled and (job, path) not in world.outcomes:
            world.submit(job, path, rereads=action == "reread")
        return
    acts: dict[str, Callable[[], object]] = {
        "nothing": lambda: None,
        "take files": lambda: world.take("files"),
        "take outcomes": lambda: world.take("outcomes"),
        "files": lambda: world.advance("files", first),
        "outcomes": lambda: world.advance("outcomes", first),
        "ml": world.ask_ml,
        "qdrant": world.ask_qdrant,
        "settle": lambda: world.settle(with_ml=first % 2 == 0),
        "kill": lambda: world.kill(first * 256 + second, at_once=True),
        "restart": lambda: world.kill(first * 256 + second, at_once=True, keeps_disk=True),
        "lose partition": lambda: world.kill(first * 256 + second, at_once=False),
        "late": world.send_late,
        "stale": lambda: world.take_stale(TOPICS[first % 2]),
        "repeat": lambda: world.repeat(TOPICS[first % 2], second),
        "lose": lambda: world.lose(first),
        "cancel": lambda: world.cancel(job),
        "clear": world.clear,
        "forget": lambda: world.forget(CONTENTS[first % 2]),
        "anew": world.make_anew,
        "fate": lambda: world.fates.update({path: FATES[first % len(FATES)]}),
    }
    acts[action]()


def check_waiters_have_owners(world: World) -> None:
    """All is done but what ML has in hand: so whoever waits, waits for that."""
    in_flight = {(content, "".join(file)) for content, file in world.ml}
    for content in CONTENTS:
        claim, waiting = claim_of(Rows(world, content)), [*Rows(world, content).waiters()]
        if waiting or (claim and claim.owner):
            assert claim is not None, waiting
            assert (content, claim.owner) in in_flight, (claim, waiting)


def check_all_ended(world: World) -> None:
    assert [file for file, outcomes in world.outcomes.items() if not outcomes] == []
    for content in CONTENTS:
        claim = claim_of(Rows(world, content))
        assert [*Rows(world, content).waiters()] == []
        assert claim is None or (claim.owner, claim.promoted) == (None, None)


histories = st.binary(min_size=90, max_size=300)


@pytest.fixture(autouse=True)
def _few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "WAITERS_AT_ONCE", 2)


@settings(max_examples=2000, deadline=None)
@given(histories)
def test_whoever_waits_has_an_owner_in_flight_and_ends(history: bytes) -> None:
    world = play(history, ROUGH)
    world.settle(with_ml=False)
    check_waiters_have_owners(world)
    world.settle(with_ml=True)
    check_all_ended(world)


@settings(max_examples=500, deadline=None)
@given(histories)
def test_all_end_where_a_worker_goes_on_with_rows_of_its_own_disk_that_never_came_into_the_log(history: bytes) -> None:
    world = play(history, ON_ONE_DISK)
    world.settle(with_ml=True)
    # The row of one that waited may come back from the log, though it has ended.
    assert [file for file, outcomes in world.outcomes.items() if not outcomes] == []


@settings(max_examples=500, deadline=None)
@given(histories)
def test_whatever_is_lost_some_begin_again_and_all_end(history: bytes) -> None:
    world = play(history, LOSSY)
    world.settle(with_ml=True)
    for _ in range(RESTARTS):
        if world.restart():
            world.settle(with_ml=True)
    assert [file for file, outcomes in world.outcomes.items() if not outcomes] == []


@settings(max_examples=500, deadline=None)
@given(histories)
def test_what_nobody_kills_is_never_told_both_that_it_failed_and_that_it_is_there(history: bytes) -> None:
    world = play(history, HARD)
    world.settle(with_ml=True)
    check_all_ended(world)
    # One that goes on while its job is cancelled may be told to be skipped as well.
    ended = {file: set(outcomes) - {"skipped"} for file, outcomes in world.outcomes.items()}
    assert {file: several for file, several in ended.items() if "failed" in several and several != {"failed"}} == {}


@settings(max_examples=500, deadline=None)
@given(histories)
def test_without_failures_each_file_ends_once_and_a_content_costs_one_ml_call(history: bytes) -> None:
    world = play(bytes(6) + history, CALM)  # all files are good
    world.settle(with_ml=True)
    check_all_ended(world)
    assert set(world.asked.values()) <= {1}
    assert {file: outcomes for file, outcomes in world.outcomes.items() if len(outcomes) != 1} == {}
    firsts = Counter(file[0] for file, (outcome,) in world.outcomes.items() if outcome in {"stored", "cached"})
    assert set(firsts.values()) <= {1}
