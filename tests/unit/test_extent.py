"""Which dead letters are about what is to be forgotten, be they of any program."""

from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from api.forgetting.extent import Extent

SHA256 = "a" * 64


@pytest.mark.parametrize(
    ("value", "is_meant"),
    [
        ({"sha256": SHA256}, True),
        ({"sha256": [SHA256]}, False),
        ({"sha256": {"a": 1}, "collection": ["home"]}, False),
        ([SHA256], False),
        (None, False),
    ],
)
def test_what_other_programs_published_is_read_as_far_as_it_can_be(value: Any, is_meant: bool) -> None:
    letter: Any = SimpleNamespace(value=orjson.dumps(value), path="/nowhere/a.jpg")
    assert Extent(contents={SHA256: ["home"]}).has(letter) is is_meant
    assert Extent(only="home").has(letter) is False
