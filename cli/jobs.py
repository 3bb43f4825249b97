"""The commands about jobs: `ingest`, `jobs`, `status`, `files`, `pause`, `resume`, `cancel`, `close`.

They talk to the API and to nothing else.
"""

import sys
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Literal

import typer

from cli import render
from cli.client import Client, JobCommand
from cli.console import progress, results, show
from cli.progress import JobProgress
from core import settings
from core.errors import RequestError
from rules.outcomes import Outcome
from topics.job_status import FINISHED, JobsShown, JobStatus

SAID: dict[JobCommand, str] = {
    "pause": "Paused. ",
    "resume": "It goes on. ",
    "cancel": "It is being cancelled. ",
    "close": "",
    "confirm": "They are being removed. ",
    "keep": "They stay. ",
    "forget": "",
}
"""Goes before the API's message, which tells how far the job is."""

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for the end; exit 0 only if the job is `completed`.")]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="The id of a job, as `darkroom jobs` shows it.")]


def ingest(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Folders and single files.")],
    *,
    collection: Annotated[
        str | None, typer.Option(help="Collection to add to; made when it is new. Default: the active one.")
    ] = None,
    caption: Annotated[bool, typer.Option("--caption", help="Also ask ML for captions.")] = False,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Leave out what this matches, as in .gitignore; may be given again."),
    ] = None,
    wait: Wait = False,
    as_json: Json = False,
) -> None:
    """Take photographs in, as one job.

    With --wait, progress goes to stderr. With --wait --json, the final status is all that goes to stdout.
    """
    with Client.of(settings.load()) as client:
        job_id = submit(client, paths, collection=collection, caption=caption, exclude=exclude or ())
        _show_begun(client, job_id, wait=wait, as_json=as_json)


def reread(
    collection: Annotated[str, typer.Argument(metavar="COLLECTION", help="The collection whose files to read again.")],
    *,
    wait: Wait = False,
    as_json: Json = False,
) -> None:
    """Bring what is stored of a collection up to what this version reads from its files, as one job.

    After an upgrade: metadata, thumbnails, and pixels that a former version had wrong. ML sees a picture again only
    where its pixels have changed. Files that are gone fail; what is stored of them stays.
    """
    with Client.of(settings.load()) as client:
        _show_begun(client, client.reread(collection), wait=wait, as_json=as_json)


def reembed(
    collection: Annotated[str, typer.Argument(metavar="COLLECTION", help="The collection to embed anew.")],
    *,
    model: Annotated[str, typer.Option(metavar="NAME", help="The model, as `darkroom models list` names it.")],
    caption: Annotated[bool, typer.Option("--caption", help="Also ask ML for captions.")] = False,
    accept_failed: Annotated[
        bool,
        typer.Option("--accept-failed", help="Go on without vectors of pictures that cannot be embedded."),
    ] = False,
    wait: Wait = False,
    as_json: Json = False,
) -> None:
    """Give a collection vectors of another model, as one job; the former ones serve until all of the new are there.

    Pictures that come in meanwhile are taken along. Where a file is gone, its thumbnail is embedded. Where pictures
    cannot be embedded, the job fails and the former vectors serve on; begin it again to try those alone.
    """
    with Client.of(settings.load()) as client:
        job_id = client.reembed(collection, model, caption=caption, accept_failed=accept_failed)
        _show_begun(client, job_id, wait=wait, as_json=as_json)


def caption(
    collection: Annotated[str, typer.Argument(metavar="COLLECTION", help="The collection whose pictures to describe.")],
    *,
    wait: Wait = False,
    as_json: Json = False,
) -> None:
    """Add captions to the pictures of a collection that have none, as one job.

    ML describes what is kept of each picture, its thumbnail: no file is read, and nothing is embedded.
    """
    with Client.of(settings.load()) as client:
        _show_begun(client, client.caption(collection), wait=wait, as_json=as_json)


