"""What the broker says about consumer groups: who is a member, and how much is left to read."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.errors import GroupCoordinatorNotAvailableError, for_code
from aiokafka.protocol.admin import DescribeGroupsRequest_v0, DescribeGroupsRequest_v1
from aiokafka.protocol.api import Request
from aiokafka.protocol.commit import OffsetFetchRequest

from gateways.kafka.offsets import log_begins, stable_ends

NO_COORDINATOR = "NoCoordinator"


@dataclass(frozen=True, slots=True)
class Group:
    """A consumer group. `members` are the ids that the broker gave out, each with the address of its host."""

    state: str
    members: Mapping[str, str]

    @property
    def works(self) -> bool:
        """Whether its partitions are given out to somebody."""
        return self.state == "Stable" and bool(self.members)

    def works_with_others_than(self, known: Set[str]) -> bool:
        """Tell whether it works, and not only with members that are known already."""
        return self.works and not self.members.keys() <= known


class DescribeGroups(Request[DescribeGroupsRequest_v0 | DescribeGroupsRequest_v1]):  # type: ignore[misc]  # untyped base
    """Asks in a version that aiokafka can read: 0.14 reads the newest answer with the schema of an older one."""

    API_KEY = DescribeGroupsRequest_v0.API_KEY

    def __init__(self, groups: list[str]) -> None:
        self._groups = groups

    def build(
        self, request_struct_class: type[DescribeGroupsRequest_v0 | DescribeGroupsRequest_v1]
    ) -> DescribeGroupsRequest_v0 | DescribeGroupsRequest_v1:
        """Return the request in the version that was agreed on."""
        return request_struct_class(self._groups)


async def describe(client: AIOKafkaClient, names: Iterable[str]) -> dict[str, Group]:
    """Return each group by its name, with Kafka's own words for its state: one that does not exist is `Dead`.

    A state of ours is NO_COORDINATOR: no broker looks after the group yet. Raises KafkaError when none answers.
    """
    found: dict[str, Group] = {}
    by_coordinator: dict[int, list[str]] = defaultdict(list)
    for name in names:
        try:
            by_coordinator[await _coordinator(client, name)].append(name)
        except GroupCoordinatorNotAvailableError:  # a new broker, until its first group
            found[name] = Group(NO_COORDINATOR, {})
    for coordinator, of_it in by_coordinator.items():
        response = await client.send(coordinator, DescribeGroups(of_it))
        for _error, group, state, _type, _protocol, members in response.groups:
            found[group] = Group(state, {member: host.lstrip("/") for member, _client, host, *_ in members})
    return found


async def lag(client: AIOKafkaClient, name: str) -> int:
    """Return the messages that a group has yet to read, over the partitions that it has committed on."""
    committed = await _committed(client, name)
    ends = await stable_ends(client, committed)
    return sum(max(0, ends[part] - offset) for part, offset in committed.items())


async def positions(
    client: AIOKafkaClient, reads: Mapping[str, Sequence[TopicPartition]]
) -> dict[str, dict[TopicPartition, tuple[int, int]]]:
    """Return how far each group has read its partitions, and where these end: (committed, end).

    What was never committed counts from the oldest message that is left. Raises KafkaError when no broker answers.
    """
    committed = {name: await _committed(client, name) for name in reads}
    everywhere = {part for parts in reads.values() for part in parts}
    begins, ends = await log_begins(client, everywhere), await stable_ends(client, everywhere)
    return {
        name: {part: (max(committed[name].get(part, 0), begins[part]), ends[part]) for part in parts}
        for name, parts in reads.items()
    }


async def _committed(client: AIOKafkaClient, name: str) -> dict[TopicPartition, int]:
    response = await client.send(await _coordinator(client, name), OffsetFetchRequest(name, None))
    if response.error_code:
        raise for_code(response.error_code)(name)
    found = {}
    for topic, partitions in response.topics:
        for partition, offset, _metadata, code in partitions:
            if code:
                raise for_code(code)(f"{name} on {topic}-{partition}")
            found[TopicPartition(topic, partition)] = offset
    return found


async def _coordinator(client: AIOKafkaClient, name: str) -> int:
    """Return the broker that looks after a group, asked each time: it may be another one soon."""
    found: int = await client.coordinator_lookup(CoordinationType.GROUP, name)
    return found
