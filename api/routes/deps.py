"""What routes ask for by type."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Annotated, Any

import orjson
from fastapi import Depends, Header, Query, Request

from api.access.local_token import LocalToken
from api.archive.archiver import Archiver
from api.archive.journal import Journal
from api.collections.copying import Copier
from api.collections.model import CurrentModel
from api.duplicates.finder import Finder
from api.duplicates.reports import Reports
from api.forgetting.forgetter import Forgetter
from api.forgetting.gone import GonePictures
from api.images.originals import Originals
from api.images.previews import Previews
from api.images.searching import Searcher
from api.images.thumbnails import Thumbnails
from api.jobs.publisher import Publisher
from api.jobs.submitting import Submission, Submitter
from api.kept import Kept
from api.replay.cache import CacheRebuilder
from api.replay.dead_letters import DeadLetters
from api.replay.runs import Runs
from api.replay.topic import TopicReplayer
from api.services import Services
from api.sources.keeper import SourceKeeper
from api.system.overview import Overview
from api.uploads.receiving import UnderWay
from api.uploads.room import Room
from api.view.view import JobView
from core.errors import RequestError
from core.settings import Settings
from gateways.ml import ML
from gateways.qdrant import Qdrant
from gateways.qdrant.filters import Filters
from gateways.targets import Targets
from rules.collections import check_name
from rules.identity import id_from_key, new_id
from topics.job_status import JobStatus


def services_of(request: Request) -> Services:
    """Return the services of the application that answers a request."""
    services: Services = request.app.state.services
    return services


def _service(kind: type) -> Any:
    """Return a dependency on the one service that is of this type."""
    [name] = [field.name for field in fields(Services) if field.type is kind]

    async def service(request: Request) -> Any:  # a coroutine, as FastAPI calls what is none in a thread
        return getattr(services_of(request), name)

    return Depends(service)


ArchiverDep = Annotated[Archiver, _service(Archiver)]
CopierDep = Annotated[Copier, _service(Copier)]
DeadLettersDep = Annotated[DeadLetters, _service(DeadLetters)]
FinderDep = Annotated[Finder, _service(Finder)]
ForgetterDep = Annotated[Forgetter, _service(Forgetter)]
GonePicturesDep = Annotated[GonePictures, _service(GonePictures)]
JournalDep = Annotated[Journal, _service(Journal)]
KeptDep = Annotated[Kept, _service(Kept)]
LocalTokenDep = Annotated[LocalToken, _service(LocalToken)]
MLDep = Annotated[ML, _service(ML)]
ModelDep = Annotated[CurrentModel, _service(CurrentModel)]
OriginalsDep = Annotated[Originals, _service(Originals)]
OverviewDep = Annotated[Overview, _service(Overview)]
PreviewsDep = Annotated[Previews, _service(Previews)]
PublisherDep = Annotated[Publisher, _service(Publisher)]
QdrantDep = Annotated[Qdrant, _service(Qdrant)]
RebuilderDep = Annotated[CacheRebuilder, _service(CacheRebuilder)]
ReplayerDep = Annotated[TopicReplayer, _service(TopicReplayer)]
ReportsDep = Annotated[Reports, _service(Reports)]
RoomDep = Annotated[Room, _service(Room)]
RunsDep = Annotated[Runs, _service(Runs)]
SearcherDep = Annotated[Searcher, _service(Searcher)]
SettingsDep = Annotated[Settings, _service(Settings)]
SourceKeeperDep = Annotated[SourceKeeper, _service(SourceKeeper)]
SubmitterDep = Annotated[Submitter, _service(Submitter)]
TargetsDep = Annotated[Targets, _service(Targets)]
ThumbnailsDep = Annotated[Thumbnails, _service(Thumbnails)]
UnderWayDep = Annotated[UnderWay, _service(UnderWay)]
ViewDep = Annotated[JobView, _service(JobView)]


async def chosen_collection(kept: Kept, collection: str | None) -> str:
    """Return the named collection, else the active one. Raises RequestError(422) for a wrong name."""
    name = collection or await kept.active_collection()
    check_name(name)
    return name


async def _collection(
    kept: KeptDep, collection: Annotated[str | None, Query(description="Default: the active one.")] = None
) -> str:
    return await chosen_collection(kept, collection)


CollectionDep = Annotated[str, Depends(_collection)]


async def _known_job(view: ViewDep, job_id: str) -> JobStatus:
    status = await view.status(job_id)
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
