"""Shows the metrics of a worker over HTTP, in a thread of its own."""

import socketserver
import threading
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from core.errors import FatalError
from core.metrics import REGISTRY

# Several workers of one machine are given the same port to begin at.
PORTS = 100


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    # Newer Pythons set it, and two workers would share one port: each scrape would reach either.
    allow_reuse_port = False


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's
        """Say nothing of each scrape."""


class MetricsServer:
    """Serves on the first free port from `port` on; without a port it does nothing. `url` says where, or is None.

    Raises FatalError when none of the next PORTS can be had.
    """

    def __init__(self, host: str, port: int | None) -> None:
        self.url: str | None = None
        self._server: WSGIServer | None = None
        if port is None:
            return
        self._server = _first_free(host, port)
        self.url = f"http://{host}:{self._server.server_port}/metrics"
        threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()

    def close(self) -> None:
        """Serve no longer."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


def _first_free(host: str, port: int) -> WSGIServer:
    reason: OSError | None = None
    for candidate in range(port, min(port + PORTS, 65536)):
        try:
            return make_server(host, candidate, make_wsgi_app(REGISTRY), _Server, _Silent)
        except OSError as error:
            reason = error
    raise FatalError(
        f"No port from {port} on can show metrics on {host}: {reason}. Choose other METRICS_HOST and METRICS_PORT."
    ) from reason
