"""How the commands show things. Nothing here is wider than 80 columns but ids, paths and messages."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli.client import FileOfStatus
from cli.console import on_one_line, results, show
from cli.progress import count, duration, note
from cli.search_client import Hit, Reason
from rules.kinds import left_out_line, skipped_line
from rules.outcomes import OUTCOMES
from topics.job_status import JobStatus

STATUS_LOG_LINES = 5
ROWS_AT_ONCE = 100
COLOURS = {"completed": "green", "completed_with_errors": "yellow", "failed": "red", "cancelled": "red"}


def plain_table(*columns: str, right: Collection[str] = (), whole: Collection[str] = ()) -> Table:
    """Return a table without lines. What is in the columns `whole` is never folded: it is there to be copied."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(
            name, justify="right" if name in right else "left", no_wrap=name in whole or name in right, overflow="fold"
        )
    return table


NARROW = 110
"""Columns below which the id of a job gets a line to itself, and so does its folder."""


def jobs(found: list[JobStatus], width: int) -> RenderableType:
    """Return one row a job, or two where they do not fit."""
    if width < NARROW:
        return Group(
            *(
                Text.assemble(
                    (job.job_id, "bold"),
                    f"\n  {job.status}, {count(job)} files, {_age(job.start_time)}",
                    *([("\n  " + _folder(job), "dim")] if job.sources else []),
                )
                for job in found
            )
        )
    folder = ["FOLDER"] if any(job.sources for job in found) else []
    table = plain_table("JOB", "STATUS", "FILES", "AGE", *folder, right={"FILES", "AGE"}, whole={"JOB"})
    for job in found:
        row: list[RenderableType] = [job.job_id, _state(job), count(job), _age(job.start_time)]
        table.add_row(*row, *(Text(_folder(job)) for _ in folder))
    return table


def _folder(job: JobStatus) -> str:
    """Return the first folder of a job, and how many more it has."""
    first, *more = map(on_one_line, job.sources or [""])
    return f"{first} and {len(more)} more" if more else first


def hits(found: list[Hit], *, header: bool = True) -> RenderableType:
    """Return one row a picture."""
    table = plain_table("SCORE", "PICTURE", "TAKEN", "WHY", right={"SCORE"}, whole={"TAKEN"})
    table.show_header = header
    for hit in found:
        said = hit.payload
        table.add_row(
            f"{hit.score:.3f}",
            Text(on_one_line(str(said.get("full_path") or hit.filename))),
            str(said.get("taken_at") or "")[:10],
            Text(on_one_line(_why(hit))),
        )
    return table


_KINDS = {"like": "looks like it"}


def _why(hit: Hit) -> str:
    """Say why a picture was found."""
    words = [f"{one.word} in {one.field}: {one.value}" for one in hit.reasons if one.kind == "word"]
    others = [f"{_KINDS.get(one.kind, one.kind)} {_nearness(one)}" for one in hit.reasons if one.kind != "word"]
    return "; ".join([*words, *others]) or str(hit.payload.get("caption") or hit.payload.get("title") or "")


def _nearness(reason: Reason) -> str:
    if reason.probability is not None:
        return f"{reason.probability:.0%}"
    return "" if reason.similarity is None else f"{reason.similarity:.2f}"


def status(job: JobStatus) -> RenderableType:
    """Return all that a person wants to know of one job."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    facts.add_row("Job", job.job_id)
    facts.add_row("Status", _state(job))
    facts.add_row("Message", Text(job.message))
    facts.add_row("Collection", Text(job.collection))
    for source in job.sources:
        facts.add_row("Source", Text(source))
    if job.sources_total > len(job.sources):
        facts.add_row("", f"and {job.sources_total - len(job.sources)} more")
    facts.add_row("Files", f"{count(job)}  {'' if job.end_time else note(job)}".rstrip())
    facts.add_row("Outcomes", ", ".join(f"{getattr(job.outcomes, name)} {name}" for name in OUTCOMES))
    if not_taken := not_taken_lines(job):
        facts.add_row("Not taken", "\n".join(not_taken))
    facts.add_row("ML", f"{job.ml_images_sent} images sent" + (f", model {job.model_id}" if job.model_id else ""))
    if job.end_time is None:
        waiting = [f"{name} {gauge.in_flight}" for name, gauge in job.stages.items() if gauge.in_flight]
        facts.add_row("In work", ", ".join(waiting) or "nothing")
    facts.add_row("Time", _span(job))
    logs = [Text(f"  {line}", style="dim") for line in job.logs[-STATUS_LOG_LINES:]]
    return Group(facts, *logs)


def not_taken_lines(job: JobStatus) -> list[str]:
    """Return in a line each how many files were skipped, and how many left out, where any were."""
    lines = [skipped_line(job.outcomes.skipped, job.skipped_kinds)]
    if job.left_out:
        lines.append(left_out_line(job.left_out.files, job.left_out.folders, more=job.left_out.more))
    return [line for line in lines if line]


def outcomes(job: JobStatus) -> RenderableType:
    """Return the outcomes of a finished job as a table with their sum."""
    meanings = {
        "stored": "new content, embedded and stored",
        "cached": "embedding known, stored without ML",
        "duplicate": "same content as another file",
        "unchanged": "already stored before",
        "skipped": "not a photograph for us",
        "failed": "could not be used",
    }
    table = Table(show_footer=True)
    table.add_column("Outcome", "total")
    table.add_column("Files", str(job.total_files), justify="right")
    table.add_column("Meaning", style="dim")
    for name in OUTCOMES:
        table.add_row(name, str(getattr(job.outcomes, name)), meanings[name])
    return table


def file(found: FileOfStatus) -> tuple[str, str]:
    """Return a file's outcome, and its path with the reason where there is one; most reasons name the path."""
    reason = found.reason or ""
    return found.outcome or "pending", reason if found.path in reason else f"{found.path}: {reason}".removesuffix(": ")


def show_rows(widths: Mapping[str, int], rows: Iterable[Sequence[str]]) -> None:
    """Print rows as they come: on a terminal as a table whose last column is folded to fit, else a line each.

    `widths` has the least width of each column, in characters, by its name.
    """
    if not results.is_terminal:
        for row in rows:
            cells = (f"{on_one_line(cell):<{width}}" for cell, width in zip(row, widths.values(), strict=True))
            results.out(" ".join(cells).rstrip(), highlight=False)
        return
    coming = iter(rows)
    header = True
    while some := list(islice(coming, ROWS_AT_ONCE)):
        table = plain_table(*widths, whole=[*widths][:-1])
        table.show_header = header
        for column, width in zip(table.columns, widths.values(), strict=True):
            column.min_width = width
        for row in some:
            table.add_row(*(Text(on_one_line(cell)) for cell in row))
        show(table)
        header = False


def _state(job: JobStatus) -> Text:
    return Text(job.status, style=COLOURS.get(job.status, "cyan"))


def _age(start: str | None) -> str:
    """Return how long ago that was, in the largest unit that fits."""
    if start is None:
        return ""
    seconds = (datetime.now(UTC) - datetime.fromisoformat(start)).total_seconds()
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def _span(job: JobStatus) -> str:
    if job.start_time is None:
        return "not started"
    if job.end_time is None:
        return f"since {job.start_time}"
    seconds = (datetime.fromisoformat(job.end_time) - datetime.fromisoformat(job.start_time)).total_seconds()
    return f"{duration(seconds)}, until {job.end_time}"
