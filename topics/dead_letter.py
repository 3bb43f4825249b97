"""`dead-letter`: what could not be done, as a message that restarts it.

The value is a `raw-path` record of the file or, where a message does not validate, its
original bytes, untouched. What went wrong stands in the headers, named as Kafka Connect
names them (KIP-298), plus the headers that every message carries.
"""

from dataclasses import dataclass

from topics.record import HeaderList

DEAD_LETTER = "dead-letter"


@dataclass(frozen=True, slots=True)
class Failure:
    """Where and why a message failed. `topic`, `partition` and `offset` are those of the failed message."""

    topic: str
    partition: int
    offset: int
    stage: str
    error_class: str
    message: str
    stack_trace: str

    def headers(self) -> HeaderList:
        """Return Kafka Connect's names with these values."""
        named = {
            "topic": self.topic,
            "partition": str(self.partition),
            "offset": str(self.offset),
            "stage": self.stage,
            "exception.class.name": self.error_class,
            "exception.message": self.message,
            "exception.stacktrace": self.stack_trace,
        }
        return [(f"__connect.errors.{name}", value.encode()) for name, value in named.items()]
