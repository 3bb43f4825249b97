"""Producers as Darkroom has them: what was sent is neither lost nor repeated nor reordered."""

from typing import Any

from aiokafka import AIOKafkaProducer

from gateways.kafka.connection import ClientOptions


def new_producer(kafka: ClientOptions, max_request_size: int, **options: Any) -> AIOKafkaProducer:
    """Return a producer, not started. A message counts as sent when all replicas in sync have it."""
    return AIOKafkaProducer(**kafka, acks="all", enable_idempotence=True, max_request_size=max_request_size, **options)
