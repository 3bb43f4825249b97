"""The commands about sources: `sources add|list|show|set|pause|resume|accept|remove`."""

from pathlib import Path
from typing import Annotated

import typer

from cli import source_views
from cli.console import on_one_line, results, show
from cli.forgetting import ForgettingClient, Yes, forget_pictures
from cli.jobs import Json, allow
from cli.source_client import SourceClient, SourceShown
from core import settings
from rules.sources import in_words, seconds_of
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
    often = source_views.often(added)
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
        show(source_views.table(found, results.width))
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


def _show(source: SourceShown, *, as_json: bool) -> None:
    if as_json:
        results.out(source.model_dump_json(), highlight=False)
    else:
        show(source_views.facts(source))


def _seconds(every: str) -> int:
    seconds = seconds_of(every)
    if not LEAST_SECONDS <= seconds <= MOST_SECONDS:
        bounds = f"{in_words(LEAST_SECONDS)} at least, and {in_words(MOST_SECONDS)} at most"
        raise typer.BadParameter(f"--every is {bounds}; {every!r} is not.")
    return seconds
