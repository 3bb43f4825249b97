"""What the commands about sources ask of the API."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from cli.client import PAGE_FILES, Client, part
from rules.tally import Way
from topics.job_status import REMOVALS_SETTLED, JobStatus


class WatchingShown(BaseModel):
    """Whether a source is watched, as the API tells it."""

    state: str
    folders: int
    every_seconds: int | None
    reason: str | None


class RemovalShown(BaseModel):
    """A path that leaves by a sync; `to`: where its file lies now. `lost`: its picture has no file then."""

    path: str
    way: Way
    to: str | None
    lost: bool
    id: str
    sha256: str


class SourceShown(BaseModel):
    """A source, as the API tells it."""

    name: str
    folder: str
    collection: str
    every_seconds: int | None
    watch: bool
    watching: WatchingShown | None
    exclude: list[str]
    caption: bool
    state: str
    next_at: str | None
    last_job: JobStatus | None
    questions: list[JobStatus]


class SourceClient(Client):
    """The part of the API that is about sources."""

    def add_source(self, **wanted: object) -> SourceShown:
        """Have a folder kept in step."""
        body = {name: value for name, value in wanted.items() if value}
        return self._source(self._call("POST", "/sources", json=body))

    def sources(self) -> list[SourceShown]:
        """Return all sources, by name."""
        return [self._source(one) for one in self._call("GET", "/sources").get("sources", [])]

    def source(self, name: str) -> SourceShown:
        """Return a source."""
        return self._source(self._call("GET", _path(name)))

    def change_source(self, name: str, changes: dict[str, object]) -> SourceShown:
        """Have a source kept in another way."""
        return self._source(self._call("PATCH", _path(name), json=changes))

    def removals(self, job_id: str, way: Way | None) -> Iterator[RemovalShown]:
        """Return all that leaves by a sync, or what does in one way, page by page."""
        path = f"/ingest/{part(job_id)}/removals"
        return self._pages(RemovalShown, path, "removals", limit=PAGE_FILES, way=way or "")

    def pause_source(self, name: str, *, paused: bool) -> SourceShown:
        """Have a source not looked at by itself, or again."""
        return self._source(self._call("POST", f"{_path(name)}/{'pause' if paused else 'resume'}"))

    def accept_source(self, name: str) -> SourceShown:
        """Have what a source's folder is on now taken for right."""
        return self._source(self._call("POST", f"{_path(name)}/accept"))

    def remove_source(self, name: str) -> None:
        """Have a folder kept in step no more."""
        self._call("DELETE", _path(name))

    def sync(self, name: str) -> str:
        """Have a source looked at now; return the job's id."""
        answer = self._call("POST", f"{_path(name)}/sync")
        try:
            return str(answer["job_id"])
        except KeyError as error:
            raise self._nonsense() from error

    def settled(self, job: JobStatus) -> JobStatus:
        """Return the status of a sync that has ended once it is known what becomes of what has left."""
        job_id = job.job_id
        if not _is_settled(job):
            for told in self._until(lambda: self.status(job_id), _is_settled):
                job = told or job
        return job

    def _source(self, answer: Any) -> SourceShown:
        try:
            return SourceShown.model_validate(answer)
        except ValidationError as error:
            raise self._nonsense() from error


def _is_settled(job: JobStatus) -> bool:
    return job.removals is None or job.removals.state in REMOVALS_SETTLED


def _path(name: str) -> str:
    return f"/sources/{part(name)}"
