"""What is replayed from a job that was forgotten: files run as a new job, and what brings it no file stays as it is."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from api.jobs.publisher import Outgoing
from api.jobs.succession import Succession

FILE = {"job_id": "old", "collection": "c", "path": "/a.jpg", "model_id": "m", "size": 1, "mtime_ns": 1}


class Publisher:
    """What is published to begin a job and to end it."""

    def __init__(self) -> None:
        self.published: list[str] = []

    async def queued(self, *_: Any, **__: Any) -> None:
        self.published.append("queued")

    async def seen(self, _file: Any) -> None:
        self.published.append("seen")

    async def close(self, _job_id: str) -> None:
        self.published.append("closed")


async def forgotten(_job_id: str) -> Any:
    return SimpleNamespace(forgotten=True, collection="c", caption=False, model_id="m")


@pytest.mark.parametrize(
    ("topic", "record", "published"),
    [
        ("raw-path", FILE, ["queued", "closed"]),
        ("hashed-file", FILE, ["queued", "seen", "closed"]),
        ("scan-request", {"job_id": "old", "collection": "c", "sources": ["/a"]}, ["queued"]),
        # A letter may hold what did not validate: whoever reads it says so once more.
        ("raw-path", {"job_id": "old", "collection": "c"}, []),
        ("hashed-file", {"job_id": "old", "collection": "c"}, []),
        ("image-outcome", {"kind": "job-cancelled", "job_id": "old"}, []),
        ("image-outcome", FILE, []),
        ("job-event", {"type": "pause", "job_id": "old", "at": 1.0}, []),
    ],
    ids=[
        "a file",
        "a file of a later stage",
        "a scan",
        "no file",
        "none of a later stage",
        "a cancelled job",
        "what became of a content",
        "an event",
    ],
)
async def test_what_brings_a_file_runs_as_a_new_job(topic: str, record: dict[str, Any], published: list[str]) -> None:
    publisher: Any = Publisher()
    view: Any = SimpleNamespace(status=forgotten)
    succession = Succession(view, publisher)
    message = Outgoing(topic, b"old", json.dumps(record).encode(), [("job_id", b"old")])
    again = await succession.hand_over(message, "old")
    await succession.close()
    assert publisher.published == published
    if published:
        assert json.loads(again.value or b"") == record | {"job_id": succession.jobs["old"]}
        assert dict(again.headers)["job_id"].decode() == succession.jobs["old"] != "old"
    else:
        assert again == message
