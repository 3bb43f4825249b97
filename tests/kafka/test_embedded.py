"""The embedded broker: its folder, and its data after a restart."""

import asyncio
import shutil
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from core.settings import Settings
from embedded import kafka
from embedded.ports import free_port, free_ports
from tests import parts
from tests.deadlines import HANG_SECONDS
from topics.admin import create_topics


def test_a_cluster_id_that_begins_with_a_dash_is_no_option(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    config = data / "server.properties"
    config.write_text(kafka.CONFIG.format(port=free_port(), controller_port=free_port(), logs=data / "logs"))
    kafka.format_storage(config, "-AAAAAAAAAAAAAAAAAAAAA")
    assert "cluster.id=-AAAA" in (data / "logs" / "meta.properties").read_text()


async def test_data_is_there_after_a_restart_on_another_port(tmp_path: Path) -> None:
    port = free_port()
    part = parts.start("Kafka", parts.kafka_arguments(tmp_path / "data", port), port, tmp_path / "log")
    try:
        await create_topics(Settings(), part.address)
        async with AIOKafkaProducer(bootstrap_servers=part.address) as producer:
            sent = await producer.send_and_wait("raw-path", b"value", key=b"key")
    finally:
        part.kill()
    port = free_port()
    with parts.running("Kafka", parts.kafka_arguments(tmp_path / "data", port), port, tmp_path / "log") as part:
        async with AIOKafkaConsumer(bootstrap_servers=part.address, auto_offset_reset="earliest") as consumer:
            consumer.assign([TopicPartition("raw-path", sent.partition)])
            record = await asyncio.wait_for(consumer.getone(), HANG_SECONDS)
            assert (record.offset, record.value) == (sent.offset, b"value")


def test_its_controller_has_a_port_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(parts.formatted(), tmp_path / "data")
    port, other = free_ports(2)
    drawn = iter([port, other])
    monkeypatch.setattr("random.randint", lambda *_: next(drawn))
    kafka.prepare(tmp_path / "data", port)
    assert f"CONTROLLER://127.0.0.1:{other}\n" in (tmp_path / "data" / "server.properties").read_text()


def test_a_port_in_use_is_said(tmp_path: Path, qdrant: parts.Part) -> None:
    with pytest.raises(AssertionError, match=f"Port {qdrant.port} is in use"):
        parts.start("Kafka", parts.kafka_arguments(tmp_path / "data", qdrant.port), free_port(), tmp_path / "log")


def test_partitions_are_told_by_what_the_broker_holds(tmp_path: Path) -> None:
    assert kafka.partitions_of(tmp_path, "raw-path") == 0
    for name in ("raw-path-0", "raw-path-1", "raw-path-old-7", "hashed-file-0"):
        (tmp_path / "logs" / name).mkdir(parents=True)
    assert kafka.partitions_of(tmp_path, "raw-path") == 2
