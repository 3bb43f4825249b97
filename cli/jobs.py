"""The commands about jobs: `ingest`, `jobs`, `status`, `files`. They talk to the API and to nothing else."""

import sys
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

import typer

import settings
from cli import render
from cli.client import Client
from cli.console import progress, results, show
from cli.progress import JobProgress
from errors import RequestError
from rules.outcomes import Outcome
from topics.job_status import FINISHED, JobStatus

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="The id of a job, as `darkroom jobs` shows it.")]


def ingest(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Folders and single files.")],
    *,
    collection: Annotated[
        str | None, typer.Option(help="Collection to add to; made when it is new. Default: the active one.")
    ] = None,
    caption: Annotated[bool, typer.Option("--caption", help="Also ask ML for captions.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for the end; exit 0 only if the job is `completed`.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Take photographs in, as one job.

    With --wait, progress goes to stderr. With --wait --json, the final status is all that goes to stdout.
    """
    with Client.of(settings.load()) as client:
        job_id = submit(client, paths, collection=collection, caption=caption)
        if not wait:
            if as_json:
                results.print_json(data={"job_id": job_id}, indent=None)
            else:
                results.print(f"Job {job_id}. `darkroom status {job_id}` tells how it goes.")
            return
        final = follow(client, job_id)
    if as_json:
        results.out(final.model_dump_json(), highlight=False)
    else:
        show(render.status(final))
    sys.exit(0 if final.status == "completed" else 1)


def recent(*, as_json: Json = False) -> None:
    """List the newest jobs."""
    with Client.of(settings.load()) as client:
        found = client.recent()
    if as_json:
        results.print_json(data=[job.model_dump() for job in found], indent=None)
    elif found:
        show(render.jobs(found, results.width))
    else:
        results.print("No jobs yet. `darkroom ingest PATH` starts one.")


def status(job: JobId, *, as_json: Json = False) -> None:
    """Show one job."""
    with Client.of(settings.load()) as client:
        found = client.status(job)
    if as_json:
        results.out(found.model_dump_json(), highlight=False)
    else:
        show(render.status(found))


def files(
    job: JobId,
    *,
    outcome: Annotated[Outcome | None, typer.Option(help="Only files with this outcome.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """List the files of a job and what became of each."""
    with Client.of(settings.load()) as client:
        found = client.files(job, outcome)
        if as_json:
            for file in found:
                results.out(file.model_dump_json(), highlight=False)
        else:
            render.show_rows({"OUTCOME": 9, "FILE": 0}, map(render.file, found))


def submit(client: Client, paths: list[Path], *, collection: str | None, caption: bool) -> str:
    """Start a job for folders and files, and return its id.

    An API on this host is first allowed to read them: who runs this command can read them anyway.
    """
    if client.is_local:
        paths = [_existing(path) for path in paths]
        for path in paths:
            try:
                client.add_root(path)
            except RequestError as error:
                # An API in a container sees a stranger here: its own roots decide.
                if error.status != HTTPStatus.FORBIDDEN:
                    raise
    return client.submit(paths, collection=collection, caption=caption)


def follow(client: Client, job_id: str) -> JobStatus:
    """Show a job's progress until it is finished; return its final status."""
    seen = client.follow(job_id)
    final: JobStatus | None = None
    try:
        with JobProgress() as shown:
            while final is None or final.status not in FINISHED:
                status = next(seen)
                shown.show(status)
                final = status or final
    except KeyboardInterrupt:
        progress.print(f"The job goes on. `darkroom status {job_id}` tells how it goes.")
        raise
    return final


def _existing(path: Path) -> Path:
    if not path.exists():
        raise RequestError(f"There is no {path}. Name a folder or a file that exists.")
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise RequestError(f"The name {str(path)!r} is not UTF-8. Name the folder above it.") from error
    return path.resolve()
