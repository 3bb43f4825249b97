"""`dead-letter`: what could not be done, as a message that restarts it.

The value is a `raw-path` record of the file or, where a message does not validate, its
original bytes, untouched. What went wrong stands in the headers, named as Kafka Connect
names them (KIP-298), plus the headers that every message carries and `restart-topic`: where
the key and the value are to be published again.

What was decided about a letter stands behind it in the same partition: a message without a
value, headers `mark` (replayed or dropped) and `letter` (its offset). So every reader of the
topic knows it, also one that lost everything else, and it is kept as long as the letter.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self

from topics.record import HeaderList

DEAD_LETTER = "dead-letter"
RESTART_TOPIC = "restart-topic"
CONNECT = "__connect.errors."

Decision = Literal["replayed", "dropped"]


@dataclass(frozen=True, slots=True)
class Failure:
    """Where and why a message failed. `topic`, `partition` and `offset` are those of the failed message.

    `restart_topic`: where publishing the letter's key and value again restarts it.
    """

    topic: str
    partition: int
    offset: int
    stage: str
    error_class: str
    message: str
    stack_trace: str
    restart_topic: str

    def headers(self) -> HeaderList:
        """Return Kafka Connect's names with these values, and ours."""
        named = {
            "topic": self.topic,
            "partition": str(self.partition),
            "offset": str(self.offset),
            "stage": self.stage,
            "exception.class.name": self.error_class,
            "exception.message": self.message,
            "exception.stacktrace": self.stack_trace,
        }
        connect = [(f"{CONNECT}{name}", value.encode()) for name, value in named.items()]
        return [*connect, (RESTART_TOPIC, self.restart_topic.encode())]


@dataclass(frozen=True, slots=True)
class Mark:
    """What was decided about the letter at an offset of the same partition."""

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
            case _:
                return None
