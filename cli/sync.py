"""The command `sync`: look at sources now; see, confirm or refuse what would leave by that."""

import sys
from typing import Annotated

import typer

from cli import render
from cli.console import progress, results
from cli.jobs import Json, Wait, decide, follow
from cli.source_client import SourceClient
from cli.source_views import how_to_answer, what_left
from core import settings
from core.errors import RequestError
from rules.tally import Way


def sync(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Sources. Default: all that are not paused.")
    ] = None,
    *,
    confirm: Annotated[
        str | None, typer.Option(metavar="JOB", help="Say yes to the removals of a sync that are held.")
    ] = None,
    keep: Annotated[str | None, typer.Option(metavar="JOB", help="Say no to them: nothing is removed.")] = None,
    show_job: Annotated[
        str | None, typer.Option("--show", metavar="JOB", help="List what has left by a sync, or waits for a yes.")
    ] = None,
    only: Annotated[Way | None, typer.Option(help="With --show: what leaves in this way.")] = None,
    wait: Wait = False,
    as_json: Json = False,
) -> None:
    """Look at sources now: what is new or has changed is taken in, and what has left the folder leaves too."""
    chosen_jobs = [job for job in (show_job, confirm, keep) if job is not None]
    if len(chosen_jobs) + bool(names) > 1 or (only and show_job is None):
        raise typer.BadParameter("Say --show JOB, --confirm JOB or --keep JOB, and no names; --only goes with --show.")
    if show_job is not None:
        _show_removals(show_job, only, as_json=as_json)
        return
    if chosen_jobs:
        decide(chosen_jobs[0], "keep" if confirm is None else "confirm", as_json=as_json)
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


def _show_removals(job_id: str, only: Way | None, *, as_json: bool) -> None:
    with SourceClient.of(settings.load()) as client:
        found = client.removals(job_id, only)
        if as_json:
            for one in found:
                results.out(one.model_dump_json(), highlight=False)
            return
        render.show_rows({"LEFT": 8, "FILE": 0}, ((one.way, what_left(one)) for one in found))
        job = client.status(job_id)
    if job.removals is None:
        progress.print(f"Job {job_id} is no sync that found anything gone.")
    elif job.removals.state == "held":
        progress.print(f"Held: {job.removals.reason}. {how_to_answer(job)}")
