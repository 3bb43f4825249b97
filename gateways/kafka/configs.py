"""The configuration that topics must have, also those that exist already.

aiokafka can only replace all of a topic's configuration, and with it what an operator has set: so this speaks Kafka's
own IncrementalAlterConfigs (KIP-339).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import structlog
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int8, Int16, Int32, Schema, String

_TOPIC = ConfigResourceType.TOPIC.value
_SET = 0

log = structlog.get_logger()

Configs = Mapping[str, Mapping[str, str]]
"""By topic, by name."""


class _AlteredConfigs(Response):  # type: ignore[misc]  # untyped base
    API_KEY = 44
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "responses",
            Array(("error_code", Int16), ("error_message", String()), ("resource_type", Int8), ("name", String())),
        ),
    )


class _AlterConfigsStruct(RequestStruct):  # type: ignore[misc]  # untyped base
    API_KEY = 44
    API_VERSION = 0
    RESPONSE_TYPE = _AlteredConfigs
    SCHEMA = Schema(
        (
            "resources",
            Array(
                ("resource_type", Int8),
                ("name", String()),
                ("configs", Array(("name", String()), ("operation", Int8), ("value", String()))),
            ),
        ),
        ("validate_only", Boolean),
    )


class _AlterConfigs(Request[_AlterConfigsStruct]):  # type: ignore[misc]  # untyped base
    API_KEY = 44

    def __init__(self, configs: Configs) -> None:
        self._configs = configs

    def build(self, request_struct_class: type[_AlterConfigsStruct]) -> _AlterConfigsStruct:
        """Return the request in the version that was agreed on."""
        resources = [
            (_TOPIC, topic, [(name, _SET, value) for name, value in values.items()])
            for topic, values in self._configs.items()
        ]
        return request_struct_class(resources, False)


@dataclass(frozen=True, slots=True)
class Refused:
    """A configuration that the broker did not take, and its word for why."""

    topic: str
    name: str
    reason: str


async def describe(admin: AIOKafkaAdminClient, topics: Iterable[str], names: Iterable[str]) -> Configs:
    """Return the values that hold for topics, also those that are the broker's. What cannot be asked is left out."""
    asked = dict.fromkeys(names)
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic, configs=dict(asked)) for topic in topics]
    if not resources:
        return {}
    (answer,) = await admin.describe_configs(resources)
    return {
        topic: {name: value for name, value, *_ in entries}
        for code, _reason, _kind, topic, entries in answer.resources
        if not code
    }


async def alter(admin: AIOKafkaAdminClient, configs: Configs) -> list[Refused]:
    """Set configurations and leave all others; return those that the broker refuses. Raises KafkaError."""
    by_name: dict[str, dict[str, dict[str, str]]] = defaultdict(dict)
    for topic, values in configs.items():
        for name, value in values.items():
            by_name[name][topic] = {name: value}
    refused = []
    for name, of_topics in by_name.items():  # one by one: a broker refuses all for one that it does not take
        answer = await admin._send_request(_AlterConfigs(of_topics))
        for code, reason, _kind, topic in answer.responses:
            if code:
                refused.append(Refused(topic, name, reason or for_code(code).__name__))
    return refused


async def keep(admin: AIOKafkaAdminClient, wanted: Configs) -> None:
    """Set what differs. Whoever may not is told in the log what to set, and the work goes on."""
    names = {name for values in wanted.values() for name in values}
    try:
        held = await describe(admin, wanted, names)
        differing = {
            topic: other
            for topic, values in held.items()
            if (other := {name: value for name, value in wanted[topic].items() if values.get(name) != value})
        }
        refused = await alter(admin, differing)
    except KafkaError as error:
        log.warning("topics-not-configured", reason=f"{type(error).__name__}: {error}", wanted=wanted)
        return
    if differing:
        log.info("topics-configured", configs=differing)
    for one in refused:
        log.warning(
            "topic-not-configured",
            topic=one.topic,
            config=f"{one.name}={wanted[one.topic][one.name]}",
            reason=one.reason,
        )
