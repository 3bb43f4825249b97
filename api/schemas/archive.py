"""Bodies of requests and answers about archived files."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from api.schemas.body import Body


class DuplicatesBody(Body):
    """Which copies: of all pictures of a collection, or of some."""

    ids: Annotated[list[UUID], Field(max_length=1000)] = Field([], description="Only of these pictures. Empty: of all.")
    collection: str | None = Field(None, description="Default: the active one.")


class SelectionBody(Body):
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
