"""The AsyncAPI 3 document of all topics, made from their records. `python -m topics.asyncapi` prints it.

`receive` is what other programs may send to Darkroom, `send` is what Darkroom sends: to others on the public topics,
to itself on the rest.
"""

import inspect
import json
import os
import sys
from collections.abc import Iterable
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from topics import dead_letter
from topics.bundle import MAX_FILES_READ, SHARED, message, take_apart
from topics.dead_letter import DEAD_LETTER
from topics.files import FileOfJob
from topics.job_status import JOB_STATUS
from topics.raw_path import RAW_PATH, RawPath
from topics.record import Topic
from topics.topology import PROGRAMS, TOPICS

_HEADERS = {
    "job_id": "The job; every message about one has it.",
    "file_id": "The file in its job: 32 hexadecimal digits.",
    "model_id": "The model whose vectors are meant.",
    "content-type": "`application/json`.",
    "attempt": "A whole number, where the file is tried for the second time or later.",
    "replay": "`true`, where a replay caused the message.",
    "files": "How many files the message is about, where it is about several.",
    "replay-of": "`TOPIC/PARTITION/OFFSET` of the message that this one repeats.",
    "traceparent": "W3C trace context.",
}
_BUNDLE_HEADERS = {name: text for name, text in _HEADERS.items() if name not in {"file_id", "traceparent"}} | {
    "files": "How many files the message is about."
}
_SENTINEL_HEADERS = {
    "job_id": "The job whose files end here.",
    "walk_id": "The walk that has ended.",
    "files": "How many different files the walk sent to this partition; a check where these name the walk.",
    "content-type": "`application/json`, though there is no content.",
}
_CLOUD_EVENT = {
    "ce_specversion": "`1.0`.",
    "ce_id": "With `ce_source` the name of the event; the same where it is published again.",
    "ce_source": "`/darkroom`.",
    "ce_type": "`darkroom.` and the name of the topic.",
    "ce_subject": "The job.",
}
_LETTER_HEADERS = {
    "__connect.errors.topic": "Where the message that failed was read.",
    "__connect.errors.partition": "Its partition.",
    "__connect.errors.offset": "Its offset.",
    "__connect.errors.stage": "The stage that gave up.",
    "__connect.errors.exception.class.name": "The kind of error.",
    "__connect.errors.exception.message": "What happened, for a person.",
    "__connect.errors.exception.stacktrace": "Where in the program.",
    "restart-topic": "Where key and value are to be published again.",
}


def document(version: str = "0.1.0") -> dict[str, Any]:
    """Return the document, as JSON types."""
    messages: dict[str, Any] = {}
    channels = {topic.name: _channel(topic, messages) for topic in TOPICS}
    channels[DEAD_LETTER] = _dead_letters(messages)
    records = [record for topic in TOPICS for record in members(topic.record)]
    _, schemas = models_json_schema(
        [(record, "validation") for record in records], ref_template="#/components/schemas/{model}"
    )
    for topic in TOPICS:
        if topic.has_bundles:
            schemas["$defs"][_bundle_name(topic)] = _bundle(topic, schemas["$defs"])
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Darkroom",
            "version": version,
            "description": "All topics of Darkroom. Values are JSON; unknown fields are ignored. Headers are UTF-8.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": {_operation_name(name): _operation(name, channel) for name, channel in channels.items()},
        "components": {"messages": messages, "schemas": schemas["$defs"]},
    }


def members(record: Any) -> tuple[type[BaseModel], ...]:
    """Return the records of a topic, which may be a union."""
    record = _plain(record)
    return tuple(map(_plain, get_args(record))) if get_origin(record) in (Union, UnionType) else (record,)


def _plain(record: Any) -> Any:
    return get_args(record)[0] if get_origin(record) is Annotated else record


def _channel(topic: Topic[Any], messages: dict[str, Any]) -> dict[str, Any]:
    found = {record.__name__: record for record in members(topic.record)}
    headers = _HEADERS | (_CLOUD_EVENT if topic.is_public else {})
    # Any program may publish there, without a header.
    required = ["ce_id", "ce_source", "ce_specversion", "ce_type"] if topic is JOB_STATUS else []
    for name, record in found.items():
        messages[name] = _message(
            inspect.getdoc(record) or "", {"$ref": f"#/components/schemas/{name}"}, topic.key, headers, required
        )
    names = list(found)
    if topic.has_bundles:
        names.append(name := _bundle_name(topic))
        own = _BUNDLE_HEADERS | (_CLOUD_EVENT if topic.is_public else {})
        messages[name] = _message(
            "Many files of one job in one message: what they share, and below `files` what each has of its own.",
            {"$ref": f"#/components/schemas/{name}"},
            f"{topic.key} of the first file",
            own,
            required,
        )
        if topic is RAW_PATH:
            messages[name]["examples"] = [_example()]
    if topic.brings_files:
        names.append("EndOfWalk")
        messages["EndOfWalk"] = _message(
            "The end marker of a walk: one in every partition, behind its files. It has no value.",
            {"type": "null"},
            "job id",
            _SENTINEL_HEADERS,
            ["job_id", "walk_id"],
        )
    return _described(topic.name, about(topic), names, compacted=topic.compacted)


