"""Bodies of requests and answers about jobs: what a submit says, and what became of it."""

from typing import Self

from pydantic import BaseModel, Field, field_validator, model_validator

from api.schemas.body import Body
from rules.leaving_out import Patterns
from rules.outcomes import Outcome
from rules.tally import Way
from topics.files import JobId
from topics.job_status import JobStatus, State


class ScanBody(Body):
    """Which folders to take in."""

    directory_path: str | None = Field(None, description="Absolute path of a folder on the service's machine.")
    directory_paths: list[str] = Field([], description="Several folders, or single files, as one job.")
    collection: str | None = Field(None, description="Where to; created if it is new. Default: the active one.")
    exclude: list[str] = Field(
        [],
        description="What is left out below each folder, in the form of .gitignore: `*.tif`, `private/`, `!keep.tif`.",
        examples=[["private/", "*.tif"]],
    )
    job_id: JobId | None = Field(
        None, description="Makes a repeat safe: the same request with the same id is queued once."
    )

    @model_validator(mode="after")
    def _names_one_source(self) -> Self:
        if not self.paths:
            raise ValueError("directory_path is missing: name a folder")
        return self

    @field_validator("exclude")
    @classmethod
    def _are_patterns(cls, value: list[str]) -> list[str]:
        Patterns(value)  # says which is none
        return value

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


class JobRemoval(BaseModel):
    """A path that leaves the collection by a sync, or would."""

    path: str
    way: Way
    to: str | None = Field(description="Where a file that has moved lies now.")
    lost: bool = Field(description="Whether its picture has no file then.")
    id: str = Field(description="Of the picture, as in `/images/{image_id}`.")
    sha256: str


class JobRemovals(BaseModel):
    """A page of what leaves by a sync, by `way` and path; `next` is the cursor of the following page."""

    removals: list[JobRemoval]
    next: str | None


class JobSources(BaseModel):
    """All folders and files that a job was asked to scan."""

    sources: list[str]


class RootBody(Body):
    """A folder, or file, that may be read over HTTP from now on."""

    path: str


class Roots(BaseModel):
    """The folders that may be read."""

    roots: list[str]
