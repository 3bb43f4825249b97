"""Who is wrong a few times has to wait, and nobody fills the memory."""

import tracemalloc

from rules.throttle import MOST_KNOWN, Throttle, group


def new() -> Throttle:
    return Throttle(burst=3, seconds=10, all_burst=20, all_seconds=1)


def test_a_few_failures_are_free_then_one_comes_in_each_span() -> None:
    throttle = new()
    for _ in range(3):
        assert throttle.wait("a", 100.0) == 0
        throttle.failed("a", 100.0)
    assert throttle.wait("a", 100.0) == 10
    assert throttle.wait("a", 109.5) == 1
    assert throttle.wait("a", 110.0) == 0
    throttle.failed("a", 110.0)
    assert throttle.wait("a", 110.0) == 10
    assert throttle.wait("b", 110.0) == 0
    assert throttle.wait("a", 1000.0) == 0


def test_all_together_are_bound_too() -> None:
    throttle = new()
    for number in range(20):
        assert throttle.wait(f"10.0.0.{number}", 100.0) == 0
        throttle.failed(f"10.0.0.{number}", 100.0)
    assert throttle.wait("10.0.1.1", 100.0) == 1
    assert throttle.wait("10.0.1.1", 101.0) == 0


def test_a_network_of_ipv6_is_one_caller() -> None:
    assert group("2001:db8:1:2::1") == group("2001:db8:1:2:ffff::9") != group("2001:db8:1:3::1")
    assert group("::ffff:203.0.113.5") == group("203.0.113.5")
    assert group("") == ""
    assert group("testclient") == "testclient"


def test_memory_has_a_bound_and_the_newest_are_known() -> None:
    throttle = Throttle(burst=1, seconds=10, all_burst=10**9, all_seconds=1e-9)
    tracemalloc.start()
    try:
        for number in range(10 * MOST_KNOWN):
            throttle.failed(f"caller {number}", 100.0)
        assert tracemalloc.get_traced_memory()[0] < 10_000_000
    finally:
        tracemalloc.stop()
    assert throttle.wait(f"caller {10 * MOST_KNOWN - 1}", 100.0) == 10
