"""What `doctor` asks the running parts: whether they answer and how fast, and whether the topics and stages fit."""

import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from cli.checks import GET_MODEL, Check
from cli.client import Client, authorization, is_local
from core.errors import ApiUnavailableError, DarkroomError, UntrustedError
from core.settings import STAGES, Settings, Stage, reveal
from core.tls import authorities
from gateways.kafka import configs, groups, transactions
from gateways.kafka.client import administering, asking
from gateways.kafka.connection import client_options
from gateways.kafka.reader import all_partitions
from gateways.ml import ML
from rules.wording import plural
from topics.admin import INSYNC, WITHOUT_SPARE, wanted, without_spare
from topics.dead_letter import UNREADABLE

TIMEOUT_SECONDS = 5.0
LONG_SECONDS = 60.0
NAMED = 3
TITLES = {"kafka": "Kafka", "qdrant": "Qdrant", "ml": "ML"}
REFUSED = {401, 403}
START = "Start everything with `darkroom up`"


def words_of_api(settings: Settings) -> dict[str, Check]:
    """Return what the API says of the parts that the settings do not name, by `kafka`, `qdrant` and `ml`.

    Nothing where no API answers.
    """
    try:
        with Client.of(settings) as client:
            said = client.system()
    except ApiUnavailableError:
        return {}
    except DarkroomError as error:
        return {name: Check(TITLES[name], "problem", f"not known, as the API does not say: {error}") for name in TITLES}
    try:
        return {name: _word(settings, TITLES[name], said["addresses"][name], said["parts"][name]) for name in TITLES}
    except (KeyError, TypeError):
        return {}


def _word(settings: Settings, title: str, address: str, state: dict[str, Any]) -> Check:
    if state["ready"]:
        return Check(title, "ok", f"{address}, as the API at {settings.darkroom_url} says")
    return Check(title, "problem", str(state["detail"]), f"So says the API at {settings.darkroom_url}: look there.")


async def parts(settings: Settings, words: Mapping[str, Check]) -> AsyncIterator[Check]:
    """Check every part that the settings name, and what they must hold; of others `words` tell, where they do."""
    if "kafka" in words and not settings.kafka_brokers:
        yield words["kafka"]
    else:
        async for check in _kafka(settings):
            yield check
    # A question that needs the key, as a Qdrant with a wrong key is as good as none.
    qdrant_key = reveal(settings.qdrant_api_key)
    key_header = {"api-key": qdrant_key} if qdrant_key else {}
    if "qdrant" in words and not settings.qdrant_address:
        yield words["qdrant"]
    else:
        yield await _http(
            "Qdrant", settings.qdrant_address, "/collections", "QDRANT_URL", key_header, key="QDRANT_API_KEY"
        )
    token = authorization(reveal(settings.ml_token))
    if "ml" in words and not settings.ml_inference_service_url:
        yield words["ml"]
    else:
        yield await _http(
            "ML", settings.ml_inference_service_url, "/health", "ML_INFERENCE_SERVICE_URL", token, key="ML_TOKEN"
        )
    api = await _http("API", settings.darkroom_url, "/health", "DARKROOM_URL")
    yield api
    if api.level == "ok":
        yield await _http(
            "API ready",
            settings.darkroom_url,
            "/ready",
            "DARKROOM_URL",
            authorization(reveal(settings.darkroom_api_key)),
        )
        yield await _refused(settings)
        yield await _unreadable(settings)
    if settings.ingest_roots:
        yield _roots(settings)
    else:
        yield Check("Roots", "note", "INGEST_ROOTS is not set: over HTTP only uploads, and `darkroom ingest` from here")


async def model(settings: Settings) -> Check:
    """Check whether the ML service that the settings name has a model that knows words."""
    ml = ML(settings.ml_inference_service_url, timeout=TIMEOUT_SECONDS, token=reveal(settings.ml_token))
    try:
        told = await ml.capabilities()
    except DarkroomError as error:
        return Check("ML model", "note", f"not known: {error}")
    finally:
        await ml.close()
    what = f"{told.model_id}, {told.embedding_dim} dimensions, on {told.device_type}"
    if told.supports_text:
        return Check("ML model", "ok", what)
    where = "Where that service runs: " if not is_local(settings.ml_inference_service_url) else ""
    return Check("ML model", "note", f"{what}: it knows no words", where + GET_MODEL)


