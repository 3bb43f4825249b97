"""What a message says of itself when it is published again, to repeat a topic or to restart a dead letter."""

from dataclasses import dataclass
from typing import Self

from topics.cloud_event import cloud_event, without_cloud_event
from topics.dead_letter import CONNECT, RESTART_TOPIC
from topics.limits import MAX_NAME
from topics.record import HeaderList, Headers
from topics.topology import PROGRAMS

REPLAY_OF = "replay-of"
_OF_THE_FIRST_TIME = {"replay", "attempt", REPLAY_OF, RESTART_TOPIC}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message stands in Kafka."""

    topic: str
    partition: int
    offset: int

    def encode(self) -> bytes:
        """Return the value of the header `replay-of`."""
        return f"{self.topic}/{self.partition}/{self.offset}".encode()

    @classmethod
    def decode(cls, value: bytes | None) -> Self | None:
        """Read the header `replay-of`; None where it says nothing that can be read."""
        topic, *numbers = (value or b"").decode("utf-8", "replace").split("/")
        if len(numbers) != 2 or not all(number.isdecimal() and len(number) < 19 for number in numbers):
            return None
        return cls(topic, int(numbers[0]), int(numbers[1]))


def replay_headers(received: HeaderList, of: Place, attempt: int, topic: str) -> HeaderList:
    """Return the headers for publishing a message again, to `topic`; what is not about the first time stays."""
    kept = [
        (name, value)
        for name, value in without_cloud_event(received)
        if name not in _OF_THE_FIRST_TIME and not name.startswith(CONNECT) and value is not None
    ]
    counted = [("attempt", str(attempt).encode())] if attempt > 1 else []
    event: HeaderList = []
    if any(topic == written.name for written in PROGRAMS.writes):
        about = Headers.decode(received)
        event_id = "/".join([of.encode().decode(), f"{attempt}", *filter(None, [about.file_id[:MAX_NAME]])])
        event = cloud_event(topic, event_id, about.job_id)
    return [*kept, *counted, ("replay", b"true"), (REPLAY_OF, of.encode()), *event]
