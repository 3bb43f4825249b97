"""Free TCP ports of this host."""

import random
import socket
from collections.abc import Collection
from contextlib import ExitStack

from core.errors import FatalError

# Below the ports that systems give to outgoing connections (from 32768 on Linux, from 49152 by IANA): a connection
# that is made before the caller listens cannot take one of these.
FIRST, LAST = 20_000, 32_000
TRIES = 100


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that nobody listens on now. Someone may take it before the caller does."""
    with _free_port(host, ()) as probe:
        return _number(probe)


def free_ports(count: int, *, besides: Collection[int] = ()) -> list[int]:
    """Return ports as `free_port` does, all different, and none of those that somebody is going to listen on."""
    with ExitStack() as probes:
        return [_number(probes.enter_context(_free_port("127.0.0.1", besides))) for _ in range(count)]


def is_open(port: int, host: str = "127.0.0.1") -> bool:
    """Tell whether somebody listens on a port."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((host, port)) == 0


def _free_port(host: str, besides: Collection[int]) -> socket.socket:
    """Return a socket that holds a port. At random: programs that ask at the same time get different ones."""
    for _ in range(TRIES):
        port = random.randint(FIRST, LAST)  # noqa: S311 - no secret
        if port in besides:
            continue
        probe = socket.socket()
        try:
            probe.bind((host, port))
        except OSError:
            probe.close()
        else:
            return probe
    raise FatalError(f"None of {TRIES} ports between {FIRST} and {LAST} is free.")


def _number(probe: socket.socket) -> int:
    port: int = probe.getsockname()[1]
    return port
