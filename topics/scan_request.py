"""`scan-request`: walk these folders and publish what is in them. Published by the API, the CLI, or anyone."""

from typing import Annotated

from pydantic import Field

from topics.files import JobId
from topics.limits import Name, Paths
from topics.record import Record, Topic


class ScanRequest(Record):
    """Folders (or single files) to be searched for photographs."""

    job_id: JobId
    collection: Name
    sources: Annotated[Paths, Field(min_length=1)]
    caption: bool = False
    model_id: Name | None = None
    # As in topics.files: every file that is found is bound to them.
    roots: Paths | None = None


SCAN_REQUEST: Topic[ScanRequest] = Topic(
    "scan-request", key="job id", record=ScanRequest, event_id=lambda request, _: request.job_id
)
