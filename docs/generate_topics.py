"""Writes docs/topics.md from topics/: python docs/generate_topics.py (or `make docs`). A test compares."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from topics.admin import READS, TOPICS  # noqa: E402 - found by the line above
from topics.record import Topic  # noqa: E402

WRITERS = {
    "scan-request": "the API, or any program",
    "raw-path": "scan, or any program",
    "hashed-file": "hash",
    "ml-request": "prepare",
    "db-write": "embed, prepare",
    "image-outcome": "prepare, embed, store",
    "job-event": "every stage, and the API",
    "job-status": "track",
}

HEAD = """# Topics

Made from `topics/` by `make docs`; a test holds it true. What the stages do with them:
[architecture.md](architecture.md); how to publish to them: [publishing.md](publishing.md).

Values are JSON. A field without a default must be there; one that is unknown is ignored, and one that is null is left
out. Bytes are base64. Keys are partitioned by murmur2, as every Kafka client does. The headers `job_id`, `file_id`,
`model_id`, `content-type` and, where they apply, `attempt`, `replay`, `traceparent` say the same to programs that do
not read values. `dead-letter` has no record of its own: its value is a `raw-path` record that restarts the file, or the
original bytes; see `topics/dead_letter.py`.
"""


def main() -> None:
    """Write the page."""
    (ROOT / "docs" / "topics.md").write_text(page())


def page() -> str:
    """Return the page."""
    readers: dict[str, list[str]] = {}
    for stage, names in READS.items():
        for name in names:
            readers.setdefault(name, []).append(stage)
    return "\n".join([HEAD, *("\n".join(section(topic, readers.get(topic.name, ["the API"]))) for topic in TOPICS)])


def section(topic: Topic[Any], readers: list[str]) -> Iterator[str]:
    """Yield the lines about one topic."""
    module = importlib.import_module(f"topics.{topic.name.replace('-', '_')}")
    first = (module.__doc__ or "").splitlines()[0]
    about = first.partition(": ")[2]
    yield f"## `{topic.name}`\n\n{about[:1].upper()}{about[1:]}\n"
    kept = "compacted: the newest message of each key" if topic.compacted else "KAFKA_RETENTION_HOURS"
    yield f"Key: {topic.key}. Written by: {WRITERS[topic.name]}. Read by: {', '.join(readers)}. Kept: {kept}.\n"
    schema = topic.schema()
    variants = schema.get("oneOf", [schema])
    for variant in variants:
        record = resolved(variant, schema)
        if len(variants) > 1:
            said = " ".join(str(record.get("description", "")).split())
            yield f"### {record['title']}\n\n{said}\n"
        yield "| field | type | default |\n|---|---|---|"
        for name, field in record["properties"].items():
            yield f"| `{name}` | {kind(field, schema)} | {default(name, field, record)} |"
        yield ""


def resolved(part: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference."""
    found: dict[str, Any] = part
    while "$ref" in found:
        found = schema["$defs"][found["$ref"].rpartition("/")[2]]
    return found


def kind(field: dict[str, Any], schema: dict[str, Any]) -> str:
    """Return a type in words."""
    if "anyOf" in field:
        return " or ".join(text for each in field["anyOf"] if (text := kind(each, schema)) != "null")
    found = resolved(field, schema)
    if "const" in found:
        return f"`{found['const']}`"
    if "enum" in found:
        return ", ".join(f"`{value}`" for value in found["enum"])
    match found.get("type"):
        case "array":
            return f"list of {kind(found['items'], schema)}" if "items" in found else "list"
        case "object" if "properties" in found:
            return "{" + ", ".join(f"`{name}`" for name in found["properties"]) + "}"
        case "object":
            return "object by name"
        case "string" if "pattern" in found:
            return f"string, `{found['pattern'].replace('|', chr(92) + '|')}`"
        case str(name):
            return name
        case _:
            return "any"


def default(name: str, field: dict[str, Any], record: dict[str, Any]) -> str:
    """Return what a field has where it is left out; a dash: it must be there."""
    if name in record.get("required", []) or "const" in field:
        return "—"
    value = field.get("default")
    return "absent" if value is None else f"`{value}`".replace("True", "true").replace("False", "false")


if __name__ == "__main__":
    main()
