"""When the vectors of another model may serve a collection, and what is said meanwhile. Why: decision 0069."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from rules.many_paths import MORE_PATHS, listed
from rules.wording import plural


class OfJob(Protocol):
    """An unfinished job of the collection."""

    @property
    def job_id(self) -> str:
        """Of the job."""

    @property
    def model_id(self) -> str | None:
        """The model of its files; None where it does not say."""


def feeds(jobs: Sequence[OfJob], own: str, model_id: str) -> list[str]:
    """Return the unfinished jobs, but the own one, whose pictures are of any other model than `model_id`."""
    return sorted(job.job_id for job in jobs if job.job_id != own and job.model_id != model_id)


def lacks_paths(known: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool | None:
    """Tell whether a point lacks paths that another has; None: the lists beside the points have to be counted."""
    missing = {*listed(wanted)} - {*listed(known)}
    if MORE_PATHS in wanted or (missing and MORE_PATHS in known):
        return None
    return bool(missing)


def version(point_id: str, payload: Mapping[str, Any], paths: int) -> bytes:
    """Name a point as it is: one that failed is tried again when another path of it has come, and not before."""
    return f"{point_id}/{paths}/{'/'.join(sorted(listed(payload)))}".encode("utf-8", "surrogatepass")


def begun(points: int, former: str, model_id: str) -> str:
    """Say what is done first."""
    return f"Embedding {plural(points, 'picture')} with {model_id}; {former} serves meanwhile."


def stays(collection: str, former: str, model_id: str, missing: int) -> str:
    """Say why the former vectors serve on."""
    return (
        f"{plural(missing, 'picture')} of {collection} {_have(missing)} no vector of {model_id}, so the collection "
        f"stays with {former}. `darkroom files JOB --outcome failed` lists them. Begin the job again to try them once "
        "more, or with --accept-failed to go on without: they are found by words and dates alone then."
    )


def waits(jobs: Sequence[str]) -> str:
    """Say what is waited for."""
    others = f" and {len(jobs) - 1} more" if len(jobs) > 1 else ""
    return f"Waiting for the end of job {jobs[0]}{others}, which brings pictures of the former model."


def ended(collection: str, model_id: str, points: int, of_model: int) -> str:
    """Say how it ended, as counted."""
    if of_model == points:
        return f"All {points} pictures of {collection} have vectors of {model_id}."
    return f"{of_model} of {points} pictures of {collection} have vectors of {model_id}; the others are found by words."


def _have(count: int) -> str:
    return "has" if count == 1 else "have"
