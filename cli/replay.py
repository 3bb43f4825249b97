"""The commands `replay`, `rebuild-cache` and `clear-cache`: they begin a run in the API, and show how far it is."""

import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cli.console import progress, results
from cli.jobs import Json
from cli.replay_client import ReplayClient, succession_in_words
from core import settings
from rules.wording import plural


def replay(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="Such as raw-path, hashed-file, db-write.")],
    *,
    job: Annotated[str | None, typer.Option(help="Only messages of this job.", metavar="JOB")] = None,
    since: Annotated[
        str | None, typer.Option(help="Only messages from this time on, such as 2026-05-01T13:00 (local time).")
    ] = None,
    from_offset: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PARTITION:OFFSET", help="Only messages of this partition from this offset on; repeat it."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many messages it would be.")] = False,
    as_json: Json = False,
) -> None:
    """Publish again what a topic holds, up to its present end. It changes no count and no point."""
    body: dict[str, Any] = {"topic": topic, "dry_run": dry_run, "job_id": job}
    if since is not None:
        body["since"] = _time(since)
    if from_offset:
        body["from_offsets"] = dict(_place(text) for text in from_offset)
    with ReplayClient.of(settings.load()) as client:
        _show(client.run("/replay", body), "messages", as_json=as_json)


def rebuild_cache(
    *,
    collection: Annotated[str | None, typer.Option(help="Only from this collection. Default: all.")] = None,
    as_json: Json = False,
) -> None:
    """Fill the dedupe cache from Qdrant, when its changelog is lost. Nothing is sent to ML."""
    with ReplayClient.of(settings.load()) as client:
        _show(client.run("/collections/cache/rebuild", {"collection": collection}), "points", as_json=as_json)


def clear_cache(
    *,
    collection: Annotated[str | None, typer.Option(help="Of this collection. Default: the active one.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also what was to be sent to ML and never came back; who waits goes on.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Have the dedupe cache forget a collection's contents: when their files come again, ML sees them again."""
    with ReplayClient.of(settings.load()) as client:
        body = {"collection": collection, "force": force}
        _show(client.run("/collections/cache/clear", body), "points", as_json=as_json)


def _show(run: Iterator[dict[str, Any]], unit: str, *, as_json: bool) -> None:
    """Print how far a run is, to stderr, and its end; exit with 1 where it failed."""
    told = ""
    last: dict[str, Any] = {}
    columns = (BarColumn(bar_width=24), MofNCompleteColumn(), TextColumn(unit), TimeRemainingColumn())
    with Progress(*columns, console=progress, disable=not progress.is_terminal) as shown:
        task = shown.add_task("", total=None)
        for last in run:
            line = f"{last['read']}/{last['total']} {unit}"
            if progress.is_terminal:
                shown.update(task, completed=last["read"], total=last["total"] or None)
            elif line != told and last["total"]:
                progress.print(line)
                told = line
    if as_json:
        results.print_json(data=last, indent=None)
    else:
        verb = "would be published" if last["dry_run"] else "published"
        results.out(f"{plural(last['published'], 'message')} {verb}.", highlight=False)
        for reason, count in last["left_out"].items():
            results.out(f"  {count} left out: {reason}", highlight=False)
        for line in succession_in_words(last.get("jobs", {})):
            results.out(line, highlight=False)
        if last["message"]:
            progress.print(last["message"], markup=False)
    if last["state"] != "done":
        sys.exit(1)


def _time(text: str) -> str:
    try:
        return datetime.fromisoformat(text).astimezone().isoformat()
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(f"{text!r} is no time; write it as 2026-05-01T13:00.") from error


def _place(text: str) -> tuple[int, int]:
    partition, _, offset = text.partition(":")
    if not (partition.isdecimal() and offset.isdecimal()):
        raise typer.BadParameter(f"{text!r} is no PARTITION:OFFSET, such as 3:1200.")
    return int(partition), int(offset)
