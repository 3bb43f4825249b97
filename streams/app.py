"""The Faust app of a stage: its settings, and the mended consumer and producer."""

import os
import ssl
from pathlib import Path

import faust
from aiokafka import AIOKafkaProducer
from faust.tables import TableManager

from core.settings import Settings, Stage
from gateways.kafka.connection import ClientOptions, client_options
from streams.consumer import PutAside, make_gapless
from streams.producer import share
from streams.recovery import TableRecovery


class _Tables(TableManager):
    """Faust's, without the second that it waits at each start for tables to be declared: ours all are."""

    @property
    def recovery(self) -> TableRecovery:
        """Return what brings the tables up to their changelogs."""
        if self._recovery is None:
            self._recovery = TableRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        found: TableRecovery = self._recovery  # type: ignore[assignment]  # nobody else makes one
        return found

    async def on_start(self) -> None:
        await self._update_channels()
        await self.recovery.start()


def new_app(
    name: Stage, settings: Settings, datadir: Path, producer: AIOKafkaProducer, put_aside: PutAside
) -> faust.App:
    """Return a stage's Faust app; its id is the name of its consumer group. docs/architecture.md has Faust's holes."""
    datadir.mkdir(parents=True, exist_ok=True)
    app = faust.App(
        settings.group(name),
        broker=[f"kafka://{broker}" for broker in settings.kafka_brokers.split(",")],
        broker_credentials=_credentials(client_options(settings)),
        store="rocksdb://",
        # Tells this process from one that was killed and still counts as a member of the group.
        broker_client_id=f"darkroom-{os.getpid()}",
        datadir=str(datadir),
        topic_partitions=settings.kafka_partitions,
        topic_allow_declare=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        broker_commit_interval=1.0,
        broker_commit_every=500,
        broker_session_timeout=settings.kafka_session_timeout_seconds,
        broker_heartbeat_interval=settings.kafka_session_timeout_seconds / 3,
        broker_rebalance_timeout=60.0,
        broker_max_poll_interval=600.0,
        broker_max_poll_records=200,
        broker_request_timeout=90.0,
        stream_buffer_maxsize=128,
        stream_wait_empty=False,
        table_standby_replicas=0,
        TableManager=_Tables,
        worker_redirect_stdouts=False,
        web_enabled=False,
    )
    share(app, producer)
    make_gapless(app, client_options(settings), put_aside)
    return app


def _credentials(options: ClientOptions) -> faust.SASLCredentials | ssl.SSLContext | None:
    """Return Faust's `broker_credentials` for a client's options; None for a broker that asks for nothing."""
    tls: ssl.SSLContext | None = options.get("ssl_context")
    if "sasl_mechanism" not in options:
        return tls
    return faust.SASLCredentials(
        mechanism=options["sasl_mechanism"],
        username=options["sasl_plain_username"],
        password=options["sasl_plain_password"],
        ssl_context=tls,
    )
