"""Bodies of requests and answers; the names are those of the public contract."""

from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rules.outcomes import Outcome
from topics.files import JobId
from topics.job_status import JobStatus, State


class ScanBody(BaseModel):
    """Which folders to take in."""

    directory_path: str | None = Field(None, description="Absolute path of a folder on the service's machine.")
    directory_paths: list[str] = Field([], description="Several folders, or single files, as one job.")
    collection: str | None = Field(None, description="Where to; created if it is new. Default: the active one.")
    job_id: JobId | None = Field(
        None, description="Makes a repeat safe: the same request with the same id is queued once."
    )

    @model_validator(mode="after")
    def _names_one_source(self) -> Self:
        if not self.paths:
            raise ValueError("directory_path is missing: name a folder")
        return self

    @property
    def paths(self) -> list[str]:
        """All sources that are named."""
        return [*([self.directory_path] if self.directory_path else []), *self.directory_paths]


class Submitted(BaseModel):
    """A job, and what has become of the request about it."""

    job_id: str
    status: State
    message: str


class Refused(BaseModel):
    """A file that was sent and is not part of the job."""

    filename: str
    reason: str


class Uploaded(Submitted):
    """A job with the files that were sent, but those that are no pictures."""

    refused: list[Refused]


class RecentJobs(BaseModel):
    """The jobs that were begun last, the latest first. `next` is the cursor of the following page."""

    jobs: list[JobStatus]
    next: str | None


class JobFile(BaseModel):
    """A file of a job; `outcome` is null while it has none."""

    path: str
    outcome: Outcome | None
    reason: str | None
    sha256: str | None


class JobFiles(BaseModel):
    """A page of a job's files; `next` is the cursor of the following page."""

    files: list[JobFile]
    next: str | None


class RootBody(BaseModel):
    """A folder, or file, that may be read over HTTP from now on."""

    path: str


class Roots(BaseModel):
    """The folders that may be read."""

    roots: list[str]


class CollectionBody(BaseModel):
    """The name of a collection."""

    name: str


class MergeBody(BaseModel):
    """Collections to be put together."""

    sources: Annotated[list[str], Field(min_length=1, max_length=100)]
    target: str = Field(description="Created if it is new; else it keeps what it has.")

    @model_validator(mode="after")
    def _target_is_no_source(self) -> Self:
        if self.target in self.sources:
            raise ValueError("the target is one of the sources")
        return self


class FromSelectionBody(BaseModel):
    """Pictures that are to be in a collection of their own too."""

    name: str = Field(description="The collection; created if it is new, else added to.")
    ids: Annotated[list[UUID], Field(min_length=1, max_length=10_000)]
    source: str | None = Field(None, description="The collection that they are in. Default: the active one.")


class CacheClearBody(BaseModel):
    """Whose contents the dedupe cache forgets."""

    collection: str | None = Field(None, description="Default: the active one.")


class Collection(BaseModel):
    """A collection; `model_id` is null where another program made it."""

    model_config = ConfigDict(protected_namespaces=())

    name: str
    points: int
    dimension: int
    model_id: str | None


class CollectionDetails(Collection):
    """A collection; `incarnation` tells it from one deleted and created again under the same name."""

    incarnation: str | None
    active: bool


class Collections(BaseModel):
    """All collections, by name."""

    collections: list[Collection]


class ActiveCollection(BaseModel):
    """The collection for requests that name none. It need not exist yet: the first job creates it."""

    name: str


class SearchBody(BaseModel):
    """What to look for: words (`query`), or pictures like a stored one (`image_id`), which itself is left out."""

    query: Annotated[str, Field(min_length=1, max_length=2000)] | None = None
    image_id: UUID | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 20
    offset: Annotated[int, Field(ge=0, le=10_000)] = 0
    filters: dict[str, Any] = Field({}, description="As `filters` of `GET /images`, as an object.")
    collection: str | None = None

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Self:
        if (self.query is None) == (self.image_id is None):
            raise ValueError("say either what to look for (query), or like which picture (image_id)")
        return self


class SearchHit(BaseModel):
    """A picture that was found; the payload is without its thumbnail."""

    id: str
    score: float
    filename: str
    payload: dict[str, Any]


class SearchResults(BaseModel):
    """A page of hits, best first. `mode` says whether meaning was compared, or words were looked up."""

    results: list[SearchHit]
    total: int
    mode: Literal["semantic", "keywords"]


