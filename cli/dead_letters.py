"""The commands about what could not be done: `dead-letters list|show|replay|drop` and `retry-failed`."""

import sys
from typing import Annotated, Any, Literal

import typer

from cli import jobs, render
from cli.console import busy, results
from cli.replay_client import ReplayClient, succession_in_words
from core import settings

group = typer.Typer(help="Files and messages that failed: look at them, try them again.", no_args_is_help=True)

Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Ids, as `dead-letters list` shows them.")]
Job = Annotated[str, typer.Option(help="Only those of this job.", metavar="JOB")]
Stage = Annotated[str, typer.Option(help="Only those of this stage.")]
Error = Annotated[str, typer.Option(help="Only those with this class of error, such as ContentError.")]
All = Annotated[bool, typer.Option("--all", help="All that are open.")]
Force = Annotated[bool, typer.Option("--force", help="Also those that were tried too often or decided on before.")]
State = Annotated[
    Literal["open", "replayed", "dropped", "all"], typer.Option(help="Only those that this was decided about.")
]


@group.command("list")
def list_letters(
    *,
    job: Job = "",
    stage: Stage = "",
    error: Error = "",
    state: State = "open",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """List dead letters, the newest first."""
    with ReplayClient.of(settings.load()) as client:
        wanted = {"job": job, "stage": stage, "error_class": error, "state": "" if state == "all" else state}
        found = client.letters(**wanted)
        if as_json:
            for letter in found:
                results.print_json(data=letter, indent=None)
        else:
            render.show_rows({"ID": 9, "STATE": 8, "STAGE": 7, "WHAT": 0}, map(_row, found))


@group.command()
def show(
    letter_id: Annotated[str, typer.Argument(metavar="ID", help="The id of a dead letter.")],
    *,
    as_json: jobs.Json = False,
) -> None:
    """Show one dead letter: headers, content, stack trace."""
    with ReplayClient.of(settings.load()) as client:
        letter = client.letter(letter_id)
    if as_json:
        results.print_json(data=letter, indent=None)
        return
    results.out("  ".join(_row(letter)), highlight=False)
    results.out(f"{letter['at']}  attempt {letter['attempt']}  job {letter['job_id'] or 'unknown'}", highlight=False)
    results.out("\nHeaders", highlight=False)
    for name, value in letter["headers"].items():
        results.out(f"  {name}: {value}", highlight=False)
    results.out(f"\nContent\n{letter['payload'] or '(none)'}", highlight=False)
    results.out(f"\nStack trace\n{letter['stack_trace'] or '(none)'}", highlight=False)


@group.command()
def replay(
    ids: Ids = None,
    *,
    job: Job = "",
    stage: Stage = "",
    error: Error = "",
    every: All = False,
    force: Force = False,
    as_json: jobs.Json = False,
) -> None:
    """Try dead letters again: some by their ids, the open ones that match, or all open ones."""
    choice = _choice(ids, job, stage, error, every=every) | {"force": force}
    with ReplayClient.of(settings.load()) as client:
        with busy("Publishing again"):
            decided = client.decide("replay", choice)
        _tell(decided, "published again", as_json=as_json)


@group.command()
def drop(
    ids: Ids = None,
    *,
    job: Job = "",
    stage: Stage = "",
    error: Error = "",
    every: All = False,
    as_json: jobs.Json = False,
) -> None:
    """Mark dead letters as done with."""
    choice = _choice(ids, job, stage, error, every=every)
    with ReplayClient.of(settings.load()) as client:
        with busy("Dropping"):
            decided = client.decide("drop", choice)
        _tell(decided, "dropped", as_json=as_json)


def retry_failed(job: jobs.JobId, *, as_json: jobs.Json = False) -> None:
    """Run the failed files of a job again, after their cause was mended."""
    with ReplayClient.of(settings.load()) as client:
        with busy("Publishing again"):
            decided = client.retry_failed(job)
        _tell(decided, "run again", as_json=as_json)


def _choice(ids: list[str] | None, job: str, stage: str, error: str, *, every: bool) -> dict[str, Any]:
    filters = {name: text for name, text in (("job_id", job), ("stage", stage), ("error_class", error)) if text}
    if [bool(ids), bool(filters), every].count(True) != 1:
        raise typer.BadParameter("Choose in one way: ids, or --job, --stage and --error, or --all.")
    if ids:
        return {"ids": ids}
    return filters or {"all": True}


def _tell(decided: dict[str, Any], what: str, *, as_json: bool) -> None:
    """Print what was done; exit with 1 where something was refused."""
    if as_json:
        results.print_json(data=decided, indent=None)
    else:
        refused = f", {decided['refused']} refused" if decided["refused"] else ""
        results.out(f"{decided['done']} {what}{refused}.", highlight=False)
        for refusal in decided["refusals"]:
            results.out(f"  {refusal['id']}: {refusal['reason']}", highlight=False)
        for line in succession_in_words(decided.get("jobs", {})):
            results.out(line, highlight=False)
    if decided["refused"]:
        sys.exit(1)


def _row(letter: dict[str, Any]) -> tuple[str, str, str, str]:
    """Return a letter's id, state and stage, and what happened; most messages name the path."""
    path, message = letter["path"], letter["message"]
    what = message if path in message else f"{path}: {message}"
    return letter["id"], letter["state"], letter["stage"], f"{letter['error_class']}: {what}"
