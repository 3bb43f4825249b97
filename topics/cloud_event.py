"""What the messages of public topics say of themselves: CloudEvents 1.0, in the binary mode of its Kafka binding.

Which topics these are, and why, is told in docs/decisions/0014-cloud-events.md.
"""

PREFIX = "ce_"
SOURCE = "/darkroom"


def cloud_event(topic: str, event_id: str, job_id: str) -> list[tuple[str, bytes]]:
    """Return the headers. The same event published again has the same id: who counts events knows it by that."""
    named = {
        "specversion": "1.0",
        "id": event_id,
        "source": SOURCE,
        "type": f"darkroom.{topic}",
        "subject": job_id,
    }
    return [(f"{PREFIX}{name}", value.encode("utf-8", "replace")) for name, value in named.items() if value]


def without_cloud_event(headers: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """Return the headers of a message that goes elsewhere: there it is another event, or none."""
    return [(name, value) for name, value in headers if not name.startswith(PREFIX)]
