"""The producer of a worker: one for all its stages, idempotent, and no faster than it can gather.

Faust has a producer for each app, and asks for idempotence only together with `processing_guarantee="exactly_once"`,
which loses data (faust-streaming #136, #177, #323, #440, #517). Idempotent, a retry after a lost answer neither
repeats nor reorders.

aiokafka sends what it has as soon as the request before is answered; its linger is of each partition by itself. At
tens of files a second every message was a request of its own, which costs Kafka and us more than the message.
"""

import asyncio
import os
from typing import Any

import faust
from aiokafka import AIOKafkaProducer
from aiokafka.producer.sender import Sender
from faust.transport.drivers.aiokafka import Producer
from faust.transport.producer import Producer as BufferedProducer

from core.pace import Pace
from core.settings import Settings
from gateways.kafka import producer as plain
from gateways.kafka.connection import client_options
from topics.limits import MAX_REQUEST_BYTES

# What is sent meanwhile goes with the next request to the same broker. A message that comes alone does not wait.
PAUSE_SECONDS = 0.02
# Where requests are sent often.
LONG_PAUSE_SECONDS = 0.05
# Requests within a second: those of several stages, each of which sends about every file.
OFTEN_SENT = 16
MAX_BATCH_BYTES = 256 << 10


def new_producer(settings: Settings) -> AIOKafkaProducer:
    """Return the producer of a worker, not started."""
    producer = plain.new_producer(
        client_options(settings),
        MAX_REQUEST_BYTES,
        client_id=f"darkroom-{os.getpid()}",
        max_batch_size=MAX_BATCH_BYTES,
        request_timeout_ms=120_000,
    )
    _pace(producer._sender)
    return producer


def _pace(sender: Sender) -> None:
    send, pace = sender._send_produce_req, Pace(OFTEN_SENT)

    async def send_and_pause(node_id: int, batches: Any) -> None:
        await send(node_id, batches)
        # To the sender, the broker has not answered yet.
        sender._in_flight.add(node_id)
        pace.note()
        await asyncio.sleep(LONG_PAUSE_SECONDS if pace.is_high else PAUSE_SECONDS)
        sender._in_flight.remove(node_id)

    sender._send_produce_req = send_and_pause


def share(app: faust.App, producer: AIOKafkaProducer) -> None:
    """Have an app that has not started send by a producer that others use as well, and that others start and stop."""

    class Shared(Producer):
        async def on_start(self) -> None:
            await BufferedProducer.on_start(self)
            self._producer = producer

        async def on_stop(self) -> None:
            await BufferedProducer.on_stop(self)
            self._producer = None

    # Not `producer_transport`: Faust makes the producer of an app from the transport of its consumer.
    app.transport.Producer = Shared  # type: ignore[misc]
