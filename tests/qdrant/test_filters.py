"""Filters that are refused; those that are understood are shown by what they find, in test_behaviour."""

from typing import Any

import pytest

from core.errors import RequestError
from gateways.qdrant.filters import to_filter


@pytest.mark.parametrize(
    "filters",
    [
        {"no_such_field": 1},
        {"thumbnail_base64": "abc"},
        {"camera_make": 5},
        {"camera_make": []},
        {"camera_make": ["Canon", 5]},
        {"iso": "100"},
        {"iso": True},
        {"iso": {}},
        {"iso": {"from": 100}},
        {"iso": {"gte": "100"}},
        {"taken_at": 2023},
        {"taken_at": "yesterday"},
        {"taken_at": {"gte": "2023-13"}},
        {"taken_at": "2023-02-30"},
        {"taken_at": "0000"},
        {"taken_at": "-0044-03-15"},
        {"taken_at": "10000"},
        {"rating": "4"},
        {"people": 5},
        {"caption": ["red"]},
        {"gps": {"north": 1}},
        {"gps": {"north": 1, "south": 0, "west": 0, "east": "1"}},
        {"gps": "Paris"},
        {"gps": {"lat": 91, "lon": 0, "radius": 1}},
        {"gps": {"lat": 0, "lon": 0, "radius": -1}},
        {"gps": {"north": 1, "south": 2, "west": 0, "east": 1}},
    ],
)
def test_a_wrong_filter_is_refused_by_name(filters: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match=next(iter(filters))) as error:
        to_filter(filters)
    assert error.value.status == 422


def test_no_filters_are_no_filter() -> None:
    assert to_filter({}) is None