class Image(BaseModel):
    """A stored picture."""

    id: str
    payload: dict[str, Any]


class Images(BaseModel):
    """A page of pictures; the payloads are without their thumbnails. `next` is the cursor of the following page."""

    images: list[Image]
    total: int
    next: str | None


class FacetValue(BaseModel):
    """One value of a payload field, and how many pictures have it."""

    value: str
    images: int


class Facet(BaseModel):
    """The values of a payload field, the most frequent first."""

    values: list[FacetValue]


class SimilarBody(BaseModel):
    """Where to look for pictures that look alike, and how much alike."""

    collection: str | None = Field(None, description="Default: the active one.")
    threshold: Annotated[float, Field(ge=0.5, le=1)] = Field(
        0.95, description="Similarity of vectors from which on pictures count as alike; 1: the same.", examples=[0.97]
    )
    filters: dict[str, Any] = Field({}, description="Only among these; as `filters` of `GET /images`, as an object.")


class DuplicateImage(BaseModel):
    """A picture of a group; `score`: its similarity to the nearest one of the group. Its copies are in `paths`."""

    id: str
    score: float
    payload: dict[str, Any]


class DuplicateGroup(BaseModel):
    """Pictures that look alike, or (exact) one picture whose content lies at several paths."""

    kind: Literal["exact", "similar"]
    images: list[DuplicateImage]


class DuplicateReport(BaseModel):
    """A page of what was found; without groups while the search runs. `next` is the cursor of the following page."""

    report_id: str
    state: Literal["running", "done", "failed"]
    message: str = ""
    collection: str | None = None
    threshold: float | None = None
    total_points: int
    read_points: int
    groups_total: int = 0
    groups: list[DuplicateGroup] = []
    next: str | None = None


class RandomImages(BaseModel):
    """Some pictures, none twice."""

    images: list[Image]


class DuplicatesBody(BaseModel):
    """Which copies: of all pictures of a collection, or of some."""

    ids: Annotated[list[UUID], Field(max_length=1000)] = Field([], description="Only of these pictures. Empty: of all.")
    collection: str | None = Field(None, description="Default: the active one.")


class SelectionBody(BaseModel):
    """Pictures, by their ids."""

    ids: Annotated[list[UUID], Field(min_length=1, max_length=1000)]
    collection: str | None = Field(None, description="Default: the active one.")


class ArchivedFile(BaseModel):
    """A file of an archive; `reason` says why it was not moved, or not back."""

    path: str
    sha256: str
    state: Literal["moving", "archived", "refused", "restoring", "restored"]
    reason: str | None


class _ArchiveHead(BaseModel):
    archive_id: str
    at: str
    kind: Literal["job-duplicates", "exact-duplicates", "selection"]
    collection: str


class ArchiveReport(_ArchiveHead):
    """An archive with its files: how many lie in it now, and how many were refused."""

    moved: int
    refused: int
    files: list[ArchivedFile]


class ArchiveSummary(_ArchiveHead):
    """An archive; `files` counts those in each state."""

    files: dict[str, int]


class Archives(BaseModel):
    """The latest archives, the last first."""

    archives: list[ArchiveSummary]


class Health(BaseModel):
    """The process runs."""

    status: Literal["ok"] = "ok"


class PartState(BaseModel):
    """Whether a part can be used; `detail` says what is wrong, or null."""

    ready: bool
    detail: str | None


class Readiness(BaseModel):
    """Whether requests can be served. ML may be away: jobs wait for it."""

    ready: bool
    parts: dict[Literal["kafka", "qdrant", "stages", "ml"], PartState]


class Limits(BaseModel):
    """What is accepted; bytes and pixels are for one file."""

    max_file_bytes: int
    max_image_pixels: int
    upload_max_files: int


class MLCapabilities(BaseModel):
    """What the ML service said last; batches in images."""

    model_config = ConfigDict(protected_namespaces=())

    model_id: str
    embedding_dim: int
    supports_text: bool
    safe_clip_batch: int
    safe_blip_batch: int


class ServiceCapabilities(BaseModel):
    """What this service can do now. `ml` is null while the ML service is not known."""

    extensions: list[str]
    limits: Limits
    ml: MLCapabilities | None
    text_search: Literal["semantic", "keywords"]
    partitions: int
