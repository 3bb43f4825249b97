"""What `doctor` says of sources: which are not watched, or not kept in step, and why."""

from collections.abc import Iterator

from cli.checks import Check
from cli.console import on_one_line
from cli.source_client import SourceClient, SourceShown
from core.errors import DarkroomError
from core.settings import Settings
from rules.sources import in_words
from rules.wording import plural


def checks(settings: Settings) -> Iterator[Check]:
    """Check each source of which there is something to say; nothing where there are none, or no API answers."""
    try:
        with SourceClient.of(settings) as client:
            found = client.sources()
    except DarkroomError:
        return  # the check of the API says so
    told = [check for source in found for check in _of(source)]
    yield from told
    if found and not told:
        yield Check("Sources", "ok", f"{len(found)}, all kept in step")


def _of(source: SourceShown) -> Iterator[Check]:
    name, watching = f"Source {source.name}", source.watching
    if watching is not None and watching.reason is not None:
        reason = on_one_line(watching.reason)
        every = "" if watching.every_seconds is None else f"looked at every {in_words(watching.every_seconds)}, as "
        is_possible = watching.state != "not_possible"
        yield Check(name, "note" if is_possible else "problem", f"{every}{reason}" if is_possible else reason)
    for job in source.questions:
        lost = 0 if job.removals is None else job.removals.lost
        yield Check(
            name,
            "note",
            f"{plural(lost, 'picture would leave, and waits', 'pictures would leave, and wait')} for a yes",
            f"See `darkroom sync --show {job.job_id}`, then `--confirm {job.job_id}` or `--keep {job.job_id}`.",
        )
    if source.last_job is None:
        return
    removals = source.last_job.removals
    if source.last_job.status == "failed" and (removals is None or removals.reason is None):
        yield Check(name, "problem", f"the last look failed: {on_one_line(source.last_job.message)}")
    if removals is None or removals.state == "held":
        return
    if removals.state == "guarded":
        yield Check(name, "problem", f"nothing is removed: {on_one_line(removals.reason or 'not known why')}")
    elif removals.reason is not None and removals.state != "overtaken":
        yield Check(name, "problem", on_one_line(removals.reason))
