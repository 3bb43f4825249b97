"""The end of `darkroom demo`: a small folder is kept in step, while a file of it moves, one goes and one is edited."""

import asyncio
from collections.abc import Collection
from pathlib import Path

from cli.client import POLL_SECONDS
from cli.console import results
from cli.jobs import allow
from cli.source_client import SourceClient
from topics.job_status import FINISHED, REMOVALS_SETTLED, JobStatus, RemovalState, RemovalStatus

SOURCE = COLLECTION = "demo-source"


async def show_sync(client: SourceClient, folder: Path) -> None:
    """Make a small source, or bring it back to its begin; change it, look at it, and print what has left.

    Its pictures are samples, in a collection of their own: all else that the demo shows is the same without it, and a
    second run finds each content known. One step at a time in a thread, so that Ctrl-C is answered between two of them.
    """
    from cli.samples import change_few, make_few  # noqa: PLC0415 - with the imaging libraries

    if any(one.name == SOURCE for one in await asyncio.to_thread(client.sources)):
        # A run that was broken off may have left a look under way.
        await _looked(client)
        await asyncio.to_thread(make_few, folder)
        await _look(client)
    else:
        await asyncio.to_thread(make_few, folder)
        [path] = await asyncio.to_thread(allow, client, [folder])
        await asyncio.to_thread(client.add_source, folder=str(path), name=SOURCE, collection=COLLECTION)
        await _looked(client)
    await asyncio.to_thread(change_few, folder)
    job = await _look(client)
    if job.removals is not None and job.removals.state == "held":
        # Many runs within a few days have lost many pictures for so small a collection.
        await asyncio.to_thread(client.command, job.job_id, "confirm")
        job = await _settled(client, job.job_id, REMOVALS_SETTLED - {"held"})
    results.out(
        f"In {folder} one file has moved, one is gone, one was edited. It was looked at again:", highlight=False
    )
    match job.removals:
        case RemovalStatus(state="removed", moved=moved, gone=gone, replaced=replaced):
            results.out(f"moved {moved}, gone {gone}, replaced {replaced}", highlight=False)
        case _:
            results.out(job.message, highlight=False)


async def _look(client: SourceClient) -> JobStatus:
    """Look at the source; return the job once it is settled."""
    return await _settled(client, await asyncio.to_thread(client.sync, SOURCE))


async def _looked(client: SourceClient) -> None:
    """Wait until the newest look at the source is settled; for the first one, if there was none."""
    while (job := (await asyncio.to_thread(client.source, SOURCE)).last_job) is None:  # noqa: ASYNC110 - it is polled
        await asyncio.sleep(POLL_SECONDS)
    await _settled(client, job.job_id)


async def _settled(client: SourceClient, job_id: str, states: Collection[RemovalState] = REMOVALS_SETTLED) -> JobStatus:
    while True:
        job = await asyncio.to_thread(client.status, job_id)
        if job.status in FINISHED and (job.removals is None or job.removals.state in states):
            return job
        await asyncio.sleep(POLL_SECONDS)
