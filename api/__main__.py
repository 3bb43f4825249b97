"""`python -m api [--host H] [--port N]`: serve until SIGTERM or Ctrl-C; where it cannot, say why and exit with 1."""

import argparse
import asyncio
import logging
import os
import socket
import sqlite3
import sys
import time

import structlog
import uvicorn

from api.main import create_app
from core import logs, tracing
from core import settings as environment
from core.disk import check_writable
from core.errors import FatalError
from core.settings import Settings
from gateways.kafka.client import answers
from gateways.kafka.connection import client_options
from rules.listening import KEYLESS, require_key
from topics.admin import create_topics

log = structlog.get_logger()

BROKER_SECONDS = 30.0
"""How long a broker that was started together with us may take."""
RETRY_SECONDS = 0.5
ANSWER_SECONDS = 3.0
GOODBYE_SECONDS = 3
"""How long event streams may go on after SIGTERM."""


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(prog="python -m api", description="Darkroom's HTTP service.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, default=8002)
    arguments = parser.parse_args()
    try:
        settings = environment.load()
        _check(settings)
        check_writable(settings.darkroom_data.resolve() / "api")
        logs.configure(settings, process="api")
        end_traces = tracing.configure(settings, f"api-{os.getpid()}")
        require_key(arguments.host, has_key=settings.darkroom_api_key is not None)
        reserved = _reserve(arguments.host, arguments.port)
        asyncio.run(_create_topics(settings))
        server = uvicorn.Server(
            uvicorn.Config(
                create_app(settings, reserved.getsockname()[1]),
                log_config=None,  # its lines look like ours
                log_level="warning",
                access_log=False,
                proxy_headers=False,  # the application knows which proxies it may believe
                timeout_graceful_shutdown=GOODBYE_SECONDS,
                lifespan="on",
            )
        )
        if settings.darkroom_api_key is None:
            log.info("api-without-key", detail=KEYLESS)
        try:
            server.run(sockets=[reserved])
        finally:
            end_traces()
    except KeyboardInterrupt:
        return
    except (FatalError, OSError, sqlite3.Error) as error:
        sys.exit(f"The HTTP service cannot start: {error}")
    if not server.started:
        sys.exit("The HTTP service cannot start: see the error above.")


def _check(settings: Settings) -> None:
    needed = {
        "KAFKA_BROKERS": settings.kafka_brokers,
        "QDRANT_URL": settings.qdrant_address,
        "ML_INFERENCE_SERVICE_URL": settings.ml_inference_service_url,
    }
    missing = [name for name, value in needed.items() if not value]
    if missing:
        raise FatalError(f"{', '.join(missing)} not set. `darkroom up` starts the parts and sets them.")


def _reserve(host: str, port: int) -> socket.socket:
    """Take the port, and refuse connections until the service is ready for them."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        reserved = socket.socket(family, kind, protocol)
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(address)
    except OSError as error:
        raise FatalError(f"cannot listen on {host}:{port} ({error.strerror}); choose another --port.") from error
    return reserved


async def _create_topics(settings: Settings) -> None:
    """Create the topics as soon as a broker answers. Raises FatalError when none does, or the topics do not fit."""
    aiokafka_log = logging.getLogger("aiokafka")
    level = aiokafka_log.level
    aiokafka_log.setLevel(logging.CRITICAL)  # It would tell of every try.
    deadline = time.monotonic() + BROKER_SECONDS
    while not await answers(client_options(settings), ANSWER_SECONDS):
        if time.monotonic() > deadline:
            break  # The next call says so.
        await asyncio.sleep(RETRY_SECONDS)
    await create_topics(settings, settings.kafka_brokers)
    aiokafka_log.setLevel(level)


if __name__ == "__main__":
    main()
