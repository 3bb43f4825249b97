"""A whole installation in which every part asks for a secret: it works, and none of the secrets is ever shown."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from core.settings import Settings, load
from embedded.ports import free_port
from gateways.kafka.connection import client_options
from tests import parts, pictures
from tests.deadlines import HANG_SECONDS
from tests.parts import Part
from tests.security.secured_kafka import PASSWORD, USER
from topics.admin import wanted
from topics.dead_letter import DEAD_LETTER
from topics.topology import TOPICS

API_KEY = "api-s3cret-of-the-api"
QDRANT_KEY = "qdrant-s3cret"
ML_TOKEN = "ml-s3cret"
SECRETS = (PASSWORD, API_KEY, QDRANT_KEY, ML_TOKEN)


@dataclass
class Installation:
    """A running `darkroom up` between parts that ask for secrets; `environment` has all it needs."""

    data: Path
    url: str
    environment: dict[str, str]

    def darkroom(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [Path(sys.executable).with_name("darkroom"), *arguments],
            cwd=parts.ROOT,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
            check=False,
        )

    @property
    def settings(self) -> Settings:
        given = {name.lower(): value for name, value in self.environment.items()}
        return Settings.model_validate({name: given[name] for name in Settings.model_fields if name in given})


@pytest.fixture(scope="module")
def secured(qdrant: Part, ml: Part, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("secured")
    kafka_port, qdrant_port, ml_port, port = (free_port() for _ in range(4))
    url = f"http://127.0.0.1:{port}"
    environment = os.environ | {
        "KAFKA_BROKERS": f"127.0.0.1:{kafka_port}",
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_USERNAME": USER,
        "KAFKA_SASL_PASSWORD": PASSWORD,
        "KAFKA_SSL_CA_FILE": str(folder / "kafka" / "authority.pem"),
        "KAFKA_MIN_INSYNC_REPLICAS": "1",
        "QDRANT_URL": f"http://127.0.0.1:{qdrant_port}",
        "QDRANT_API_KEY": QDRANT_KEY,
        "ML_INFERENCE_SERVICE_URL": f"http://127.0.0.1:{ml_port}",
        "ML_TOKEN": ML_TOKEN,
        "DARKROOM_API_KEY": API_KEY,
        "DARKROOM_URL": url,
        "DARKROOM_DATA": str(folder / "data"),
        "LOG_LEVEL": "DEBUG",
        # The command of this folder, wherever the installed one comes from.
        "PYTHONPATH": str(parts.ROOT),
    }
    kafka = ["-m", "tests.security.secured_kafka", "--data", str(folder / "kafka"), "--port", str(kafka_port)]
    front = ["-m", "tests.proxy", "--to", qdrant.url, "--port", str(qdrant_port), "--require", "api-key", QDRANT_KEY]
    ml_front = ["-m", "tests.proxy", "--to", ml.url, "--port", str(ml_port)]
    ml_front += ["--require", "authorization", f"Bearer {ML_TOKEN}"]
    with (
        parts.running("Kafka", kafka, kafka_port, folder / "kafka.log"),
        parts.running("Qdrant's front", front, qdrant_port, folder / "qdrant.log"),
        parts.running("ML's front", ml_front, ml_port, folder / "ml.log"),
        (folder / "up.log").open("wb") as output,
        subprocess.Popen(
            [Path(sys.executable).with_name("darkroom"), "up", "--port", str(port)],
            cwd=parts.ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        ) as up,
    ):
        try:
            deadline = time.monotonic() + HANG_SECONDS
            while b"Darkroom is ready" not in (said := (folder / "up.log").read_bytes()):
                assert up.poll() is None, said.decode()
                assert time.monotonic() < deadline, said.decode()
                time.sleep(0.1)
            yield Installation(folder / "data", url, environment)
        finally:
            up.send_signal(signal.SIGINT)
            up.wait(HANG_SECONDS)


def test_it_works_and_no_secret_is_shown_anywhere(secured: Installation, tmp_path: Path) -> None:
    pictures.write(tmp_path, range(9_200_000, 9_200_003))
    (tmp_path / "broken.jpg").write_text("no picture")
    shown: list[str] = []

    def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        done = secured.darkroom(*arguments, **environment)
        shown.extend([done.stdout, done.stderr])
        return done

    status = json.loads(run("ingest", str(tmp_path), "--collection", "secured", "--wait", "--json").stdout)
    assert (status["outcomes"]["stored"], status["outcomes"]["failed"]) == (3, 1)
    assert run("doctor").returncode == 0, shown[-2:]
    assert status["job_id"] in run("jobs").stdout

    assert "broken.jpg" in run("dead-letters", "list").stdout

    refused = run("jobs", DARKROOM_API_KEY="wrong-s3cret")
    assert (refused.returncode, "DARKROOM_API_KEY" in refused.stderr) == (1, True)
    assert "KAFKA_BROKERS" in run("doctor", KAFKA_SASL_PASSWORD="wrong-s3cret", DARKROOM_DATA=str(tmp_path)).stdout
    assert run("doctor", KAFKA_SSL_CA_FILE="", DARKROOM_DATA=str(tmp_path)).returncode == 1
    assert run("jobs", KAFKA_SSL_KEY_FILE="x", KAFKA_PARTITIONS="0").returncode == 1

    with httpx.Client(base_url=secured.url, headers={"X-API-Key": API_KEY}) as http:
        for path in ("/ready", "/openapi.json", "/api/v1/capabilities", "/api/v1/ingest/recent_jobs"):
            response = http.get(path)
            assert response.status_code == 200, response.text
            shown.append(response.text)
    shown.append(httpx.get(f"{secured.url}/api/v1/capabilities").text)
    shown.append(asyncio.run(everything_in_kafka(secured.settings)))
    assert "broken.jpg" in shown[-1]

    files = [path for path in secured.data.rglob("*") if path.is_file()] + [secured.data.parent / "up.log"]
    assert {"state.json", "api.log", "worker-1.log", "worker-2.log", "worker-3.log", "kept.db"} <= {
        path.name for path in files
    }
    assert len((secured.data / "logs" / "worker-3.log").read_bytes()) > 1000
    shown += [path.read_bytes().decode("latin-1") for path in files]
    for secret in (*SECRETS, "wrong-s3cret"):
        assert [text[:300] for text in shown if secret in text] == []


async def everything_in_kafka(settings: Settings) -> str:
    """Return all that any topic holds, headers too."""
    consumer = AIOKafkaConsumer(**client_options(settings), auto_offset_reset="earliest")
    await consumer.start()
    try:
        names = [*(topic.name for topic in TOPICS), DEAD_LETTER]
        places = [TopicPartition(name, number) for name in names for number in range(settings.kafka_partitions)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        found: list[str] = []
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += [f"{record.key!r} {record.headers!r} {record.value!r}" for record in records]
        return "\n".join(found)
    finally:
        await consumer.stop()


async def test_the_broker_really_asks_for_the_password(secured: Installation) -> None:
    for wrong in ({"kafka_sasl_password": "wrong"}, {"kafka_security_protocol": "SSL"}, {"kafka_ssl_ca_file": None}):
        settings = Settings.model_validate(secured.settings.model_dump() | wrong)
        admin = AIOKafkaAdminClient(**client_options(settings), request_timeout_ms=3000)
        with pytest.raises((KafkaError, OSError)):
            await admin.start()
        await admin.close()


async def test_topics_ask_for_the_replicas_that_are_set(secured: Installation) -> None:
    admin = AIOKafkaAdminClient(**client_options(secured.settings))
    await admin.start()
    try:
        names = [topic.name for topic in wanted(secured.settings)]
        [answer] = await admin.describe_configs(
            [ConfigResource(ConfigResourceType.TOPIC, name, {"min.insync.replicas": ""}) for name in names]
        )
        found = {name: configs[0][1] for _, _, _, name, configs in answer.resources}
        # Set on the topic itself, so that a broker's default does not matter.
        assert found == dict.fromkeys(names, "1")
    finally:
        await admin.close()
    more = secured.settings.model_copy(update={"kafka_replication_factor": 3, "kafka_min_insync_replicas": 2})
    assert {(t.replication_factor, t.topic_configs["min.insync.replicas"]) for t in wanted(more)} == {(3, "2")}


class TestSettings:
    def test_a_secret_does_not_show_in_the_settings(self, secured: Installation) -> None:
        settings = secured.settings
        shown = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
        assert not [secret for secret in SECRETS if secret in shown]

    @pytest.mark.parametrize(
        ("variables", "reason"),
        [
            ({"DARKROOM_API_KEY": "s3cret with space"}, "DARKROOM_API_KEY"),
            ({"QDRANT_API_KEY": "s3cret\n"}, "QDRANT_API_KEY"),
            ({"ML_TOKEN": "s3cretß"}, "ML_TOKEN"),
            ({"QDRANT_URL": "http://user:s3cret@host"}, "QDRANT_URL"),
            ({"ML_INFERENCE_SERVICE_URL": "http://s3cret@host"}, "ML_INFERENCE_SERVICE_URL"),
            ({"DARKROOM_URL": "http://a:s3cret@host:8002"}, "DARKROOM_URL"),
            ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_PASSWORD": "s3cret"}, "KAFKA_SASL_USERNAME"),
            ({"KAFKA_SECURITY_PROTOCOL": "s3cret"}, "KAFKA_SECURITY_PROTOCOL"),
            ({"KAFKA_SSL_KEY_FILE": "/s3cret"}, "KAFKA_SSL_CERT_FILE"),
            ({"KAFKA_MIN_INSYNC_REPLICAS": "2"}, "KAFKA_REPLICATION_FACTOR"),
        ],
    )
    def test_what_cannot_be_used_is_named_and_not_quoted(
        self, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], reason: str
    ) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(Exception, match=reason) as caught:
            load()
        assert "s3cret" not in f"{caught.value} {caught.value.__cause__!r}"

    def test_an_empty_secret_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("DARKROOM_API_KEY", "QDRANT_API_KEY", "ML_TOKEN", "KAFKA_SSL_CA_FILE"):
            monkeypatch.setenv(name, "")
        settings = load()
        assert (settings.darkroom_api_key, settings.qdrant_api_key, settings.ml_token) == (None, None, None)
        assert settings.kafka_ssl_ca_file is None

    def test_tls_files_that_are_missing_are_named(self, tmp_path: Path) -> None:
        settings = Settings(kafka_security_protocol="SSL", kafka_ssl_ca_file=tmp_path / "none.pem")
        with pytest.raises(Exception, match="KAFKA_SSL_CA_FILE"):
            client_options(settings)
