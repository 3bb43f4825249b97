"""`darkroom doctor JOB`: where a job is, what it waits for, which file is slow, and what failed and why.

The API knows the job. Kafka knows the rest: a stage acks in order, so the message at which a group stands is the
oldest that it has in work, whatever the stage does with it.
"""

import json
import time
from collections.abc import Iterable

from aiokafka.client import AIOKafkaClient
from pydantic import BaseModel
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cli import kafka
from cli.progress import count, duration, note
from cli.replay_client import ReplayClient
from core.settings import STAGES, Settings, Stage
from gateways.kafka import groups
from gateways.kafka.connection import client_options
from gateways.kafka.reader import KafkaRecord, Reader
from rules.watchdog import missing_in_words
from rules.wording import plural
from topics.job_status import FINISHED, JobStatus
from topics.record import header_texts
from topics.topology import topics_read

# Of each partition: a stage has no more in work at once.
LOOKED_AT = 300
MOST_LETTERS = 1000
SLOWEST = 5


class Held(BaseModel):
    """A message of the job that a stage has yet to finish; `seconds`: since it was published."""

    stage: Stage
    path: str
    seconds: float
    place: str


class Failure(BaseModel):
    """Files that failed with one kind of error in one stage, and one of them."""

    stage: str
    error: str
    files: int
    example: str


class Diagnosis(BaseModel):
    """What was found. `problems` are sentences with what to do; empty: the job is done, or goes well."""

    job_id: str
    status: str
    files: str
    progress: str
    in_work: dict[Stage, int]
    slowest: list[Held] = []
    failures: list[Failure] = []
    problems: list[str] = []
    notes: list[str] = []


def examine(client: ReplayClient, job_id: str) -> Diagnosis:
    """Ask the API. Raises as the client does."""
    job = client.status(job_id)
    found = Diagnosis(
        job_id=job_id,
        status=job.status,
        files=count(job),
        progress="" if job.status in FINISHED else note(job),
        in_work={stage: gauge.in_flight for stage, gauge in job.stages.items() if gauge.in_flight},
    )
    found.problems.extend(_waits(job))
    if job.failed_files:
        found.failures = _failures(client, job_id)
        found.problems.append(
            f"{plural(job.failed_files, 'file')} failed. `darkroom dead-letters list --job {job_id}` shows each; mend "
            f"the cause, then `darkroom retry-failed {job_id}`."
        )
    return found


def _waits(job: JobStatus) -> Iterable[str]:
    if job.missing_files and job.status not in FINISHED:
        yield (
            f"{missing_in_words(job.missing_files).capitalize()}: their messages are gone from Kafka. The folders are "
            f"walked again once by themselves. If that does not help, `darkroom close {job.job_id} --accept-missing` "
            f"ends it without them, and a new job over the same folders takes them in."
        )
    elif job.missing_files:
        yield (
            f"{missing_in_words(job.missing_files).capitalize()}, and it was ended without them: a new job over the "
            "same folders takes them in."
        )
    elif job.stalled:
        missing = " --accept-missing" if job.sources else ""
        close = f" `darkroom close {job.job_id}{missing}` ends it." if "end marker" in job.stalled else ""
        yield f"It is stalled: {job.stalled}.{close}"
    if job.waiting_for:
        name = {"ml": "ML", "qdrant": "Qdrant"}[job.waiting_for]
        yield f"It waits for {name}, which is away or not ready: see `darkroom doctor`. Nothing is lost; bring it back."
    if job.paused:
        yield f"Its scan is paused. `darkroom resume {job.job_id}` lets it go on."


def _failures(client: ReplayClient, job_id: str) -> list[Failure]:
    kinds: dict[tuple[str, str], Failure] = {}
    for number, letter in enumerate(client.letters(job=job_id, state="open")):
        if number == MOST_LETTERS:
            break
        kind = letter["stage"], letter["error_class"]
        known = kinds.setdefault(kind, Failure(stage=kind[0], error=kind[1], files=0, example=letter["message"]))
        known.files += 1
    return sorted(kinds.values(), key=lambda failure: -failure.files)


async def examine_kafka(settings: Settings, found: Diagnosis) -> None:
    """Add what Kafka knows: the oldest files in work, and stages that nobody runs."""
    if found.status in FINISHED:
        return
    names = {stage: settings.group(stage) for stage in STAGES}
    async with kafka.asking(settings) as client:
        await _examine(client, settings, names, found)


async def _examine(client: AIOKafkaClient, settings: Settings, names: dict[Stage, str], found: Diagnosis) -> None:
    states = await groups.describe(client, names.values())
    for stage, name in names.items():
        if not states[name].members:
            found.problems.append(f"Stage {stage} has no worker. Run `darkroom worker --stages {stage}`.")
    held: list[Held] = []
    # The events that track reads are of the job, not of a file.
    topics = {stage: topics_read(stage) for stage in STAGES if stage != "track"}
    parts = await kafka.partitions(client, [topic for read in topics.values() for topic in read])
    reads = {names[stage]: [part for topic in read for part in parts[topic]] for stage, read in topics.items()}
    positions = await groups.positions(client, reads)
    async with Reader(client_options(settings), []) as reader:
        for stage, name in names.items():
            behind = {part: where for part, where in positions.get(name, {}).items() if where[0] < where[1]}
            begins = {part: committed for part, (committed, _) in behind.items()}
            ends = {part: min(end, committed + LOOKED_AT) for part, (committed, end) in behind.items()}
            reader.go_to(begins)
            async for records in reader.up_to(ends):
                held += [_held(stage, record) for record in records if _is_of(record, found.job_id)]
    found.slowest = sorted(held, key=lambda each: -each.seconds)[:SLOWEST]


def _is_of(record: KafkaRecord, job_id: str) -> bool:
    return record.value is not None and header_texts(record.headers).get("job_id") == job_id


def _held(stage: Stage, record: KafkaRecord) -> Held:
    """Return a message that waits or is in work. What it is about stands in every record that names a file."""
    return Held(
        stage=stage,
        path=_path(record.value or b""),
        seconds=max(0.0, time.time() - record.timestamp / 1000),
        place=f"{record.topic} {record.partition}:{record.offset}",
    )


def _path(value: bytes) -> str:
    try:
        record = json.loads(value)
        return str(record.get("path") or ", ".join(record.get("sources", [])) or "?")
    except (ValueError, AttributeError, RecursionError):
        return "?"


def table(found: Diagnosis) -> RenderableType:
    """Return what was found, for a person."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(overflow="fold")
    facts.add_row("Job", Text(found.job_id))
    facts.add_row("Status", Text(", ".join(filter(None, [found.status, f"{found.files} files", found.progress]))))
    in_work = ", ".join(f"{stage} {files}" for stage, files in found.in_work.items())
    facts.add_row("Where", in_work or "nothing is in work")
    for held in found.slowest:
        facts.add_row("Slowest", Text(f"{held.stage}, for {duration(held.seconds)}: {held.path} ({held.place})"))
    for each in found.failures:
        facts.add_row("Failed", Text(f"{each.files} in {each.stage}, {each.error}, such as: {each.example}"))
    for problem in found.problems:
        facts.add_row(Text("To do", style="bold yellow"), Text(problem))
    for remark in found.notes:
        facts.add_row("Note", Text(remark))
    if not found.problems:
        facts.add_row(Text("To do", style="bold green"), "nothing")
    return facts