async def workers(settings: Settings, stages: tuple[Stage, ...], hosts: set[str]) -> list[Check]:
    """Check that each of these stages has a member on one of the hosts, by the broker's own word."""
    names = {stage: settings.group(stage) for stage in stages}
    try:
        async with asking(client_options(settings)) as client:
            found = await groups.describe(client, names.values())
    except (KafkaError, OSError) as error:
        return [Check("Kafka", "problem", f"{settings.kafka_brokers}: {error}", "Start it, or correct KAFKA_BROKERS.")]
    return [
        Check(f"Stage {stage}", "ok", "has its partitions")
        if name in found and found[name].works and hosts & set(found[name].members.values())
        else Check(f"Stage {stage}", "problem", "no member on this host", f"Run `darkroom worker --stages {stage}`.")
        for stage, name in names.items()
    ]


async def _kafka(settings: Settings) -> AsyncIterator[Check]:
    brokers = settings.kafka_brokers
    if not brokers:
        yield Check("Kafka", "problem", "not running, and KAFKA_BROKERS is not set", f"{START}, or set KAFKA_BROKERS.")
        return
    kafka = client_options(settings) | {"request_timeout_ms": int(TIMEOUT_SECONDS * 1000)}
    started = time.monotonic()
    try:
        async with administering(kafka) as admin, asking(kafka) as client:
            topics = await admin.describe_topics([topic.name for topic in wanted(settings)])
            yield Check("Kafka", "ok", f"{brokers}, {_milliseconds(started)}")
            yield _topics(
                settings, {topic["topic"]: len(topic["partitions"]) for topic in topics if not topic["error_code"]}
            )
            held = await configs.describe(admin, [topic["topic"] for topic in topics], [INSYNC])
            if weak := without_spare(topics, held):
                yield Check("Replicas", "note", f"{plural(len(weak), 'topic')}, such as {weak[0]}. {WITHOUT_SPARE}")
            async for check in _held(client, {topic["topic"]: len(topic["partitions"]) for topic in topics}):
                yield check
            for stage in STAGES:
                yield await _stage(client, settings.group(stage), stage)
    except (KafkaError, OSError) as error:
        yield Check("Kafka", "problem", f"{brokers}: {error}", "Start it, or correct KAFKA_BROKERS.")


async def _held(client: AIOKafkaClient, partitions: dict[str, int]) -> AsyncIterator[Check]:
    """Check that no transaction has held a partition for long."""
    parts = [part for topic, count in partitions.items() for part in all_partitions(topic, count)]
    now = time.time()
    for one in await transactions.holding(client, parts):
        is_long = one.since is None or one.age(now) >= LONG_SECONDS
        yield Check("Transaction", "problem" if is_long else "note", one.describe(now))


def _topics(settings: Settings, partitions: dict[str, int]) -> Check:
    missing = [topic.name for topic in wanted(settings) if topic.name not in partitions]
    if missing:
        return Check("Topics", "problem", f"missing: {', '.join(missing)}", "A worker makes them when it starts.")
    wrong = [name for name, count in partitions.items() if count != settings.kafka_partitions]
    if wrong:
        detail = f"{', '.join(wrong)}: not the {plural(settings.kafka_partitions, 'partition')} of KAFKA_PARTITIONS"
        return Check("Topics", "problem", detail, "Set KAFKA_PARTITIONS to the count that they have.")
    return Check("Topics", "ok", f"{len(partitions)} with {plural(settings.kafka_partitions, 'partition')} each")


async def _stage(client: AIOKafkaClient, name: str, stage: Stage) -> Check:
    group = (await groups.describe(client, [name]))[name]
    behind = 0 if group.state == groups.NO_COORDINATOR else await groups.lag(client, name)
    if group.works:
        return Check(f"Stage {stage}", "ok", f"{len(group.members)} running, {plural(behind, 'message')} to read")
    detail = f"not running, {plural(behind, 'message')} to read"
    return Check(f"Stage {stage}", "problem", detail, f"Run `darkroom worker --stages {stage}`.")


