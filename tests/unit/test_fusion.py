"""Several lists of hits as one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.search.fusion import fused

ORDERS = st.lists(
    st.dictionaries(st.text("abcdef", min_size=1, max_size=2), st.integers(0, 3), max_size=12).map(
        lambda scores: sorted(((one, float(score)) for one, score in scores.items()), key=lambda item: -item[1])
    ),
    min_size=1,
    max_size=3,
)


def test_who_is_first_in_all_lists_has_all() -> None:
    assert fused([[("a", 9.0), ("b", 8.0)], [("a", 0.3), ("c", 0.2)]]) == [
        ("a", 1.0),
        ("b", pytest.approx(60 / 61 / 2)),
        ("c", pytest.approx(60 / 61 / 2)),
    ]


def test_of_those_that_tie_in_one_list_the_other_decides() -> None:
    by_words = [(name, 1.0) for name in "abcde"]
    by_meaning = [(name, 1 / place) for place, name in enumerate("ecabd", 1)]
    assert [one for one, _ in fused([by_words, by_meaning])] == list("ecabd")


@given(ORDERS)
def test_the_order_of_those_that_tie_does_not_count(orders: list[list[tuple[str, float]]]) -> None:
    found = fused(orders)
    assert found == fused([sorted(order, key=lambda item: (-item[1], item[0])) for order in orders])
    assert sorted(one for one, _ in found) == sorted({one for order in orders for one, _ in order})
    assert all(0 < score <= 1 + 1e-9 for _, score in found)
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)
