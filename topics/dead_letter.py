"""`dead-letter`: what could not be done, as a message that restarts it.

The value is a `raw-path` record of the file or, where a message does not validate, its
original bytes, untouched. What went wrong stands in the headers, named as Kafka Connect
names them (KIP-298), plus the headers that every message carries and `restart-topic`: where
the key and the value are to be published again.

A message may be larger than any topic allows, as compression lets one through. Its dead letter holds the start of it,
and cannot restart it. The whole stands where the headers say, as long as Kafka keeps it.

When someone replays or drops a dead letter, a *mark* is written behind it, in the same partition: a message without a
value, with the headers `mark` (`replayed`, `dropped`, or `forgotten` with its file) and `letter` (the dead letter's
offset). So whoever reads the topic knows what was decided, and Kafka keeps that as long as the dead letter.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, Self

from topics.cloud_event import cloud_event, without_cloud_event
from topics.limits import MAX_MESSAGE_BYTES, MAX_NAME, MAX_TRACE, clipped
from topics.record import HeaderList, Headers

DEAD_LETTER = "dead-letter"
RESTART_TOPIC = "restart-topic"
CONNECT = "__connect.errors."
KEPT_BYTES = 10_000
UNREADABLE = "UnreadableMessageError"
"""The class of error of messages that no consumer can read: nothing restarts them."""

Decision = Literal["replayed", "dropped", "forgotten"]


@dataclass(frozen=True, slots=True)
class Failure:
    """Where and why a message failed. `topic`, `partition` and `offset` are those of the failed message.

    `restart_topic`: where the dead letter's key and value are published again to restart it.
    `index`: of a file among the many of the message, where only that one failed.
    """

    topic: str
    partition: int
    offset: int
    stage: str
    error_class: str
    message: str
    stack_trace: str
    restart_topic: str
    index: int = 0

    def headers(self, received: HeaderList) -> HeaderList:
        """Return the dead letter's headers: the message's, Kafka Connect's names with these values, and ours."""
        named = {
            "topic": self.topic,
            "partition": str(self.partition),
            "offset": str(self.offset),
            "stage": self.stage,
            "exception.class.name": self.error_class,
            "exception.message": clipped(self.message),
            "exception.stacktrace": clipped(self.stack_trace, MAX_TRACE),
        }
        # A path that is not UTF-8 may stand in an error's text with lone surrogates.
        connect = [(f"{CONNECT}{name}", value.encode("utf-8", "backslashreplace")) for name, value in named.items()]
        about = Headers.decode(received)
        which = about.file_id[:MAX_NAME] or (f"{self.index}" if self.index else "")
        event_id = f"{self.stage}/{self.topic}/{self.partition}/{self.offset}/{which}"
        return [
            *without_cloud_event(received),
            *connect,
            (RESTART_TOPIC, self.restart_topic.encode()),
            *cloud_event(DEAD_LETTER, event_id, about.job_id[:MAX_NAME]),
        ]


def message_bytes(key: bytes | None, value: bytes | None, headers: HeaderList) -> int:
    """Return what a message takes in Kafka, within a few bytes, before compression."""
    return len(key or b"") + len(value or b"") + sum(len(name.encode()) + len(text or b"") for name, text in headers)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What is published to `dead-letter`: a message, and what went wrong with it."""

    key: bytes | None
    value: bytes | None
    headers: HeaderList

    @classmethod
    def about(cls, key: bytes | None, value: bytes | None, headers: HeaderList, failure: Failure) -> Self:
        """Put a dead letter together, of at most MAX_DEAD_LETTER_BYTES."""
        if message_bytes(key, value, headers) > MAX_MESSAGE_BYTES:
            failure = replace(failure, restart_topic="")
            key, value = key and key[:KEPT_BYTES], value and value[:KEPT_BYTES]
            headers = Headers(job_id=Headers.decode(headers).job_id[:MAX_NAME]).encode()
        return cls(key, value, failure.headers(headers))


@dataclass(frozen=True, slots=True)
class Mark:
    """What was decided about the dead letter at an offset of the same partition."""

    decision: Decision
    offset: int

    def headers(self) -> HeaderList:
        """Return Kafka's form."""
        return [("mark", self.decision.encode()), ("letter", str(self.offset).encode())]

    @classmethod
    def read(cls, headers: Mapping[str, bytes | None]) -> Self | None:
        """Return the mark that a message without a value is, or None for any other message."""
        offset = headers.get("letter") or b""
        if not offset.isdigit() or len(offset) > 18:
            return None
        match headers.get("mark"):
            case b"replayed":
                return cls("replayed", int(offset))
            case b"dropped":
                return cls("dropped", int(offset))
            case b"forgotten":
                return cls("forgotten", int(offset))
            case _:
                return None
