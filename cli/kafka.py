"""How the commands find Kafka, and ask it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from cli.client import Client
from core.errors import ApiUnavailableError, DarkroomError, FatalError, KafkaUnavailableError, RetryableError
from core.settings import Settings
from embedded import state
from gateways.kafka import client
from gateways.kafka.connection import client_options
from gateways.kafka.reader import all_partitions
from rules.listening import is_loopback


def with_brokers(settings: Settings, data: Path | None) -> Settings:
    """Return the settings with the broker that a `darkroom up` of this machine runs, or the API uses.

    One that they name goes before both, and the API at a DARKROOM_URL that was set before what runs here. Raises
    FatalError where none is known, and ApiUnavailableError where the API was to say it and is away.
    """
    if settings.kafka_brokers:
        return settings
    running = state.read((data or settings.darkroom_data).resolve())
    here = running.addresses.get("KAFKA_BROKERS") if running else None
    is_chosen = "darkroom_url" in settings.model_fields_set and data is None
    if is_chosen or not here:
        try:
            here = ask_api(settings)
        except DarkroomError as error:
            if not here and is_chosen:
                why = f"No Kafka is known here. KAFKA_BROKERS is not set, and the API does not say: {error}"
                raise (ApiUnavailableError if isinstance(error, RetryableError) else FatalError)(why) from error
            if not here:
                raise FatalError(
                    "No Kafka is known here. Start one with `darkroom up`, name its folder with --data, set "
                    "DARKROOM_URL to its API, or set KAFKA_BROKERS."
                ) from error
    return settings.model_copy(update={"kafka_brokers": here})


def ask_api(settings: Settings) -> str:
    """Return where the API finds Kafka. It tells no secrets: KAFKA_SASL_PASSWORD and the like are set here, too.

    Raises what the client raises, and FatalError where the API means its own machine, which is not this one.
    """
    with Client.of(settings) as api:
        brokers = api.brokers()
        elsewhere = not api.is_local
    hosts = [broker.strip().rpartition(":")[0].strip("[]") for broker in brokers.split(",")]
    if elsewhere and any(map(is_loopback, hosts)):
        raise FatalError(
            f"The API at {settings.darkroom_url} finds Kafka at {brokers}, on its own machine, which is not this one. "
            "Run the command there, or set KAFKA_BROKERS to an address that leads there from here."
        )
    return brokers


def brokers_of_api(settings: Settings) -> str | None:
    """Return where the API finds Kafka; None where it does not say, or means its own machine, which is not this one."""
    try:
        return ask_api(settings)
    except DarkroomError:
        return None


@asynccontextmanager
async def asking(settings: Settings) -> AsyncIterator[AIOKafkaClient]:
    """Connect until the block ends. Raises KafkaUnavailableError, also for what fails in the block."""
    try:
        async with client.asking(client_options(settings)) as connected:
            yield connected
    except (KafkaError, OSError) as error:
        raise KafkaUnavailableError(
            f"Kafka at {settings.kafka_brokers} does not answer: {error}. Start it, or correct KAFKA_BROKERS."
        ) from error


async def partitions(connected: AIOKafkaClient, topics: Sequence[str]) -> dict[str, list[TopicPartition]]:
    """Return the partitions of topics. Raises FatalError where there is no such topic."""
    known = await connected.fetch_all_metadata()
    for topic in topics:
        if not known.partitions_for_topic(topic):
            raise FatalError(f"There is no topic {topic}. `darkroom topics` lists them.")
    return {topic: all_partitions(topic, len(known.partitions_for_topic(topic))) for topic in topics}
