"""The commands about sources: `sources add|list|show|set|pause|resume|accept|remove`, and `sync`."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli import render
from cli.console import on_one_line, progress, results, show
from cli.forgetting import ForgettingClient, Yes, forget_pictures
from cli.jobs import Json, Wait, allow, decide, follow
from cli.source_client import RemovalShown, SourceClient, SourceShown
from core import settings
from core.errors import RequestError
from rules.sources import in_words, seconds_of
from rules.tally import Way
from topics.job_status import JobStatus
from topics.source import LEAST_SECONDS, MOST_SECONDS

group = typer.Typer(help="Folders that are kept in step with a collection.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A source, as `darkroom sources list` shows it.")]


@group.command()
def add(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder to keep in step.")],
    *,
    collection: Annotated[
        str, typer.Option(help="Collection to add to; made when it is new. Default: the active one.")
    ] = "",
    name: Annotated[str, typer.Option(help="What to call it. Default: as the folder is called.")] = "",
    every: Annotated[
        str, typer.Option(metavar="TIME", help="How often to look, such as 30m, 6h or 1d. Default: when you ask.")
    ] = "",
    watch: Annotated[bool, typer.Option("--watch", help="Also look whenever something changes in it.")] = False,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Leave out what this matches, as in .gitignore; may be given again."),
    ] = None,
    caption: Annotated[bool, typer.Option("--caption", help="Also ask ML for captions.")] = False,
    as_json: Json = False,
) -> None:
    """Keep a folder in step: it is looked at at once, then as often as you say, or whenever it changes."""
    with SourceClient.of(settings.load()) as client:
        [path] = allow(client, [folder])
        added = client.add_source(
            folder=str(path),
            name=name,
            collection=collection,
            every_seconds=_seconds(every) if every else None,
            watch=watch,
            exclude=exclude,
            caption=caption,
        )
    if as_json:
        results.out(added.model_dump_json(), highlight=False)
        return
    often = _often(added)
    results.out(
        f"Source {added.name}: {on_one_line(added.folder)} is kept in collection {added.collection}, and looked at "
        f"{often}. `darkroom sync {added.name}` looks now.",
        highlight=False,
    )


@group.command("list")
def list_sources(*, as_json: Json = False) -> None:
    """List all sources."""
    with SourceClient.of(settings.load()) as client:
        found = client.sources()
    if as_json:
        results.print_json(data=[one.model_dump() for one in found], indent=None)
    elif found:
        show(_table(found, results.width))
    else:
        results.print("No sources yet. `darkroom sources add FOLDER` keeps a folder in step.")


@group.command("show")
def show_source(name: Name, *, as_json: Json = False) -> None:
    """Show one source."""
    with SourceClient.of(settings.load()) as client:
        found = client.source(name)
    _show(found, as_json=as_json)


@group.command("set")
def set_source(
    name: Name,
    *,
    every: Annotated[
        str, typer.Option(metavar="TIME", help="How often to look, such as 30m, 6h or 1d; `never`: when you ask.")
    ] = "",
    watch: Annotated[bool | None, typer.Option("--watch/--no-watch", help="Look whenever something changes.")] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Leave out what this matches, in place of what was; may be given again."),
    ] = None,
    no_exclude: Annotated[bool, typer.Option("--no-exclude", help="Leave nothing out any more.")] = False,
    caption: Annotated[bool | None, typer.Option("--caption/--no-caption", help="Ask ML for captions.")] = None,
    as_json: Json = False,
) -> None:
    """Keep a source in another way: what you do not name stays. It is looked at again at once, unless it is paused.

    What is newly left out leaves the collection with that look. Another folder or collection is another source.
    """
    if exclude and no_exclude:
        raise typer.BadParameter("Say --exclude PATTERN or --no-exclude.")
    named: dict[str, object] = {"watch": watch, "caption": caption, "exclude": [] if no_exclude else exclude or None}
    changes = {option: value for option, value in named.items() if value is not None}
    if every:
        changes["every_seconds"] = None if every == "never" else _seconds(every)
    if not changes:
        raise typer.BadParameter("Say what is to change: --every, --watch, --exclude, --caption, or their --no-….")
    with SourceClient.of(settings.load()) as client:
        found = client.change_source(name, changes)
    _show(found, as_json=as_json)


@group.command()
def pause(name: Name, *, as_json: Json = False) -> None:
    """Look at a source no more by itself. `darkroom sync NAME` still does."""
    with SourceClient.of(settings.load()) as client:
        found = client.pause_source(name, paused=True)
    _show(found, as_json=as_json)


@group.command()
def resume(name: Name, *, as_json: Json = False) -> None:
    """Look at a source by itself again, and at once."""
    with SourceClient.of(settings.load()) as client:
        found = client.pause_source(name, paused=False)
    _show(found, as_json=as_json)


@group.command()
def accept(name: Name, *, as_json: Json = False) -> None:
    """Take what a source's folder is mounted on now for right, and look at it."""
    with SourceClient.of(settings.load()) as client:
        found = client.accept_source(name)
    _show(found, as_json=as_json)


