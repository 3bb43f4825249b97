"""Files leave together where they come together, and at once where one comes alone."""

import asyncio
from collections.abc import Awaitable

import orjson
import pytest

from core.errors import KafkaUnavailableError
from rules.partitions import partitions_of
from streams.outbox import Outbox
from tests.deadlines import HANG_SECONDS
from topics import bundle
from topics.raw_path import RAW_PATH, RawPath
from topics.record import HeaderList, Headers

PARTITIONS = 2


class Kafka:
    """Takes messages: (partition, key, number of files, header `files`). Delivery is let through, or fails."""

    def __init__(self) -> None:
        self.taken: list[tuple[int, bytes, int, bytes | None]] = []
        self.fails: Exception | None = None
        self.errors: list[BaseException] = []
        self.outbox = Outbox(self.publish, PARTITIONS, bundle.MAX_FILES, self.errors.append)

    async def publish(
        self, topic: str, key: bytes, value: bytes, headers: HeaderList, partition: int
    ) -> Awaitable[object]:
        assert topic == RAW_PATH.name
        entries = [*bundle.decode(RAW_PATH, value, headers)]
        self.taken.append((partition, key, len(entries), dict(headers).get("files")))
        return self._deliver()

    async def _deliver(self) -> None:
        if self.fails is not None:
            raise self.fails

    def send(self, *paths: str, job_id: str = "job", attempt: int = 1) -> "tuple[list[int], set[asyncio.Future[None]]]":
        files = [RawPath(job_id=job_id, collection="photos", path=path) for path in paths]
        apart = [bundle.take_apart(file.path_bytes, file, file.headers(Headers(attempt=attempt))) for file in files]
        return self.outbox.send(RAW_PATH, apart[0][0], [own for _, own in apart])


@pytest.fixture
async def kafka() -> Kafka:
    return Kafka()


def of_partition(partition: int, count: int) -> list[str]:
    paths = [f"/{number}.jpg" for number in range(10 * count)]
    return [
        path
        for path, at in zip(paths, partitions_of([path.encode() for path in paths], PARTITIONS), strict=True)
        if at == partition
    ][:count]


async def delivered(*sent: "tuple[list[int], set[asyncio.Future[None]]]") -> None:
    async with asyncio.timeout(HANG_SECONDS):
        for _, deliveries in sent:
            for delivery in deliveries:
                await delivery


async def test_files_of_one_partition_are_one_message(kafka: Kafka) -> None:
    even, odd = of_partition(0, 3), of_partition(1, 2)
    sent = kafka.send(*even, *odd)
    assert sent[0] == [0, 0, 0, 1, 1]
    await delivered(sent)
    assert sorted(kafka.taken) == [(0, even[0].encode(), 3, b"3"), (1, odd[0].encode(), 2, b"2")]


async def test_one_alone_is_the_message_that_it_always_was(kafka: Kafka) -> None:
    (path,) = of_partition(1, 1)
    await delivered(kafka.send(path))
    assert kafka.taken == [(1, path.encode(), 1, None)]


async def test_what_is_not_shared_is_no_bundle(kafka: Kafka) -> None:
    first, second, third = of_partition(0, 3)
    await delivered(kafka.send(first), kafka.send(second, job_id="other"), kafka.send(third, attempt=2))
    assert [files for *_, files, _ in kafka.taken] == [1, 1, 1]


async def test_full_bundles_do_not_wait(kafka: Kafka) -> None:
    paths = of_partition(0, bundle.MAX_FILES + 1)
    await delivered(kafka.send(*paths))
    assert [files for *_, files, _ in kafka.taken] == [bundle.MAX_FILES, 1]


async def test_bundles_are_bounded_in_bytes(kafka: Kafka) -> None:
    paths = [f"{path}{'x' * 16_000}" for path in of_partition(0, 100)]
    await delivered(kafka.send(*paths))
    largest = bundle.MAX_BYTES // 16_000
    assert sum(files for *_, files, _ in kafka.taken) == 100
    assert max(files for *_, files, _ in kafka.taken) <= largest


async def test_what_is_not_delivered_ends_the_process(kafka: Kafka) -> None:
    kafka.fails = KafkaUnavailableError("away")
    kafka.send(*of_partition(0, 2))
    async with asyncio.timeout(HANG_SECONDS):
        await kafka.outbox.drained()
    assert kafka.errors == [kafka.fails]


async def test_what_an_old_worker_reads_is_one_file_a_message(kafka: Kafka) -> None:
    kafka.outbox = Outbox(kafka.publish, PARTITIONS, 1, kafka.errors.append)
    paths = of_partition(0, 3)
    await delivered(kafka.send(*paths))
    assert kafka.taken == [(0, path.encode(), 1, None) for path in paths]


def test_the_value_of_a_bundle_is_json() -> None:
    file = RawPath(job_id="job", collection="photos", path="/a")
    alike, own = bundle.take_apart(b"/a", file, Headers())
    assert orjson.loads(bundle.encode(alike, [own] * 2))["files"] == [{"path": "/a"}, {"path": "/a"}]
