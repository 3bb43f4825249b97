"""Keys go where every Kafka client puts them."""

from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from rules.partitions import partitions_of


@given(keys=st.lists(st.binary(max_size=70), max_size=20), count=st.integers(1, 64))
def test_keys_go_where_a_client_puts_them(keys: list[bytes], count: int) -> None:
    every = [*range(count)]
    assert partitions_of(keys, count) == [DefaultPartitioner()(key, every, every) for key in keys]


def test_a_long_key_among_short_ones() -> None:
    keys = [b"a", b"/photos/" + b"x" * 4000, b"", b"abc", b"abcd"]
    assert partitions_of(keys, 8) == [DefaultPartitioner()(key, [*range(8)], [*range(8)]) for key in keys]
