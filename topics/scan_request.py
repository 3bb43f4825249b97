"""`scan-request`: walk these folders and publish what is in them. Published by the API, the CLI, or anyone."""

from typing import Self

from pydantic import model_validator

from topics.files import JobId, Task
from topics.job_event import Queued
from topics.limits import Name, Paths
from topics.record import Record, Topic
from topics.source import SourceName


class ScanRequest(Record):
    """Folders (or single files) to be searched for photographs."""

    job_id: JobId
    collection: Name
    sources: Paths = []
    caption: bool = False
    model_id: Name | None = None
    # What is left out, in gitignore's form, of each source.
    exclude: Paths = []
    # As in topics.files: every file that is found is bound to them.
    roots: Paths | None = None
    # No folder is walked, but the collection: what it holds is to be read again; see agents.rereading.
    reread: bool = False
    # As `reread`, for another end: vectors of `model_id`, or captions where there are none.
    task: Task | None = None
    # The new vectors serve though some pictures could not be embedded: these are found by their words alone then.
    accept_failed: bool = False
    # The source that is looked at; its folder is what is walked.
    source: SourceName | None = None
    # Of that folder only what lies at these paths, as its watcher was told.
    touched: Paths = []

    @model_validator(mode="after")
    def _names_what_to_walk(self) -> Self:
        if (self.reread or self.task is not None) == bool(self.sources):
            raise ValueError("name the sources to be walked, or (reread, task) none, as a collection is")
        return self

    @property
    def folders(self) -> list[str]:
        """Where its files lie, for people."""
        return self.touched or self.sources or self.roots or []

    def queued(self, at: float) -> Queued:
        """Return the event that tells of it; `at`: seconds since 1970."""
        return Queued(
            job_id=self.job_id,
            at=at,
            collection=self.collection,
            sources=self.folders,
            caption=self.caption,
            model_id=self.model_id,
            reread=self.reread,
            task=self.task,
            accept_failed=self.accept_failed,
            exclude=self.exclude,
            source=self.source,
        )


SCAN_REQUEST: Topic[ScanRequest] = Topic(
    "scan-request", key="job id, or the source", record=ScanRequest, event_id=lambda request, _: request.job_id
)
