"""How `darkroom sources` and `darkroom sync` show sources, and what has left them."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli import render
from cli.console import on_one_line
from cli.source_client import RemovalShown, SourceShown
from rules.sources import in_words
from rules.wording import plural
from topics.job_status import JobStatus


def table(found: list[SourceShown], width: int) -> RenderableType:
    """Return one row a source, or two lines where they do not fit."""
    if width < render.NARROW:
        return Group(
            *(
                Text.assemble(
                    (one.name, "bold"),
                    f"\n  {one.state}, every {_every(one)}, last {_last(one)}, in {one.collection}",
                    f"\n  {_watched(one)}" if one.watch else "",
                    (f"\n  {on_one_line(one.folder)}", "dim"),
                )
                for one in found
            )
        )
    table = render.plain_table("SOURCE", "STATE", "EVERY", "WATCHED", "COLLECTION", "LAST", "FOLDER", whole={"SOURCE"})
    for one in found:
        watched = Text(_watched(one) if one.watch else "-")
        folder = Text(on_one_line(one.folder))
        table.add_row(one.name, one.state, _every(one), watched, one.collection, _last(one), folder)
    return table


def facts(source: SourceShown) -> RenderableType:
    """Return all that is known of a source."""
    shown = Table.grid(padding=(0, 2))
    shown.add_column(style="dim", no_wrap=True)
    shown.add_column(overflow="fold")
    shown.add_row("Source", source.name)
    shown.add_row("Folder", Text(on_one_line(source.folder)))
    shown.add_row("Collection", source.collection)
    shown.add_row("State", source.state)
    shown.add_row("Looked at", often(source))
    if source.watch:
        shown.add_row("Watched", Text(_watched(source)))
    if source.next_at is not None:
        shown.add_row("Next", source.next_at)
    for pattern in source.exclude:
        shown.add_row("Left out", Text(on_one_line(pattern)))
    if source.last_job is not None:
        shown.add_row("Last job", source.last_job.job_id)
        shown.add_row("", Text(source.last_job.message))
    for job in source.questions:
        lost = 0 if job.removals is None else job.removals.lost
        shown.add_row(
            "Asks you", Text(f"{plural(lost, 'picture is', 'pictures are')} to go: yes or no? {how_to_answer(job)}")
        )
    return shown


def often(source: SourceShown) -> str:
    """Say when a source is looked at by itself."""
    times = [f"every {in_words(source.every_seconds)}"] if source.every_seconds else []
    return " and ".join([*(["when it changes"] if source.watch else []), *times] or ["when you ask"])


def how_to_answer(job: JobStatus) -> str:
    """Say how a person sees, confirms or refuses the removals of a sync that are held."""
    return (
        f"`darkroom sync --show {job.job_id}` lists them, `--confirm {job.job_id}` removes them, "
        f"`--keep {job.job_id}` does not."
    )


def what_left(one: RemovalShown) -> str:
    """Return the path that leaves, with where the file, or its picture, is now."""
    if one.to is not None:
        return f"{one.path} -> {one.to}"
    return one.path if one.lost or one.way == "replaced" else f"{one.path} (its picture has another file)"


def _every(source: SourceShown) -> str:
    return in_words(source.every_seconds) if source.every_seconds else "-"


def _watched(source: SourceShown) -> str:
    """Return how a source that is to be watched is, in a sentence."""
    told = source.watching
    if told is None:
        return "paused" if source.state == "paused" else "no worker watches it yet"
    because = "" if told.reason is None else f": {told.reason}"
    if told.state == "watching":
        return f"{plural(told.folders, 'folder')}{because}"
    if told.state == "by_schedule" and told.every_seconds:
        return f"looked at every {in_words(told.every_seconds)} in place of that{because}"
    return f"not possible{because}"


def _last(source: SourceShown) -> str:
    job = source.last_job
    return "never" if job is None else job.status.replace("_", " ")
