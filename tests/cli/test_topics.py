"""What the commands say of topics, messages and a job that is on its way, on a real broker."""

import asyncio
import base64
import json
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from cli.client import Client
from cli.kafka import brokers_of_api, with_brokers
from core.errors import FatalError
from core.settings import Settings
from tests.bus import PARTITIONS
from tests.cli.command import darkroom
from tests.cli.scripted_api import Answer, ScriptedApi, job
from tests.cli.terminal import in_terminal, lines
from tests.deadlines import HANG_SECONDS
from tests.parts import Part
from topics.admin import create_topics


@pytest.fixture
async def producer(kafka: Part) -> AsyncIterator[AIOKafkaProducer]:
    await create_topics(Settings(), kafka.address)
    producer = AIOKafkaProducer(bootstrap_servers=kafka.address)
    await producer.start()
    yield producer
    await producer.stop()


def headers(job_id: str) -> list[tuple[str, bytes]]:
    return [("job_id", job_id.encode()), ("content-type", b"application/json")]


async def send(producer: AIOKafkaProducer, topic: str, job_id: str, value: Any) -> None:
    sent = None if value is None else json.dumps(value).encode()
    await producer.send_and_wait(topic, sent, key=job_id.encode(), headers=headers(job_id))


async def read_all(kafka: Part, group: str, topic: str) -> None:
    """Let a group have finished what a topic holds now."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.address, group_id=group, enable_auto_commit=False)
    await consumer.start()
    parts = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    consumer.assign(parts)
    await consumer.commit(await consumer.end_offsets(parts))
    await consumer.stop()


async def test_topics_are_listed_with_the_lag_of_those_that_read_them_and_what_holds_them(
    kafka: Part, producer: AIOKafkaProducer, tmp_path: Path
) -> None:
    prefix = uuid.uuid4().hex[:8]
    await read_all(kafka, f"{prefix}-store", "db-write")
    for number in range(3):
        await send(producer, "db-write", f"job-{number}", {})
    settings = {"KAFKA_BROKERS": kafka.address, "KAFKA_GROUP_PREFIX": prefix}
    async with AIOKafkaProducer(bootstrap_servers=kafka.address, transactional_id=prefix) as holder:
        await holder.begin_transaction()
        await holder.send_and_wait("image-outcome", b"{}", partition=2)
        run = darkroom("topics", "--json", cwd=tmp_path, **settings)
        _, written = in_terminal("topics", columns=50, cwd=tmp_path, **settings)
        await holder.abort_transaction()
    assert run.returncode == 0, run.stderr
    found = {topic["name"]: topic for topic in json.loads(run.stdout)["topics"]}
    assert {"scan-request", "raw-path", "job-status", "dead-letter"} <= found.keys()
    assert found["db-write"]["lag"] == {f"{prefix}-store": 3}
    assert found["db-write"]["messages"] >= 3
    assert found["job-status"]["lag"] == {}
    assert found["db-write"]["held"] == []
    (held,) = found["image-outcome"]["held"]
    assert (held["partition"], held["messages"], held["transactional_id"]) == (2, 1, prefix)
    assert 0 <= held["seconds"] <= HANG_SECONDS
    shown = lines(written)
    assert f"The transaction of '{prefix}', open for " in " ".join(shown)
    assert "holds image-outcome, partition 2: 1 message is not read until it ends." in " ".join(shown)
    assert max(map(len, shown)) <= 50
    assert any(line.startswith("db-write ") and line.endswith(f"{prefix}-store 3") for line in shown)


async def test_tail_shows_the_newest_messages_of_a_job_with_pictures_shortened(
    kafka: Part, producer: AIOKafkaProducer, tmp_path: Path
) -> None:
    mine, other = f"job-{uuid.uuid4().hex}", f"job-{uuid.uuid4().hex}"
    jpeg = base64.b64encode(bytes(3000)).decode()
    for number in range(4):
        await send(producer, "ml-request", mine, {"path": f"/p/{number}.jpg", "rendition_base64": jpeg})
    await send(producer, "ml-request", other, {"path": "/p/other.jpg"})
    await send(producer, "ml-request", mine, None)
    # Messages of different partitions are told apart by their time, which is the broker's.
    last = await producer.send_and_wait(
        "ml-request", b"[" * 100_000, headers=headers(other)
    )  # deeper than Python reads
    while last.timestamp >= time.time_ns() // 1_000_000:
        await asyncio.sleep(0.001)
    await producer.send_and_wait("ml-request", b"\xff no JSON", headers=headers(mine))
    arguments = ("tail", "ml-request", "--job", mine, "-n", "4")
    run = darkroom(*arguments, cwd=tmp_path, KAFKA_BROKERS=kafka.address)
    assert run.returncode == 0, run.stderr
    assert "/p/1.jpg" not in run.stdout
    assert "/p/other.jpg" not in run.stdout
    assert run.stdout.index("/p/2.jpg") < run.stdout.index("/p/3.jpg") < run.stdout.index("an end marker")
    assert jpeg not in run.stdout
    assert "… (4,000 characters)" in run.stdout
    assert f"job_id: {mine}" in run.stdout
    assert "no JSON" in run.stdout

    as_json = darkroom(*arguments, "--json", cwd=tmp_path, KAFKA_BROKERS=kafka.address)
    messages = [json.loads(line) for line in as_json.stdout.splitlines()]
    assert [message["value"] for message in messages][2:] == [None, "\ufffd no JSON"]
    assert messages[0]["value"]["rendition_base64"] == jpeg


def test_the_api_knows_where_kafka_is(kafka: Part, tmp_path: Path) -> None:
    system = (200, {"addresses": {"kafka": kafka.address}})
    with ScriptedApi({"GET /system": [system], "GET /health": [(200, {})]}) as api:
        listed = darkroom("topics", cwd=tmp_path, DARKROOM_URL=api.url)
        shown = darkroom("tail", "raw-path", "-n", "1", cwd=tmp_path, DARKROOM_URL=api.url)
        examined = darkroom("doctor", cwd=tmp_path, DARKROOM_URL=api.url)
    assert (listed.returncode, "raw-path" in listed.stdout) == (0, True), listed.stderr
    assert shown.returncode == 0, shown.stderr
    assert f"{kafka.address}, " in examined.stdout


@pytest.mark.parametrize("brokers", ["127.0.0.1:9092", "kafka:9092,localhost:9092", "[::1]:9092"])
def test_a_kafka_on_the_apis_own_machine_is_not_looked_for_on_this_one(
    monkeypatch: pytest.MonkeyPatch, brokers: str
) -> None:
    monkeypatch.setattr(Client, "brokers", lambda _: brokers)
    assert brokers_of_api(Settings(darkroom_url="https://photos.example")) is None
    assert brokers_of_api(Settings(darkroom_url="http://127.0.0.1:8002")) == brokers


def test_an_api_that_cannot_say_where_kafka_is_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedApi({"GET /system": [(401, {"detail": "This Darkroom asks for a key."})]}) as api:
        for command in (["topics"], ["tail", "raw-path"]):
            run = darkroom(*command, cwd=tmp_path, DARKROOM_URL=api.url)
            assert (run.returncode, "does not say: This Darkroom asks for a key." in run.stderr) == (1, True)
    away = darkroom("topics", cwd=tmp_path, DARKROOM_URL="http://127.0.0.1:1")
    assert (away.returncode, "No Darkroom answers at http://127.0.0.1:1: " in away.stderr) == (3, True)
    monkeypatch.setattr(Client, "brokers", lambda _: "127.0.0.1:9092")
    with pytest.raises(
        FatalError, match=r"No Kafka is known here.*on its own machine, which is not this one.*KAFKA_BROKERS"
    ):
        with_brokers(Settings(darkroom_url="https://photos.example", darkroom_data=tmp_path), None)


def test_doctor_tells_of_parts_what_the_api_says(tmp_path: Path) -> None:
    state = {"ready": True, "detail": None}
    system = {
        "addresses": {"kafka": "127.0.0.1:1", "qdrant": "http://qdrant:6333", "ml": "http://ml:8000"},
        "parts": {"kafka": state, "qdrant": state, "ml": {"ready": False, "detail": "ML at http://ml:8000 is away"}},
    }
    with ScriptedApi({"GET /system": [(200, system)], "GET /health": [(200, {})]}) as api:
        said = darkroom("doctor", cwd=tmp_path, DARKROOM_URL=api.url).stdout
        assert f"ok      Qdrant         http://qdrant:6333, as the API at {api.url} says" in said
        assert "problem ML             ML at http://ml:8000 is away" in said
        assert "is not set: over HTTP" in said
        assert "QDRANT_URL" not in said
    with ScriptedApi({"GET /system": [(401, {"detail": "It asks for a key."})], "GET /health": [(200, {})]}) as api:
        said = darkroom("doctor", cwd=tmp_path, DARKROOM_URL=api.url).stdout
        assert "developer.mozilla" not in said
        for part in ("Kafka ", "Qdrant", "ML    "):
            assert f"problem {part}         not known, as the API does not say: It asks for a key." in said


def test_what_cannot_be_read_is_said_with_what_to_do(kafka: Part, tmp_path: Path) -> None:
    unknown = darkroom("tail", "nonsense", cwd=tmp_path, KAFKA_BROKERS=kafka.address)
    assert (unknown.returncode, "There is no topic nonsense. `darkroom topics`" in unknown.stderr) == (1, True)
    nowhere = darkroom("topics", cwd=tmp_path)
    assert (nowhere.returncode, "set KAFKA_BROKERS" in nowhere.stderr) == (1, True)
    away = darkroom("topics", cwd=tmp_path, KAFKA_BROKERS="127.0.0.1:1")
    assert (away.returncode, "correct KAFKA_BROKERS" in away.stderr) == (3, True)


async def test_doctor_says_where_a_job_is_what_it_waits_for_and_what_failed(
    kafka: Part, producer: AIOKafkaProducer, tmp_path: Path
) -> None:
    prefix, job_id = uuid.uuid4().hex[:8], f"job-{uuid.uuid4().hex}"
    await read_all(kafka, f"{prefix}-hash", "raw-path")
    for path in ("/p/slow.raw", "/p/next.jpg"):
        value = json.dumps({"path": path, "job_id": job_id}).encode()
        await producer.send_and_wait("raw-path", value, key=b"k", headers=headers(job_id))
        await asyncio.sleep(0.01)  # so that one is older
    await send(producer, "raw-path", "another-job", {"path": "/p/other.jpg"})
    running = job(
        "running",
        job_id=job_id,
        outcomes={"stored": 5, "failed": 2},
        total_files=10,
        stages={"hash": {"done": 8, "in_flight": 2}},
        waiting_for="ml",
    )
    letter = {"stage": "prepare", "error_class": "ContentError", "message": "/p/bad.jpg is damaged [truncated]."}
    routes = {
        f"GET /ingest/status/{job_id}": [(200, running)],
        "GET /dead-letters": [(200, {"letters": [letter, letter], "next": None})],
    }
    settings = {"KAFKA_BROKERS": kafka.address, "KAFKA_GROUP_PREFIX": prefix}
    with ScriptedApi(routes) as api:
        run = darkroom("doctor", job_id, "--json", cwd=tmp_path, DARKROOM_URL=api.url, **settings)
        _, written = in_terminal("doctor", job_id, columns=50, cwd=tmp_path, DARKROOM_URL=api.url, **settings)
        blind = darkroom("doctor", job_id, cwd=tmp_path, DARKROOM_URL=api.url)
    assert run.returncode == 1, run.stderr
    found = json.loads(run.stdout)
    assert (found["status"], found["in_work"]) == ("running", {"hash": 2})
    assert [(each["stage"], each["path"]) for each in found["slowest"]] == [
        ("hash", "/p/slow.raw"),
        ("hash", "/p/next.jpg"),
    ]
    slow, next_ = found["slowest"]
    assert slow["seconds"] > next_["seconds"] >= 0
    assert found["failures"] == [
        {"stage": "prepare", "error": "ContentError", "files": 2, "example": letter["message"]}
    ]
    todo = " ".join(found["problems"])
    assert "waits for ML" in todo
    assert "darkroom worker --stages hash" in todo
    assert f"darkroom retry-failed {job_id}" in todo
    shown = lines(written)
    assert max(map(len, shown)) <= 50
    assert "[truncated]" in " ".join(shown)
    assert "Files in work are not shown. No Kafka is known here." in " ".join(blind.stdout.split())


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"status": "running", "stalled": "7 files were published and not seen"}, ["--accept-missing", "walked again"]),
        ({"status": "running"}, ["--accept-missing", "walked again"]),  # no watchdog has looked yet
        ({"status": "completed_with_errors"}, ["a new job over the same folders"]),
    ],
    ids=["stalled", "running", "ended without them"],
)
def test_doctor_says_that_files_were_published_and_not_seen(
    fields: dict[str, str], said: list[str], tmp_path: Path
) -> None:
    lost = job(fields.pop("status"), outcomes={"stored": 1}, missing_files=7, sources=["/p"], **fields)
    with ScriptedApi({f"GET /ingest/status/{lost['job_id']}": [(200, lost)]}) as api:
        run = darkroom("doctor", lost["job_id"], "--json", cwd=tmp_path, DARKROOM_URL=api.url)
    [problem] = json.loads(run.stdout)["problems"]
    assert run.returncode == 1
    assert problem.startswith("7 files were published and not seen")
    assert all(words in problem for words in said)


def test_doctor_has_nothing_to_say_of_a_job_that_is_done(tmp_path: Path) -> None:
    done = job("completed", outcomes={"stored": 3})
    with ScriptedApi({f"GET /ingest/status/{done['job_id']}": [(200, done)]}) as api:
        run = darkroom("doctor", done["job_id"], cwd=tmp_path, DARKROOM_URL=api.url)
    assert run.returncode == 0, run.stderr
    assert "completed, 3/3 files" in run.stdout


def test_doctor_says_which_messages_nobody_can_read(tmp_path: Path) -> None:
    letters = [{"message": f"1 message of raw-path, offset {number}, cannot be read."} for number in range(5)]
    answers: list[Answer] = [(200, {"letters": []}), (200, {"letters": letters})]
    with ScriptedApi({"GET /health": [(200, {})], "GET /dead-letters": answers}) as api:
        run = darkroom("doctor", "--json", cwd=tmp_path, DARKROOM_URL=api.url)
    (check,) = [check for check in json.loads(run.stdout) if check["name"] == "Unreadable"]
    assert check["level"] == "problem"
    assert check["detail"].endswith("raw-path, offset 2, cannot be read. So 2 times more.")
    assert "darkroom dead-letters drop --error UnreadableMessageError" in check["mend"]
    assert "error_class=UnreadableMessageError&state=open" in [query for _, query, _ in api.asked if query][-1]
