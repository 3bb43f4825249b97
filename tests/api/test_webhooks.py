"""Finished jobs are told to another program: signed, and until it has them, also over a restart."""

import asyncio
import base64
import hashlib
import hmac
import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from core.settings import Settings
from rules.webhooks import signature
from tests.api.service import Service, eventually, serving
from topics.job_status import JobStatus, OutcomeCounts

SECRET = "whsec_" + base64.b64encode(b"sixteen bytes or so").decode()


@dataclass
class Receiver:
    """An HTTP server that notes what it is sent, and answers as it is told."""

    status: int = 200
    url: str = ""
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        self.requests.append((headers, await reader.readexactly(int(headers["content-length"]))))
        writer.write(f"HTTP/1.1 {self.status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    def jobs(self) -> list[str]:
        return [json.loads(body)["data"]["job_id"] for _, body in self.requests]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    async with await asyncio.start_server(made.serve, "127.0.0.1", 0) as server:
        made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
        yield made


@pytest.fixture
def telling(own: Settings, receiver: Receiver) -> Settings:
    """Settings with a consumer group of this test's own."""
    named = {"webhook_url": receiver.url, "webhook_secret": SECRET, "kafka_group_prefix": f"w{uuid.uuid4().hex[:8]}"}
    return Settings(**(own.model_dump() | named))


def finished(job_id: str) -> JobStatus:
    return JobStatus(
        job_id=job_id, status="completed", collection="c", progress=100, total_files=1, total_known=True,
        processed_files=1, cached_files=0, failed_files=0, outcomes=OutcomeCounts(stored=1), stages={}, rate=1,
        end_time="2026-01-01T00:00:00Z", ml_images_sent=1, message="", logs=[], offset=1,
    )  # fmt: skip


async def finish(service: Service, job_id: str) -> None:
    """Publish a job's last status as track does, twice: a late event is no news."""
    for _ in range(2):
        await service.publish_status(job_id, finished(job_id))


async def test_a_finished_job_is_told_until_it_is_taken_also_after_a_restart_and_then_no_more(
    telling: Settings, receiver: Receiver, job_id: str
) -> None:
    async with serving(telling) as service:
        await reads(service, receiver)
        receiver.status = 503
        await finish(service, job_id)
        await eventually(lambda: told(receiver, job_id, times=2))
    receiver.status = 200
    receiver.requests.clear()
    async with serving(telling) as service:
        await eventually(lambda: told(receiver, job_id, times=1))
        # In the same partition, or not: what is told later shows that the former was passed over.
        await finish(service, job_id)
        for number in range(3):
            await finish(service, f"{job_id}-{number}")
            await eventually(lambda: told(receiver, f"{job_id}-{number}", times=1))  # noqa: B023
        assert receiver.jobs().count(job_id) == 1


async def test_a_message_is_signed(telling: Settings, receiver: Receiver) -> None:
    async with serving(telling) as service:
        await reads(service, receiver)
    # Jobs of other tests are told too.
    headers, body = next(sent for sent in receiver.requests if b"2026-01-01T00:00:00Z" in sent[1])
    message = json.loads(body)
    assert (message["type"], message["timestamp"]) == ("job.finished", "2026-01-01T00:00:00Z")
    assert (message["data"]["status"], message["data"]["outcomes"]["stored"]) == ("completed", 1)
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(b"sixteen bytes or so", signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"


async def test_what_is_refused_again_and_again_holds_up_nothing(
    telling: Settings, receiver: Receiver, job_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.jobs.webhooks.LONGEST_WAIT_SECONDS", 0.05)
    async with serving(telling) as service:
        await reads(service, receiver)
        receiver.status = 400
        await finish(service, job_id)
        await eventually(lambda: told(receiver, job_id, times=5))
        receiver.status = 200
        await finish(service, f"{job_id}-2")
        await eventually(lambda: told(receiver, f"{job_id}-2", times=1))
        assert receiver.jobs().count(job_id) == 5


def test_the_signature_is_that_of_the_standard() -> None:
    """The example of the Standard Webhooks specification's reference libraries."""
    secret, message = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek"
    assert (
        signature(secret, message, 1614265330, b'{"test": 2432232314}')
        == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


async def reads(service: Service, receiver: Receiver) -> None:
    """Wait until something is told: what ended before the first start of all is no news."""

    async def look() -> bool:
        await service.publish_status(probe := f"probe-{uuid.uuid4().hex}", finished(probe))
        # One that is still on its way would be in the way of a job of its partition.
        for _ in range(50):
            if probe in receiver.jobs():
                return True
            await asyncio.sleep(0.02)
        return False

    await eventually(look)


async def told(receiver: Receiver, job_id: str, *, times: int) -> bool:
    return receiver.jobs().count(job_id) >= times
