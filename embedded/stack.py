"""Darkroom on one machine: which parts it needs, what they are called with, and how they find each other."""

import asyncio
import errno
import os
import socket
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from core.errors import FatalError, KafkaUnavailableError
from core.settings import Settings, Stage
from embedded import kafka, ports, probes
from embedded.models.shelf import Shelf
from embedded.part import Part
from gateways.kafka.client import Connection
from gateways.kafka.connection import client_options
from rules.listening import require_key

ROOT = Path(__file__).resolve().parents[1]
LOOPBACK = "127.0.0.1"
MODEL_SECONDS = 300.0  # to load a model's weights from a slow disk
# An event loop holds one core, and hashing waits for no decode in a worker of its own. More gained nothing more.
# One process has them all: more cost it more, and gain nothing. Topics that are there keep their number.
PARTITIONS = 4
RAW_PATH = "raw-path"
WORKERS: dict[str, tuple[Stage, ...]] = {
    "worker-1": ("hash",),
    "worker-2": ("prepare",),
    "worker-3": ("scan", "embed", "store", "track"),
}


@dataclass(frozen=True)
class Stack:
    """The parts to start, in waves; the API's URL; and the settings, by name, that lead a program to them."""

    waves: tuple[tuple[Part, ...], ...]
    url: str
    addresses: dict[str, str]
    kafka: Connection
    """On it the brokers are asked who works; open until its block ends."""


def plan(settings: Settings, data: Path, *, host: str, port: int) -> Stack:
    """Return the parts that the settings leave to us. Raises FatalError when the API's port cannot be had.

    Also where a model is wanted that is not here, and where settings do not fit together: a host beyond this machine
    without a key, or a secured Kafka that is not named, as the embedded one asks for nothing.
    """
    require_key(host, has_key=settings.darkroom_api_key is not None)
    if not settings.kafka_brokers and settings.kafka_security_protocol != "PLAINTEXT":
        raise FatalError("KAFKA_SECURITY_PROTOCOL is for a cluster of yours: set KAFKA_BROKERS to it, or unset both.")
    require_port(host, port)
    kafka_port, controller_port, qdrant_port, ml_port = ports.free_ports(4, besides=[port])
    url = f"http://{LOOPBACK if host in {'', '0.0.0.0', '::'} else host}:{port}"  # noqa: S104 - compared, not bound
    addresses = {
        "KAFKA_BROKERS": settings.kafka_brokers or f"{LOOPBACK}:{kafka_port}",
        "QDRANT_URL": settings.qdrant_address or f"http://{LOOPBACK}:{qdrant_port}",
        "ML_INFERENCE_SERVICE_URL": settings.ml_inference_service_url or f"http://{LOOPBACK}:{ml_port}",
        "DARKROOM_URL": url,
    }
    if not settings.kafka_brokers and "kafka_partitions" not in settings.model_fields_set:
        addresses["KAFKA_PARTITIONS"] = str(kafka.partitions_of(data / "kafka", RAW_PATH) or PARTITIONS)
    environment = addresses | {
        "DARKROOM_DATA": str(data),
        # The children find Darkroom's own modules first, wherever they were started.
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        "PYTHONSAFEPATH": "1",
        "PYTHONUNBUFFERED": "1",
    }

    def part(
        name: str,
        command: list[str],
        address: str,
        is_ready: Callable[[int], Awaitable[bool]],
        *,
        vital: bool = False,
        **seconds: float,
    ) -> Part:
        return Part(name, [sys.executable, *command], address, is_ready, environment, vital=vital, **seconds)

    def service(name: str, module: str, port: int, *options: str, health: str, start_seconds: float = 60.0) -> Part:
        address = f"http://{LOOPBACK}:{port}"
        command = ["-m", module, "--host", LOOPBACK, "--port", str(port), *options]
        return part(
            name, command, address, lambda _pid: probes.http_answers(address + health), start_seconds=start_seconds
        )

    embedded = []
    if not settings.kafka_brokers:
        broker = ["-m", "embedded.kafka", "--data", str(data / "kafka"), "--port", str(kafka_port)]
        broker += ["--controller-port", str(controller_port)]
        embedded.append(
            part(
                "kafka",
                broker,
                f"{LOOPBACK}:{kafka_port}",
                lambda _pid: probes.broker_answers(kafka_port),
                start_seconds=300.0,  # the first start fetches the jars
                grace_seconds=20.0,
                vital=True,
            )
        )
    if not settings.qdrant_address:
        embedded.append(
            service("qdrant", "embedded.qdrant", qdrant_port, "--data", str(data / "qdrant"), health="/healthz")
        )
    if not settings.ml_inference_service_url:
        Shelf(data).in_use(settings.ml_model)  # refuses one that is not here, before anything starts
        # Else it is the one that was chosen last, also while we run.
        forced = ["--model", settings.ml_model] if settings.ml_model else []
        embedded.append(service("ml", "embedded.ml", ml_port, *forced, health="/health", start_seconds=MODEL_SECONDS))

    connection = Connection(client_options(settings.model_copy(update={"kafka_brokers": addresses["KAFKA_BROKERS"]})))

    def worker(name: str, stages: tuple[Stage, ...]) -> Part:
        groups = [settings.group(stage) for stage in stages]
        return part(
            name,
            [str(Path(sys.executable).with_name("darkroom")), "worker", "--stages", ",".join(stages)],
            ", ".join(stages),
            probes.JoinedGroups(connection, groups),
            start_seconds=120.0,
            grace_seconds=20.0,
            # The broker throws out a worker that hangs after this session; some time to come back by itself.
            stuck_seconds=settings.kafka_session_timeout_seconds + 20.0,
        )

    ours = (
        *(worker(name, stages) for name, stages in WORKERS.items()),
        part(
            "api",
            ["-m", "api", "--host", host, "--port", str(port)],
            url,
            lambda _pid: probes.http_answers(f"{url}/health"),
            vital=True,
        ),
    )
    return Stack((tuple(embedded), ours), url, addresses, connection)


async def require_given(settings: Settings) -> list[tuple[str, str]]:
    """Return the parts that the settings name, with their addresses.

    Raises KafkaUnavailableError when no broker answers: every other part can be waited for.
    """
    given = []
    if settings.kafka_brokers:
        if not await asyncio.wait_for(probes.brokers_answer(client_options(settings)), timeout=30):
            raise KafkaUnavailableError(
                f"No Kafka broker answers at {settings.kafka_brokers}. "
                "Start it, correct KAFKA_BROKERS, or unset it for an embedded broker."
            )
        given.append(("kafka", f"{settings.kafka_brokers} (KAFKA_BROKERS)"))
    if settings.qdrant_address:
        given.append(("qdrant", f"{settings.qdrant_address} (QDRANT_URL)"))
    if settings.ml_inference_service_url:
        given.append(("ml", f"{settings.ml_inference_service_url} (ML_INFERENCE_SERVICE_URL)"))
    return given


def require_port(host: str, port: int) -> None:
    """Raise FatalError unless this process could listen there."""
    try:
        with socket.create_server((host, port)):
            pass
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise FatalError(
                f"Port {port} on {host} is in use. Choose another with --port, or end the program that listens there."
            ) from error
        raise FatalError(
            f"Nothing can listen on port {port} of {host}: {error.strerror}. Choose another --host or --port."
        ) from error
