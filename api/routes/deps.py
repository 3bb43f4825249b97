"""What routes ask for by type."""

from collections.abc import Sequence
from typing import Annotated

import orjson
from fastapi import Depends, Header, Query, Request

from api.jobs.submitting import Submission, active_collection
from api.parts import Parts
from core.errors import RequestError
from gateways.qdrant.filters import Filters
from rules.collections import check_name
from rules.identity import id_from_key, new_id
from topics.job_status import JobStatus


def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


PartsDep = Annotated[Parts, Depends(_parts)]


async def chosen_collection(parts: PartsDep, collection: str | None) -> str:
    """Return the named collection, else the active one. Raises RequestError(422) for a wrong name."""
    name = collection or await active_collection(parts.kept, parts.settings)
    check_name(name)
    return name


async def _collection(
    parts: PartsDep, collection: Annotated[str | None, Query(description="Default: the active one.")] = None
) -> str:
    return await chosen_collection(parts, collection)


CollectionDep = Annotated[str, Depends(_collection)]


async def _known_job(parts: PartsDep, job_id: str) -> JobStatus:
    status = await parts.view.status(job_id)
    if status is None:
        raise RequestError(f"There is no job {job_id!r}.", 404)
    return status


JobDep = Annotated[JobStatus, Depends(_known_job)]

FILTERS = (
    'A JSON object: what each payload field must be; all must hold. `{"camera_make": "Canon"}`: exactly this. '
    '`{"tags": ["sea", "sky"]}`: one of these. `{"iso": {"gte": 100, "lt": 800}}`: a range (`gt`, `gte`, `lt`, `lte`). '
    '`{"taken_at": "2023-05"}`: a year, month, day, minute or second of the camera\'s clock, whatever its offset from '
    'UTC; `{"taken_at": {"gte": "2023-05-04", "lte": "2024"}}`: from the start of the one to the end of the other. '
    '`{"rating": {"gte": 4}, "label": "Red", "people": ["Ann", "Bob"]}`: likewise. '
    '`{"caption": "red portrait"}`: all these words. '
    '`{"gps": {"north": 48.9, "south": 48.8, "west": 2.2, "east": 2.4}}`: in this box, in degrees; '
    '`{"gps": {"lat": 48.86, "lon": 2.35, "radius": 500}}`: at most so many metres from there. '
    '`{"taken_at": null}`: unknown. Filters by date, camera, caption, place, file name, tag, rating, label and people '
    "are fast in large collections, as these are indexed; others read every picture."
)


def read_filters(text: str | None) -> Filters:
    """Read filters that travel as text. Raises RequestError(422)."""
    if not text:
        return {}
    try:
        filters = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise RequestError(f"The filters are not valid JSON: {error}.", 422) from error
    if not isinstance(filters, dict):
        raise RequestError('The filters must be a JSON object, such as {"camera_make": "Canon"}.', 422)
    return filters


CaptionQuery = Annotated[bool, Query(description="Ask ML for captions too.")]


IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="Any text of your choice, new for each job: the same request with the same key is one job.",
    ),
]


def new_submission(
    collection: str | None, caption: bool, key: str | None, job_id: str | None = None, exclude: Sequence[str] = ()
) -> Submission:
    """Return a job to be queued, under a fresh id unless the client gave one. Raises RequestError(422) for both."""
    if key is None:
        return Submission(job_id or new_id(), collection, caption, exclude=tuple(exclude))
    if job_id is not None:
        raise RequestError("Send either a job_id or an Idempotency-Key: both name the job.", 422)
    return Submission(id_from_key(key), collection, caption, is_keyed=True, exclude=tuple(exclude))
