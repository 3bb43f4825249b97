"""Bodies of requests and answers about sources."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field

from api.schemas.body import Body
from rules.leaving_out import Patterns
from rules.watching import State
from topics.job_status import JobStatus
from topics.limits import Paths
from topics.source import LEAST_SECONDS, MOST_SECONDS, SourceName


def _are_patterns(value: list[str]) -> list[str]:
    Patterns(value)  # says which is none
    return value


Every = Annotated[int, Field(ge=LEAST_SECONDS, le=MOST_SECONDS)]
ExcludePatterns = Annotated[Paths, AfterValidator(_are_patterns)]


class SourceBody(Body):
    """A folder that is to be kept in step."""

    folder: str = Field(description="Absolute path of a folder on the service's machine.")
    name: SourceName | None = Field(None, description="Default: that of the folder.")
    collection: str | None = Field(None, description="Where to; created if it is new. Default: the active one.")
    every_seconds: Every | None = Field(
        None, description="How often it is looked at. Default: once, and whenever someone asks."
    )
    watch: bool = Field(False, description="Also look whenever something changes in it.")
    exclude: ExcludePatterns = Field([], description="What is left out, in the form of .gitignore.")
    caption: bool = Field(False, description="Also ask ML for captions.")


class SourceChangeBody(Body):
    """What is to be another of a source; what is left out stays as it is."""

    every_seconds: Every | None = Field(None, description="How often it is looked at; null: whenever someone asks.")
    watch: bool = Field(False, description="Also look whenever something changes in it.")
    exclude: ExcludePatterns = Field([], description="What is left out, in the form of .gitignore: all of it.")
    caption: bool = Field(False, description="Also ask ML for captions.")


class WatchingAnswer(BaseModel):
    """Whether a source is watched."""

    state: State = Field(
        description="`by_schedule`: it is looked at every `every_seconds` in place of that. `not_possible`: the folder "
        "is not there, or may not be read."
    )
    folders: int = Field(description="How many folders are watched.")
    every_seconds: int | None
    reason: str | None = Field(description="Why it is not watched, or not all of it, for people.")


class SourceAnswer(BaseModel):
    """A source, and how it stands."""

    name: str
    folder: str
    collection: str
    every_seconds: int | None
    watch: bool
    watching: WatchingAnswer | None = Field(
        description="How it is watched; null where it is not to be, is paused, or no worker has said so yet."
    )
    exclude: list[str]
    caption: bool
    paused: bool
    state: Literal["syncing", "paused", "idle"] = Field(description="`syncing`: a job looks at it now.")
    next_at: str | None = Field(description="When it is looked at by itself for the next time, ISO 8601 in UTC.")
    last_job: JobStatus | None = Field(description="The newest job that looked at it, as far as it is known still.")
    questions: list[JobStatus] = Field(
        description="Looks at it whose removals wait for a yes or no, the latest first, not always the last."
    )


class SourcesAnswer(BaseModel):
    """All sources, by name."""

    sources: list[SourceAnswer]