def _bundle_name(topic: Topic[Any]) -> str:
    return f"{topic.name.title().replace('-', '')}Bundle"


def _bundle(topic: Topic[Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a message with many files, as stages write it and programs are to."""
    of_files = [schemas[record.__name__] for record in members(topic.record) if issubclass(record, FileOfJob)]
    shared, _ = _parted(of_files[0])
    files = [_parted(schema)[1] for schema in of_files]
    listed = {
        "type": "array",
        "minItems": 1,
        "maxItems": MAX_FILES_READ,
        "items": files[0] if len(files) == 1 else {"anyOf": files},
    }
    properties = shared["properties"] | {"files": listed}
    return shared | {"properties": properties, "required": [*shared["required"], "files"]}


def _parted(schema: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the schema of what files share, and of what each has of its own."""
    named = {"traceparent": {"type": "string", "description": _HEADERS["traceparent"]}} | schema["properties"]
    shared, own = (
        {
            "type": "object",
            "properties": {name: field for name, field in named.items() if (name in SHARED) is is_shared},
            "required": [name for name in schema["required"] if (name in SHARED) is is_shared],
        }
        for is_shared in (True, False)
    )
    return shared, own


def _example() -> dict[str, Any]:
    """Return a message that a program may publish."""
    paths = {"/photos/2024/a.jpg": {}, "/photos/2024/b.jpg": {"size": 4711, "mtime_ns": 1_718_000_000_000_000_000}}
    files = [
        RawPath.model_validate({"job_id": "trip", "collection": "photos", "roots": ["/photos"], "path": path} | stamp)
        for path, stamp in paths.items()
    ]
    alike = [take_apart(os.fsencode(file.path), file, file.headers()) for file in files]
    value, headers = message(RAW_PATH, alike[0][0], [own for _, own in alike])
    return {
        "name": "two photographs",
        "headers": {name: text.decode() for name, text in headers},
        "payload": json.loads(value),
    }


def _dead_letters(messages: dict[str, Any]) -> dict[str, Any]:
    messages["DeadLetter"] = _message(
        "What could not be done: a RawPath of the file, or the original bytes where they do not validate.",
        {},
        "as it was",
        _HEADERS | _LETTER_HEADERS | _CLOUD_EVENT,
        [*_LETTER_HEADERS, "ce_id", "ce_source", "ce_specversion", "ce_type"],
    )
    messages["Decision"] = _message(
        "An earlier dead letter of this partition was replayed, dropped or forgotten. This message has no value.",
        {"type": "null"},
        "that of the dead letter",
        {"mark": "`replayed`, `dropped` or `forgotten`.", "letter": "The dead letter's offset."},
        ["mark", "letter"],
    )
    return _described(DEAD_LETTER, _said(dead_letter), ["DeadLetter", "Decision"], compacted=False)


def about(topic: Topic[Any]) -> str:
    """Return what a topic is for, as the module of its records says behind its name."""
    return _said(sys.modules[members(topic.record)[0].__module__])


def _said(module: object) -> str:
    return (inspect.getdoc(module) or "").partition(": ")[2]


def _described(name: str, description: str, messages: Iterable[str], *, compacted: bool) -> dict[str, Any]:
    return {
        "address": name,
        "description": description,
        "messages": {message: {"$ref": f"#/components/messages/{message}"} for message in messages},
        "bindings": {
            "kafka": {
                "topicConfiguration": {"cleanup.policy": ["compact" if compacted else "delete"]},
                "bindingVersion": "0.5.0",
            }
        },
    }


def _message(
    summary: str, payload: dict[str, Any], key: str, headers: dict[str, str], required: list[str]
) -> dict[str, Any]:
    properties = {name: {"type": "string", "description": text} for name, text in headers.items()}
    return {
        "summary": summary.partition("\n")[0],
        "contentType": "application/json",
        "headers": {"type": "object", "properties": properties, "required": required},
        "payload": payload,
        "correlationId": {"location": "$message.header#/job_id"},
        "bindings": {"kafka": {"key": {"type": "string", "description": key}, "bindingVersion": "0.5.0"}},
    }


def _action(topic: str) -> str:
    return "receive" if any(written.name == topic for written in PROGRAMS.writes) else "send"


def _operation_name(topic: str) -> str:
    return f"{_action(topic)}-{topic}"


def _operation(name: str, channel: dict[str, Any]) -> dict[str, Any]:
    return {
        "action": _action(name),
        "channel": {"$ref": f"#/channels/{name}"},
        "summary": channel["description"].partition(". ")[0],
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(document(), indent=2, ensure_ascii=False) + "\n")
