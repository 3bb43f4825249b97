"""What comes often is told from what a person sends."""

import pytest

from core import pace
from core.pace import OFTEN, Pace


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pace, "time", clock)
    return clock


def noted(clock: Clock, times: int, seconds: float) -> Pace:
    noted = Pace()
    for _ in range(times):
        clock.now += seconds
        noted.note()
    return noted


def test_a_few_at_once_are_not_often(clock: Clock) -> None:
    assert not noted(clock, OFTEN - 1, 0.0).is_high


def test_what_comes_slowly_is_not_often(clock: Clock) -> None:
    assert not noted(clock, 100, 1.01 / (OFTEN - 1)).is_high


def test_what_comes_often_is_gathered_until_it_stops(clock: Clock) -> None:
    often = noted(clock, 100, 0.1)
    assert often.is_high
    clock.now += 0.5
    assert not often.is_high
