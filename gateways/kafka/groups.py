"""What the broker says about consumer groups: who is a member, and how much is left to read."""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import GroupCoordinatorNotAvailableError
from aiokafka.protocol.admin import DescribeGroupsRequest_v0, DescribeGroupsRequest_v1
from aiokafka.protocol.api import Request

from core.connection import ClientOptions
from gateways.kafka.consumer import new_consumer

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


async def describe(kafka: ClientOptions, names: Iterable[str]) -> dict[str, Group]:
    """Return each group by its name, with Kafka's own words for its state: one that does not exist is `Dead`.

    A state of ours is NO_COORDINATOR: no broker looks after the group yet. Raises KafkaError when none answers.
    """
    admin, client = AIOKafkaAdminClient(**kafka), AIOKafkaClient(**kafka)
    found: dict[str, Group] = {}
    try:
        await admin.start()
        await client.bootstrap()
        for name in names:
            try:
                coordinator = await admin.find_coordinator(name)
            except GroupCoordinatorNotAvailableError:  # a new broker, until its first group
                found[name] = Group(NO_COORDINATOR, {})
                continue
            response = await client.send(coordinator, DescribeGroups([name]))
            for _error, group, state, _type, _protocol, members in response.groups:
                found[group] = Group(state, {member: host.lstrip("/") for member, _client, host, *_ in members})
    finally:
        await client.close()
        await admin.close()
    return found


async def lag(kafka: ClientOptions, name: str) -> int:
    """Return the messages that a group has yet to read, over the partitions that it has committed on."""
    admin = AIOKafkaAdminClient(**kafka)
    consumer = new_consumer(kafka)
    try:
        await admin.start()
        await consumer.start()
        committed = await admin.list_consumer_group_offsets(name)
        read: dict[TopicPartition, int] = {where: known.offset for where, known in committed.items()}
        ends = await consumer.end_offsets(list(read)) if read else {}
        return sum(max(0, end - read[where]) for where, end in ends.items())
    finally:
        await consumer.stop()
        await admin.close()


async def positions(
    kafka: ClientOptions, reads: Mapping[str, Sequence[TopicPartition]]
) -> dict[str, dict[TopicPartition, tuple[int, int]]]:
    """Return how far each group has read its partitions, and where these end: (committed, end).

    What was never committed counts from the oldest message that is left. Raises KafkaError when no broker answers.
    """
    admin, consumer = AIOKafkaAdminClient(**kafka), new_consumer(kafka)
    try:
        await admin.start()
        await consumer.start()
        committed = {name: await admin.list_consumer_group_offsets(name) for name in reads}
        everywhere = sorted({part for parts in reads.values() for part in parts})
        begins, ends = await consumer.beginning_offsets(everywhere), await consumer.end_offsets(everywhere)
    finally:
        await consumer.stop()
        await admin.close()

    def position(name: str, part: TopicPartition) -> tuple[int, int]:
        known = committed[name].get(part)
        return max(known.offset if known else 0, begins[part]), ends[part]

    return {name: {part: position(name, part) for part in parts} for name, parts in reads.items()}
