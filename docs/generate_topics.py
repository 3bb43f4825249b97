"""Writes docs/topics.md, and the picture of the flow in README.md, from topics/: `make docs`. A test compares."""

import re
import sys
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from core.settings import STAGES  # noqa: E402 - found by the line above
from topics import bundle  # noqa: E402
from topics.asyncapi import about, members  # noqa: E402
from topics.dead_letter import DEAD_LETTER  # noqa: E402
from topics.record import Topic  # noqa: E402
from topics.scan_request import SCAN_REQUEST  # noqa: E402
from topics.topology import (  # noqa: E402
    API,
    EVERY_STAGE_WRITES,
    FILE_TOPICS,
    NAMES,
    PROGRAMS,
    TOPICS,
    TOPOLOGY,
    topics_read,
    topics_written,
)

OTHERS = {"the API": API, "any program": PROGRAMS}
FLOW = re.compile(r"(?<=<!-- flow -->\n\n).*?(?=\n\n<!-- end of flow -->)", re.DOTALL)

HEAD = """# Topics

Made from `topics/` by `make docs`; a test holds it true. What the stages do with them:
[architecture.md](architecture.md); how to publish to them: [publishing.md](publishing.md).

Values are JSON. A field without a default must be there; one that is unknown is ignored, and one that is null is left
out. Bytes are base64. Keys are partitioned by murmur2, as every Kafka client does. The headers `job_id`, `file_id`,
`model_id`, `content-type` and, where they apply, `attempt`, `replay`, `traceparent` say the same to programs that do
not read values.

On topics that say so, a message is about one file or about many of one job: what they share then stands once, what
each has of its own below `files`, with its `traceparent`. The key is that of the first file, the header `files` says
how many they are, and the headers `file_id` and `traceparent` are left out:

    {SHARED, "files": [{OWN}, {OWN}, …]}

`dead-letter` has no record of its own: its value is a `raw-path` record that restarts the file, or the
original bytes; see `topics/dead_letter.py`.
"""


def main() -> None:
    """Write the page, and the picture of the flow in README.md."""
    (ROOT / "docs" / "topics.md").write_text(page())
    readme = ROOT / "README.md"
    readme.write_text(with_flow(readme.read_text()))


def page() -> str:
    """Return the page."""
    return "\n".join([HEAD, *("\n".join(section(topic)) for topic in TOPICS)])


def writers(topic: str) -> list[str]:
    """Return who writes a topic, in words."""
    stages = [stage for stage in STAGES if topic in topics_written(stage)]
    others = [name for name, node in OTHERS.items() if any(topic == one.name for one in node.writes)]
    return [*(["every stage"] if topic in EVERY_STAGE_WRITES else stages), *others]


def readers(topic: str) -> list[str]:
    """Return who reads a topic, in words."""
    stages = [stage for stage in STAGES if topic in {*topics_read(stage), *_names(TOPOLOGY[stage].follows)}]
    if topic == DEAD_LETTER:
        return [*stages, *OTHERS]
    return [*stages, *(name for name, node in OTHERS.items() if topic in _names((*node.reads, *node.follows)))]


def _names(topics: Iterable[Topic[Any]]) -> set[str]:
    return {topic.name for topic in topics}


def with_flow(readme: str) -> str:
    """Return README.md with the picture of the flow as it is now."""
    return FLOW.sub(lambda _: "\n".join(f"    {line}".rstrip() for line in flow()), readme)


def flow() -> Iterator[str]:
    """Yield the lines of the picture: the way of a file, then what it does not show, a line a topic."""
    way = [(SCAN_REQUEST.name, "scan"), *((topic.name, str(stage)) for stage, topic in FILE_TOPICS.items())]
    yield " ─> ".join([*(f"{topic} ─ {stage}" for topic, stage in way), "Qdrant"])
    yield ""
    sent = {(stage, topic) for (_, stage), (topic, _) in pairwise(way)}
    for topic in NAMES:
        sources = ", ".join(who for who in writers(topic) if (who, topic) not in sent)
        targets = ", ".join(who for who in readers(topic) if (topic, who) not in way)
        if sources or targets:
            yield " ─> ".join(filter(None, [sources, topic, targets]))


def section(topic: Topic[Any]) -> Iterator[str]:
    """Yield the lines about one topic."""
    said = about(topic).splitlines()[0]
    yield f"## `{topic.name}`\n\n{said[:1].upper()}{said[1:]}\n"
    kept = "compacted: the newest message of each key" if topic.compacted else "KAFKA_RETENTION_HOURS"
    who = f"Written by: {', '.join(writers(topic.name))}. Read by: {', '.join(readers(topic.name)) or 'no stage'}."
    yield f"Key: {topic.key}. {who} Kept: {kept}.\n"
    if topic.has_bundles:
        yield f"One file, or many; shared are {', '.join(f'`{name}`' for name in shared(topic))}.\n"
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


def shared(topic: Topic[Any]) -> list[str]:
    """Return the fields that stand once in a message about many files."""
    found = {name for record in members(topic.record) for name in record.model_fields}
    return [name for name in bundle.SHARED if name in found]


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
