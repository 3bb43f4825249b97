"""What a stage looks at in a message before its record."""

from faust import Event

from core.errors import InvalidMessageError
from topics.dead_letter import message_bytes
from topics.limits import MAX_MESSAGE_BYTES
from topics.record import HeaderList

__all__ = ["Event", "check_size", "header_list"]


def check_size(event: Event) -> None:
    """Refuse what would not fit into the messages that follow from it: Kafka measures what is compressed."""
    size = message_bytes(event.message.key, event.value, header_list(event))
    if size > MAX_MESSAGE_BYTES:
        raise InvalidMessageError(
            f"A message of {size:,} bytes is larger than the {MAX_MESSAGE_BYTES:,} that a message may have. It stands "
            f"whole in partition {event.message.partition} of {event.message.topic} at {event.message.offset}."
        )


def header_list(event: Event) -> HeaderList:
    """Return the headers of a message, to be sent on."""
    return list(dict(event.message.headers or {}).items())
