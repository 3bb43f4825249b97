"""`darkroom demo`: the whole of Darkroom once, from sample photographs to the table of outcomes."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli import render
from cli.client import Client
from cli.console import progress, results, show
from cli.demo_sync import show_sync
from cli.interrupt import INTERRUPTED, run_until_signal
from cli.jobs import submit
from cli.progress import JobProgress
from cli.services import tell
from cli.source_client import SourceClient
from core import settings as environment
from core.errors import FatalError
from core.settings import Settings, reveal
from rules.wording import plural
from topics.job_status import FINISHED, JobStatus

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".darkroom" / "demo"
COLLECTION = "demo"


def demo(
    *,
    photos: Annotated[Path | None, typer.Option(help="Folder of photographs. Default: samples are made.")] = None,
) -> None:
    """Start everything, take photographs in, show what became of them, keep a folder in step, and stop everything.

    The last line of stdout is the job's status as JSON. Exits 0 when the job finished and every file has its outcome.
    """
    if photos is not None and not photos.is_dir():
        raise FatalError(f"There is no folder {photos}. Name one that holds photographs.")
    finished: list[JobStatus] = []
    if not run_until_signal(_demo(environment.load(), photos, finished)):
        sys.exit(INTERRUPTED)
    final = finished[0]
    results.out(final.model_dump_json(), highlight=False)
    sys.exit(0 if is_complete(final) else 1)


def is_complete(job: JobStatus) -> bool:
    """Tell whether a job took in at least one file, and knows what became of each."""
    accounted = sum(job.outcomes.model_dump().values())
    return job.status in {"completed", "completed_with_errors"} and 0 < job.total_files == accounted


async def _demo(settings: Settings, photos: Path | None, finished: list[JobStatus]) -> None:
    from embedded import ports, stack  # noqa: PLC0415 - with the Kafka client; the other commands start faster without
    from embedded.supervisor import Supervisor  # noqa: PLC0415 - as above

    if photos is None:
        from cli.samples import make_samples  # noqa: PLC0415 - with the imaging libraries

        photos = FOLDER / "photos"
        progress.print(f"Sample photographs: {photos}")
        await asyncio.to_thread(make_samples, photos)
    data = FOLDER / "data"
    planned = stack.plan(settings, data, host=stack.LOOPBACK, port=ports.free_port())
    await stack.require_given(settings)
    async with planned.kafka, Supervisor(data, planned.waves, tell, addresses=planned.addresses) as parts:
        with SourceClient(planned.url, reveal(settings.darkroom_api_key)) as client:
            final = await parts.during(_ingest(client, photos))
            show(render.outcomes(final))
            results.print(f"{plural(final.ml_images_sent, 'image was', 'images were')} sent to ML.")
            await parts.during(show_sync(client, FOLDER / "source"))
    finished.append(final)


async def _ingest(client: Client, photos: Path) -> JobStatus:
    job_id = await asyncio.to_thread(submit, client, [photos], collection=COLLECTION, caption=True)
    seen = client.follow(job_id)
    final: JobStatus | None = None
    with JobProgress() as shown:
        # One step at a time in a thread, so that Ctrl-C is answered between two of them.
        while final is None or final.status not in FINISHED:
            status = await asyncio.to_thread(next, seen)
            shown.show(status)
            final = status or final
    return final
