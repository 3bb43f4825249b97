"""What an operator sees at one look."""

import pytest
from aiokafka import AIOKafkaProducer

from core.settings import STAGES
from tests.api.service import Service, eventually
from tests.bus import PARTITIONS

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_system_with_every_stage_and_partition(service: Service) -> None:
    async def looked() -> dict[str, object] | None:
        system = await service.get("system")
        return system if system["stages"] else None

    system = await eventually(looked)
    assert {name: state["ready"] for name, state in system["parts"].items()} == dict.fromkeys(  # type: ignore[attr-defined]
        ("kafka", "qdrant", "stages", "ml"), True
    )
    assert system["addresses"]["qdrant"] == service.settings.qdrant_url  # type: ignore[index]
    stages = {stage["name"]: stage for stage in system["stages"]}  # type: ignore[attr-defined]
    assert tuple(stages) == STAGES
    assert stages["hash"]["group"] == "darkroom-hash"
    assert [(one["topic"], one["partition"]) for one in stages["hash"]["partitions"]] == [
        ("raw-path", number) for number in range(PARTITIONS)
    ]
    assert {one["held"] for one in stages["hash"]["partitions"]} == {None}
    for stage in stages.values():
        assert stage["lag"] == sum(one["end"] - one["committed"] for one in stage["partitions"])


async def test_a_partition_is_shown_with_the_transaction_that_holds_it(service: Service) -> None:
    async def held() -> list[dict[str, object]]:
        system = await service.get("system")
        return [one for stage in system["stages"] for one in stage["partitions"] if one["held"]]

    options = {"bootstrap_servers": service.settings.kafka_brokers, "transactional_id": "an-open-one"}
    async with AIOKafkaProducer(**options) as producer:
        await producer.begin_transaction()
        await producer.send_and_wait("scan-request", b"{}", partition=3)
        (found,) = await eventually(held)
        await producer.abort_transaction()
    assert (found["topic"], found["partition"]) == ("scan-request", 3)
    assert str(found["held"]).startswith("The transaction of 'an-open-one', open for ")
