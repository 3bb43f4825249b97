"""`darkroom doctor`: says what is missing or unreachable, and how to mend it."""

import asyncio
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, NoReturn

import psutil
import typer

from cli import checks, collection_checks, source_checks
from cli.checks import Check
from cli.client import Client
from cli.console import busy, escape, results, show
from cli.jobs import Json
from cli.replay_client import ReplayClient
from cli.services import parse_stages, require_parts
from core import settings as environment
from core.errors import ApiUnavailableError, FatalError, KafkaUnavailableError
from core.settings import Settings

MARKS = {"ok": "[green]ok[/green]     ", "note": "[cyan]note[/cyan]   ", "problem": "[red]problem[/red]"}


def doctor(
    job: Annotated[
        str | None, typer.Argument(metavar="[JOB]", help="Look at this job in place of the installation.")
    ] = None,
    *,
    data: Annotated[
        Path | None,
        typer.Option(help="Data folder of the `darkroom up` to look at. Default: DARKROOM_DATA, or .darkroom."),
    ] = None,
    collection: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only count what the pictures of this collection lack.")
    ] = None,
    worker: Annotated[
        str | None, typer.Option(metavar="STAGES", help="Only ask Kafka whether these stages work on this host.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what is missing or unreachable, or what a job waits for, and how to mend it; exit 1 if anything is wrong."""
    settings = environment.load()
    if job is not None:
        _examine_job(settings, job, data, as_json=as_json)
    if worker is not None:
        found = _examine_worker(settings, worker)
    elif collection is not None:
        with busy("Counting"), Client.of(settings) as client:
            found = list(collection_checks.checks(collection, client.check(collection)))
    else:
        with busy("Asking every part"):
            found = asyncio.run(_examine(settings, (data or settings.darkroom_data).resolve()))
    if as_json:
        results.print_json(data=[asdict(check) for check in found], indent=None)
    else:
        for check in found:
            results.print(f"{MARKS[check.level]} {check.name:<14} {escape(check.detail)}")
            if check.mend:
                results.print(f"{'':22} {escape(check.mend)}")
    sys.exit(1 if any(check.level == "problem" for check in found) else 0)


async def _examine(settings: Settings, data: Path) -> list[Check]:
    from cli import kafka, part_checks  # noqa: PLC0415 - with the Kafka client; the other commands start faster without
    from embedded import state  # noqa: PLC0415 - as above

    found = list(checks.machine(settings, data))
    is_given_ml = bool(settings.ml_inference_service_url)
    running = state.read(data)
    if running is not None:
        found.append(Check("Running", "ok", f"`darkroom up`, process {running.pid}, in {data}"))
        found.extend(
            Check(name, "problem", part.failed or "is down, and will be started again", f"See {data}/logs/{name}.log.")
            for name, part in running.parts.items()
            if part.failed or part.pid is None
        )
        found_there: dict[str, object] = {name.lower(): value for name, value in running.addresses.items()}
        if "kafka_partitions" in found_there:
            found_there["kafka_partitions"] = int(running.addresses["KAFKA_PARTITIONS"])
        settings = settings.model_copy(update=found_there)
    if not settings.kafka_brokers and (brokers := await asyncio.to_thread(kafka.brokers_of_api, settings)):
        settings = settings.model_copy(update={"kafka_brokers": brokers})
    words = await asyncio.to_thread(part_checks.words_of_api, settings)
    found.extend([check async for check in part_checks.parts(settings, words)])
    found.extend(await asyncio.to_thread(lambda: list(source_checks.checks(settings))))
    if is_given_ml:
        found.append(await part_checks.model(settings))
    return found


def _examine_job(settings: Settings, job: str, data: Path | None, *, as_json: bool) -> NoReturn:
    from cli import job_doctor, kafka  # noqa: PLC0415 - as above

    with busy("Asking the API and Kafka"):
        with ReplayClient.of(settings) as client:
            found = job_doctor.examine(client, job)
        try:
            asyncio.run(job_doctor.examine_kafka(kafka.with_brokers(settings, data), found))
        except (FatalError, ApiUnavailableError, KafkaUnavailableError) as error:
            found.notes.append(f"Files in work are not shown. {error}")
    if as_json:
        results.out(found.model_dump_json(), highlight=False)
    else:
        show(job_doctor.table(found))
    sys.exit(1 if found.problems else 0)


def _examine_worker(settings: Settings, stages: str) -> list[Check]:
    from cli import part_checks  # noqa: PLC0415 - as above

    require_parts(settings)
    addresses = {address.address for card in psutil.net_if_addrs().values() for address in card}
    return asyncio.run(part_checks.workers(settings, parse_stages(stages), addresses))