def recent(
    *,
    find: Annotated[str, typer.Option(metavar="TEXT", help="Only jobs with this in their id or in a folder.")] = "",
    collection: Annotated[str, typer.Option(help="Only jobs of this collection.")] = "",
    which: Annotated[
        JobsShown, typer.Option("--show", help="Only these; `errors`: that failed, or of which files did.")
    ] = "all",
    limit: Annotated[int, typer.Option(min=1, max=200, help="So many, at most.")] = 20,
    as_json: Json = False,
) -> None:
    """List jobs, the newest first."""
    with Client.of(settings.load()) as client:
        found = client.recent(find=find, collection=collection, show=which, limit=limit)
    if as_json:
        results.print_json(data=[job.model_dump() for job in found], indent=None)
    elif found:
        show(render.jobs(found, results.width))
    elif find or collection or which != "all":
        results.print("No job is like that. `darkroom jobs` lists the newest of all.")
    else:
        results.print("No jobs yet. `darkroom ingest PATH` starts one.")


def status(
    job: JobId,
    *,
    wait: Annotated[
        bool, typer.Option("--wait", help="Show progress to the end; exit 0 only if the job is `completed`.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show one job."""
    with Client.of(settings.load()) as client:
        if wait:
            _show_end(client, job, as_json=as_json)
        else:
            _show_status(client.status(job), as_json=as_json)


def pause(job: JobId, *, as_json: Json = False) -> None:
    """Hold a job's scan; what was found already goes on."""
    _command(job, "pause", as_json=as_json)


def resume(job: JobId, *, as_json: Json = False) -> None:
    """Let a paused job go on."""
    _command(job, "resume", as_json=as_json)


def cancel(job: JobId, *, as_json: Json = False) -> None:
    """End a job early. What is stored stays, what is not begun is skipped."""
    _command(job, "cancel", as_json=as_json)


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


def close(
    job: JobId,
    *,
    accept_missing: Annotated[
        bool, typer.Option("--accept-missing", help="End it without the files that were published and never seen.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Say that no further file of this job will be published to `raw-path`. A scan does it by itself."""
    options = {"accept_missing": True} if accept_missing else {}
    _command(job, "close", as_json=as_json, **options)


def forget_job(job: str, *, as_json: bool) -> None:
    """Forget which files a job had that is over."""
    _command(job, "forget", as_json=as_json)


def submit(
    client: Client, paths: list[Path], *, collection: str | None, caption: bool, exclude: Sequence[str] = ()
) -> str:
    """Start a job for folders and files, and return its id."""
    return client.submit(allow(client, paths), collection=collection, caption=caption, exclude=exclude)


def allow(client: Client, paths: list[Path]) -> list[Path]:
    """Allow an API on this host to read paths, and return them as it names them.

    Who runs this command can read them anyway.
    """
    if not client.is_local:
        return paths
    paths = [_existing(path) for path in paths]
    for path in paths:
        try:
            client.add_root(path)
        except RequestError as error:
            # An API in a container sees a stranger here: its own roots decide.
            if error.status != HTTPStatus.FORBIDDEN:
                raise
    return paths


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


def decide(job: str, command: Literal["confirm", "keep"], *, as_json: bool) -> None:
    """Say yes or no to the removals of a sync."""
    _command(job, command, as_json=as_json)


def _command(job: str, command: JobCommand, *, as_json: bool, **options: bool) -> None:
    with Client.of(settings.load()) as client:
        answer = client.command(job, command, **options)
    if as_json:
        results.print_json(data=answer, indent=None)
    else:
        results.out(SAID[command] + answer["message"], highlight=False)


def _show_begun(client: Client, job_id: str, *, wait: bool, as_json: bool) -> None:
    """Say which job was begun, or show it to its end."""
    if wait:
        _show_end(client, job_id, as_json=as_json)
    elif as_json:
        results.print_json(data={"job_id": job_id}, indent=None)
    else:
        results.print(f"Job {job_id}. `darkroom status {job_id}` tells how it goes.")


def _show_end(client: Client, job_id: str, *, as_json: bool) -> None:
    """Follow a job to its end, show that, and exit by it."""
    final = follow(client, job_id)
    _show_status(final, as_json=as_json)
    sys.exit(0 if final.status == "completed" else 1)


def _show_status(job: JobStatus, *, as_json: bool) -> None:
    if as_json:
        results.out(job.model_dump_json(), highlight=False)
    else:
        show(render.status(job))


def _existing(path: Path) -> Path:
    if not path.exists():
        raise RequestError(f"There is no {path}. Name a folder or a file that exists.")
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise RequestError(f"The name {str(path)!r} is not UTF-8. Name the folder above it.") from error
    return path.resolve()
