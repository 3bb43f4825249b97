"""What the broker says about consumer groups: who is a member, and how much is left to read."""

from collections.abc import Iterable
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.admin import DescribeGroupsRequest_v0, DescribeGroupsRequest_v1
from aiokafka.protocol.api import Request


@dataclass(frozen=True, slots=True)
class Group:
    """A consumer group. It works when it is `Stable` and has members."""

    state: str
    hosts: tuple[str, ...]
    """The address of each member, as the broker sees it."""

    @property
    def works(self) -> bool:
        """Its partitions are given out to somebody."""
        return self.state == "Stable" and bool(self.hosts)


class _DescribeGroups(Request[DescribeGroupsRequest_v0 | DescribeGroupsRequest_v1]):  # type: ignore[misc]  # untyped base
    """The versions that aiokafka can read: 0.14 reads the answer to its newest one with the schema of an older one."""

    API_KEY = DescribeGroupsRequest_v0.API_KEY

    def __init__(self, groups: list[str]) -> None:
        self._groups = groups

    def build(
        self, request_struct_class: type[DescribeGroupsRequest_v0 | DescribeGroupsRequest_v1]
    ) -> DescribeGroupsRequest_v0 | DescribeGroupsRequest_v1:
        return request_struct_class(self._groups)


async def describe(brokers: str, names: Iterable[str]) -> dict[str, Group]:
    """Return each group by its name; one that does not exist is `Dead`. Raises KafkaError when no broker answers."""
    admin, client = AIOKafkaAdminClient(bootstrap_servers=brokers), AIOKafkaClient(bootstrap_servers=brokers)
    found: dict[str, Group] = {}
    try:
        await admin.start()
        await client.bootstrap()
        for name in names:
            coordinator = await admin.find_coordinator(name)
            response = await client.send(coordinator, _DescribeGroups([name]))
            for _error, group, state, _type, _protocol, members in response.groups:
                found[group] = Group(state, tuple(host.lstrip("/") for _id, _client, host, *_bytes in members))
    finally:
        await client.close()
        await admin.close()
    return found


async def lag(brokers: str, name: str) -> int:
    """Return the messages that a group has yet to read, over the partitions that it has committed on."""
    admin = AIOKafkaAdminClient(bootstrap_servers=brokers)
    consumer = AIOKafkaConsumer(bootstrap_servers=brokers)
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
