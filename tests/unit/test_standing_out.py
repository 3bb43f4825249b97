"""Hits that stand clear of the rest: claimed where there is a clear fall, and not of noise."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.search.standing_out import standing_out

NOISE = {
    "normal": lambda chance: chance.gauss(0.2, 0.03),
    "uniform": lambda chance: chance.uniform(-0.1, 0.3),
    "exponential": lambda chance: min(1.0, 0.1 + chance.expovariate(40.0)),
    "two groups": lambda chance: chance.gauss(0.3 if chance.random() < 0.3 else 0.1, 0.04),
    "of 16 dimensions": lambda chance: 2 * chance.betavariate(7.5, 7.5) - 1,
}


def best(values: list[float]) -> list[float]:
    """As a search gives them."""
    return sorted(values, reverse=True)[:1000]


@pytest.mark.parametrize("pictures", [25, 60, 400, 3000])
@pytest.mark.parametrize("kind", NOISE)
def test_nothing_is_claimed_on_noise(kind: str, pictures: int) -> None:
    chance = random.Random(f"{kind} {pictures}")
    searches = 300 if pictures <= 400 else 60
    claims = [standing_out(best([NOISE[kind](chance) for _ in range(pictures)])) for _ in range(searches)]
    assert sum(one is not None for one in claims) <= searches // 100


@given(fitting=st.lists(st.floats(0.8, 0.9), min_size=1, max_size=20), others=st.integers(20, 200))
def test_a_clear_fall_is_found_where_enough_lies_behind_it(fitting: list[float], others: int) -> None:
    found = standing_out(best([*fitting, *(0.2 - 0.1 * number / others for number in range(others))]))
    assert found in (None, len(fitting))
    if others > 40:
        assert found == len(fitting)


@given(
    st.lists(st.floats(0, 1, width=32), min_size=1, max_size=300),
    st.floats(0.01, 100),
    st.floats(-1, 1),
)
def test_what_counts_is_the_shape(values: list[float], scale: float, shift: float) -> None:
    """Also of distances, where the nearest have the least."""
    hits = best([round(value, 2) for value in values])
    found = standing_out(hits)
    assert standing_out([scale * one + shift for one in hits]) == found
    assert standing_out([-one for one in hits]) == found
    assert found is None or 0 < found <= len(hits) / 3


@given(st.lists(st.floats(-1, 1), max_size=21))
def test_of_few_pictures_nothing_is_claimed(values: list[float]) -> None:
    assert standing_out(best(values)) is None


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_pictures_that_are_all_alike_do_not_stand_out(value: float) -> None:
    assert standing_out([value] * 500) is None


def test_copies_of_one_picture_are_one() -> None:
    """Else what lies behind them would not fall at all."""
    steps = [0.5 - 0.001 * step for step in range(30)]
    assert standing_out([step for step in steps for _ in range(25)]) is None
    assert standing_out([0.9, 0.9, 0.9, *(step for step in steps for _ in range(25))]) == 3


def test_the_clearest_of_several_falls_counts() -> None:
    others = [0.3 - 0.001 * step for step in range(100)]
    assert standing_out([0.99, *(0.9 - 0.001 * step for step in range(9)), *others]) == 10