@group.command()
def remove(
    name: Name,
    *,
    forget: Annotated[bool, typer.Option("--forget", help="Forget the pictures that it alone holds, too.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Keep a folder in step no more. Its pictures stay in the collection, unless you say --forget."""
    if forget:
        with ForgettingClient.of(settings.load()) as forgetting:
            forget_pictures(forgetting, {"source": name}, yes=yes, dry_run=False, as_json=as_json)
        return
    with SourceClient.of(settings.load()) as client:
        client.remove_source(name)
    if as_json:
        results.print_json(data={"removed": name}, indent=None)
    else:
        results.print(f"Source {name} is removed. Its pictures stay.")


def sync(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Sources. Default: all that are not paused.")
    ] = None,
    *,
    confirm: Annotated[str, typer.Option(metavar="JOB", help="Say yes to the removals of a sync that are held.")] = "",
    keep: Annotated[str, typer.Option(metavar="JOB", help="Say no to them: nothing is removed.")] = "",
    show_job: Annotated[
        str, typer.Option("--show", metavar="JOB", help="List what has left by a sync, or waits for a yes.")
    ] = "",
    only: Annotated[Way | None, typer.Option(help="With --show: what leaves in this way.")] = None,
    wait: Wait = False,
    as_json: Json = False,
) -> None:
    """Look at sources now: what is new or has changed is taken in, and what has left the folder leaves too."""
    if sum(map(bool, (confirm, keep, show_job, names))) > 1 or (only and not show_job):
        raise typer.BadParameter("Say --show JOB, --confirm JOB or --keep JOB, and no names; --only goes with --show.")
    if show_job:
        _show_removals(show_job, only, as_json=as_json)
        return
    if confirm or keep:
        decide(confirm or keep, "confirm" if confirm else "keep", as_json=as_json)
        return
    with SourceClient.of(settings.load()) as client:
        chosen = names or [one.name for one in client.sources() if one.state != "paused"]
        if not chosen:
            raise RequestError("There is no source to look at. `darkroom sources add FOLDER` keeps a folder in step.")
        jobs = {name: client.sync(name) for name in dict.fromkeys(chosen)}
        if not wait:
            if as_json:
                results.print_json(data={"jobs": jobs}, indent=None)
            else:
                for name, job in jobs.items():
                    results.print(f"{name}: job {job}. `darkroom status {job}` tells how it goes.")
            return
        ended = [client.settled(follow(client, job)) for job in jobs.values()]
    if as_json:
        results.print_json(data=[job.model_dump() for job in ended], indent=None)
    else:
        for name, status in zip(jobs, ended, strict=True):
            results.out(f"{name}: {status.message}", highlight=False)
            if status.removals is not None and status.removals.state == "held":
                results.out(how_to_answer(status), highlight=False)
    sys.exit(0 if all(status.status == "completed" for status in ended) else 1)


def how_to_answer(job: JobStatus) -> str:
    """Say how a person sees, confirms or refuses the removals of a sync that are held."""
    return (
        f"`darkroom sync --show {job.job_id}` lists them, `--confirm {job.job_id}` removes them, "
        f"`--keep {job.job_id}` does not."
    )


def _show_removals(job_id: str, only: Way | None, *, as_json: bool) -> None:
    with SourceClient.of(settings.load()) as client:
        found = client.removals(job_id, only)
        if as_json:
            for one in found:
                results.out(one.model_dump_json(), highlight=False)
            return
        render.show_rows({"LEFT": 8, "FILE": 0}, ((one.way, _what_left(one)) for one in found))
        job = client.status(job_id)
    if job.removals is None:
        progress.print(f"Job {job_id} is no sync that found anything gone.")
    elif job.removals.state == "held":
        progress.print(f"Held: {job.removals.reason}. {how_to_answer(job)}")


def _what_left(one: RemovalShown) -> str:
    if one.to is not None:
        return f"{one.path} -> {one.to}"
    return one.path if one.lost or one.way == "replaced" else f"{one.path} (its picture has another file)"


def _show(source: SourceShown, *, as_json: bool) -> None:
    if as_json:
        results.out(source.model_dump_json(), highlight=False)
    else:
        show(_facts(source))


def _table(found: list[SourceShown], width: int) -> RenderableType:
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


def _facts(source: SourceShown) -> RenderableType:
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    facts.add_row("Source", source.name)
    facts.add_row("Folder", Text(on_one_line(source.folder)))
    facts.add_row("Collection", source.collection)
    facts.add_row("State", source.state)
    facts.add_row("Looked at", _often(source))
    if source.watch:
        facts.add_row("Watched", Text(_watched(source)))
    if source.next_at is not None:
        facts.add_row("Next", source.next_at)
    for pattern in source.exclude:
        facts.add_row("Left out", Text(on_one_line(pattern)))
    if source.last_job is not None:
        facts.add_row("Last job", source.last_job.job_id)
        facts.add_row("", Text(source.last_job.message))
    for job in source.questions:
        lost = 0 if job.removals is None else job.removals.lost
        facts.add_row("Asks you", Text(f"are {lost} pictures to go? {how_to_answer(job)}"))
    return facts


def _often(source: SourceShown) -> str:
    often = [f"every {in_words(source.every_seconds)}"] if source.every_seconds else []
    return " and ".join([*(["when it changes"] if source.watch else []), *often] or ["when you ask"])


def _seconds(every: str) -> int:
    seconds = seconds_of(every)
    if not LEAST_SECONDS <= seconds <= MOST_SECONDS:
        bounds = f"{in_words(LEAST_SECONDS)} at least, and {in_words(MOST_SECONDS)} at most"
        raise typer.BadParameter(f"--every is {bounds}; {every!r} is not.")
    return seconds


def _every(source: SourceShown) -> str:
    return in_words(source.every_seconds) if source.every_seconds else "-"


def _watched(source: SourceShown) -> str:
    """Return how a source that is to be watched is, in a sentence."""
    told = source.watching
    if told is None:
        return "paused" if source.state == "paused" else "no worker watches it yet"
    because = "" if told.reason is None else f": {told.reason}"
    if told.state == "watching":
        return f"{told.folders} folders{because}"
    if told.state == "by_schedule" and told.every_seconds:
        return f"looked at every {in_words(told.every_seconds)} in place of that{because}"
    return f"not possible{because}"


def _last(source: SourceShown) -> str:
    job = source.last_job
    return "never" if job is None else job.status.replace("_", " ")