async def _http(
    name: str,
    url: str,
    path: str,
    setting: str,
    headers: dict[str, str] | None = None,
    *,
    key: str = "DARKROOM_API_KEY",
) -> Check:
    if not url:
        return Check(name, "problem", f"not running, and {setting} is not set", f"{START}, or set {setting}.")
    started = time.monotonic()
    try:
        async with httpx.AsyncClient(
            timeout=TIMEOUT_SECONDS, trust_env=not is_local(url), verify=authorities(url)
        ) as client:
            response = await client.get(url + path, headers=headers)
    except httpx.HTTPError as error:
        reason = str(error) or type(error).__name__
        return Check(name, "problem", f"{url}: {reason}", f"{START}, or correct {setting}.")
    if response.is_success:
        return Check(name, "ok", f"{url}, {_milliseconds(started)}")
    mend = f"Set {key} to its key." if response.status_code in REFUSED else "See its log."
    return Check(name, "problem", f"{url}{path} answers {response.status_code}: {_reason(response)}", mend)


def _reason(response: httpx.Response) -> str:
    """Return what an answer says to a person, as far as it says it as our API does."""
    try:
        return str(response.json()["detail"])
    except (ValueError, TypeError, KeyError):
        return response.text[:200]


async def _refused(settings: Settings) -> Check:
    """Check that no file was refused as its message names no roots, or none that is allowed."""
    try:
        jobs = Counter(letter["job_id"] for letter in await _letters(settings, UntrustedError.__name__))
    except (httpx.HTTPError, ValueError, KeyError) as error:
        return Check("Trust", "note", f"which messages were refused is not known: {error}")
    if not jobs:
        return Check("Trust", "ok", "no message was refused for the folders that it names")
    refused = plural(jobs.total(), "message was", "messages were")
    of_jobs = ", ".join(f"{count} of job {job}" for job, count in jobs.most_common(5))
    return Check(
        "Trust",
        "problem",
        f"{refused} refused, as they name no roots that are allowed: {of_jobs}",
        "Let their program name roots, and allow them with INGEST_ROOTS (or set TRUST_KAFKA=1) for the workers; then "
        "`darkroom retry-failed JOB`.",
    )


async def _unreadable(settings: Settings) -> Check:
    """Check that no message was passed as nobody can read it."""
    try:
        said = [letter["message"] for letter in await _letters(settings, UNREADABLE)]
    except (httpx.HTTPError, ValueError, KeyError) as error:
        return Check("Unreadable", "note", f"which messages could not be read is not known: {error}")
    if not said:
        return Check("Unreadable", "ok", "every message could be read")
    return Check(
        "Unreadable",
        "problem",
        " ".join([*said[:NAMED], *([f"So {len(said) - NAMED} times more."] if len(said) > NAMED else [])]),
        "Look after the brokers' disks, and have what is missing sent again; then "
        f"`darkroom dead-letters drop --error {UNREADABLE}`.",
    )


async def _letters(settings: Settings, error_class: str) -> list[dict[str, str]]:
    """Return the newest open dead letters of a kind. Raises httpx.HTTPError, ValueError or KeyError."""
    url = settings.darkroom_url
    asked = {"error_class": error_class, "state": "open", "limit": "1000"}
    key = authorization(reveal(settings.darkroom_api_key))
    async with httpx.AsyncClient(
        timeout=TIMEOUT_SECONDS, trust_env=not is_local(url), verify=authorities(url)
    ) as client:
        answer = await client.get(f"{url}/api/v1/dead-letters", params=asked, headers=key)
    if not answer.is_success:
        raise httpx.HTTPStatusError(_reason(answer), request=answer.request, response=answer)
    letters: list[dict[str, str]] = answer.json()["letters"]
    return letters


def _roots(settings: Settings) -> Check:
    missing = [str(root) for root in settings.ingest_roots if not root.is_dir()]
    if missing:
        return Check("Roots", "problem", f"no folder: {', '.join(missing)}", "Correct INGEST_ROOTS.")
    return Check("Roots", "ok", ", ".join(map(str, settings.ingest_roots)))


def _milliseconds(started: float) -> str:
    return f"{(time.monotonic() - started) * 1000:.0f} ms"
