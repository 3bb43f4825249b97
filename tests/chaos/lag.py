"""How much of its input each process of a stage has not committed: what a kill of it would hit."""

from collections.abc import Mapping

from aiokafka import TopicPartition
from aiokafka.client import CoordinationType
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment

from core.settings import Stage
from gateways.kafka import groups
from gateways.kafka.client import asking
from tests.bus import PARTITIONS
from topics.topology import topics_read


async def of_stage(brokers: str, stage: Stage) -> int:
    """Return how many messages a stage has before it that it has not committed."""
    return sum(lag for lag in (await _by_partition(brokers, stage)).values())


async def of_processes(brokers: str, stage: Stage) -> dict[int, int]:
    """Return the uncommitted messages in the partitions of each process of a stage, by process id."""
    left = await _by_partition(brokers, stage)
    return {pid: sum(left.get(part, 0) for part in parts) for pid, parts in (await _assigned(brokers, stage)).items()}


async def _by_partition(brokers: str, stage: Stage) -> Mapping[TopicPartition, int]:
    reads = [TopicPartition(topic, number) for topic in topics_read(stage) for number in range(PARTITIONS)]
    async with asking({"bootstrap_servers": brokers}) as client:
        positions = await groups.positions(client, {_group(stage): reads})
    return {part: max(0, end - committed) for part, (committed, end) in positions[_group(stage)].items()}


async def _assigned(brokers: str, stage: Stage) -> dict[int, list[TopicPartition]]:
    async with asking({"bootstrap_servers": brokers}) as client:
        coordinator = await client.coordinator_lookup(CoordinationType.GROUP, _group(stage))
        response = await client.send(coordinator, groups.DescribeGroups([_group(stage)]))
    found = {}
    for *_, members in response.groups:
        for _member, client_id, _host, _metadata, assignment in members:
            # A worker's client id ends with its process id. A member that just came has nothing assigned.
            assigned = ConsumerProtocolMemberAssignment.decode(assignment).assignment if assignment else []
            found[int(client_id.rpartition("-")[2])] = [
                TopicPartition(topic, number) for topic, numbers in assigned for number in numbers
            ]
    return found


def _group(stage: Stage) -> str:
    return f"darkroom-{stage}"
