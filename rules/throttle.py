"""How often somebody may be wrong: a few times at once, then now and then. Time is given, never read."""

import ipaddress
import math

MOST_KNOWN = 10_000
"""Callers that are remembered; beyond it the one that has been quiet the longest is forgotten."""


class Throttle:
    """Allows `burst` failures at once and one more each `seconds`, to each caller and to all together."""

    def __init__(self, *, burst: int, seconds: float, all_burst: int, all_seconds: float) -> None:
        self._one = (burst, seconds)
        self._all = (all_burst, all_seconds)
        # When the failures so far will be forgotten: each puts it off by `seconds`.
        self._clear: dict[str, float] = {}
        self._all_clear = 0.0

    def wait(self, caller: str, now: float) -> int:
        """Return the whole seconds until this caller may try again; 0: now."""
        left = max(_left(self._clear.get(group(caller), 0.0), *self._one, now), _left(self._all_clear, *self._all, now))
        return math.ceil(left)

    def failed(self, caller: str, now: float) -> None:
        """Note a failure."""
        name = group(caller)
        clear = max(now, self._clear.pop(name, 0.0)) + self._one[1]
        self._all_clear = max(now, self._all_clear) + self._all[1]
        if len(self._clear) >= MOST_KNOWN:
            del self._clear[next(iter(self._clear))]
        self._clear[name] = clear  # the last in order: it failed last


def group(caller: str) -> str:
    """Return what stands for all addresses of one caller: a network of IPv6 has more than anyone can remember."""
    try:
        address = ipaddress.ip_address(caller)
    except ValueError:
        return caller
    if address.version == 6:
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return caller


def _left(clear: float, burst: int, seconds: float, now: float) -> float:
    return max(0.0, clear - now - (burst - 1) * seconds)
