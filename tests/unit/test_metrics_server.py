"""Workers of one machine show their metrics side by side."""

import socket

import httpx
import pytest

from agents.metrics_server import PORTS, MetricsServer
from core.errors import FatalError
from embedded.ports import free_port


def test_a_second_worker_takes_the_next_port() -> None:
    port = free_port()
    first, second = MetricsServer("127.0.0.1", port), MetricsServer("127.0.0.1", port)
    try:
        assert first.url != second.url
        for url in (first.url, second.url):
            assert url is not None
            assert "darkroom_event_loop_lag_seconds" in httpx.get(url).text
    finally:
        first.close()
        second.close()
    with pytest.raises(httpx.ConnectError):
        httpx.get(str(first.url))


def test_without_a_port_nothing_is_shown() -> None:
    server = MetricsServer("127.0.0.1", None)
    assert server.url is None
    server.close()


def test_where_no_port_can_be_had_the_settings_are_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(FatalError, match="METRICS_HOST and METRICS_PORT"):
            MetricsServer("192.0.2.1", port)  # an address that no machine has
    assert PORTS > 1
