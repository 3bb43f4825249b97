"""`python -m embedded.qdrant --data DIR [--host H] [--port N]`: serve until SIGTERM or Ctrl-C."""

import argparse
import socket
import sys
from pathlib import Path

import uvicorn

from core.errors import FatalError
from embedded.guard import NoWebPages
from embedded.qdrant.app import make_app
from embedded.qdrant.store import Store


def main() -> None:
    """Serve the data folder. Exits with 1, saying why, when the port or the folder cannot be had."""
    parser = argparse.ArgumentParser(prog="python -m embedded.qdrant", description="An embedded Qdrant.")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the collections")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, default=6333)
    arguments = parser.parse_args()
    try:
        listener = _listen(arguments.host, arguments.port)
        app = NoWebPages(make_app(Store(arguments.data)), arguments.host)
    except (FatalError, OSError) as error:
        sys.exit(f"The embedded Qdrant cannot start: {error}")
    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=10)
    uvicorn.Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port))
    except OSError as error:
        raise FatalError(f"cannot listen on {host}:{port} ({error.strerror}); choose another --port.") from error


if __name__ == "__main__":
    main()
