"""What is replayed from a job that was forgotten runs as a new job, as nothing changes the old one any more."""

import orjson
import structlog
from pydantic import ValidationError

from api.jobs.publisher import Outgoing, Publisher
from api.view.view import JobView
from rules.identity import new_id
from topics.files import FileOfJob
from topics.raw_path import RAW_PATH
from topics.record import HeaderList
from topics.scan_request import SCAN_REQUEST
from topics.topology import FILE_TOPICS

log = structlog.get_logger()

_BRING_FILES = frozenset(topic.name for topic in FILE_TOPICS.values())


class Succession:
    """Hands messages over to new jobs, one for each that was forgotten. One replay has one of these.

    `jobs`: the new job's id by that of the old one.
    """

    def __init__(self, view: JobView, publisher: Publisher) -> None:
        self._view = view
        self._publisher = publisher
        self.jobs: dict[str, str] = {}
        self._remembered: set[str] = set()
        self._to_be_closed: set[str] = set()

    async def is_forgotten(self, job_id: str) -> bool:
        """Tell whether a job was forgotten."""
        if job_id in self.jobs:
            return True
        if job_id not in self._remembered:
            status = await self._view.status(job_id)
            if status is not None and status.forgotten:
                return True
            self._remembered.add(job_id)
        return False

    async def hand_over(self, message: Outgoing, job_id: str) -> Outgoing:
        """Return the message as one of the job that takes over, which is begun if it is new; any other as it is.

        Raises KafkaUnavailableError.
        """
        if message.value is None or not job_id or not await self.is_forgotten(job_id):
            return message
        record = _record(message.value)
        if record is None or record.get("job_id") != job_id:
            return message  # it does not validate, so it counts in no job
        if message.topic != SCAN_REQUEST.name and (message.topic not in _BRING_FILES or _file(record) is None):
            return message  # it brings the job no file
        if job_id not in self.jobs:
            self.jobs[job_id] = await self._begin(job_id)
        new = self.jobs[job_id]
        if message.topic != SCAN_REQUEST.name:  # a scan ends its job by itself
            self._to_be_closed.add(new)
        record["job_id"] = new
        file = _file(record)
        if file is not None and message.topic != RAW_PATH.name:
            # It enters behind the stage that says so, and the job's end must wait for it.
            await self._publisher.seen(file)
        key = new.encode() if message.key == job_id.encode() else message.key
        return Outgoing(message.topic, key, orjson.dumps(record), _headers(message.headers, record))

    async def close(self) -> None:
        """Say that no further file of these jobs will come, when all is published. Raises KafkaUnavailableError."""
        for job_id in self._to_be_closed:
            await self._publisher.close(job_id)

    async def _begin(self, job_id: str) -> str:
        new = new_id()
        status = await self._view.status(job_id)
        log.info("job-succeeded", job_id=job_id, new_job_id=new)
        await self._publisher.queued(
            new,
            collection=status.collection if status else "",
            caption=status.caption if status else False,
            model_id=status.model_id if status else None,
            message=f"Replayed from job {job_id}, which was forgotten.",
        )
        return new


def _record(value: bytes) -> dict[str, object] | None:
    try:
        record = orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
    return record if isinstance(record, dict) else None


def _file(record: dict[str, object]) -> FileOfJob | None:
    """Return the file that a record is about; None for any other, such as a scan request, or one that is none."""
    try:
        return FileOfJob.model_validate(record)
    except ValidationError:
        return None


def _headers(received: HeaderList, record: dict[str, object]) -> HeaderList:
    """Return the headers for a message that has become one of another job."""
    own = {"job_id": str(record["job_id"])}
    if (file := _file(record)) is not None:
        own["file_id"] = file.file_id
    kept = [(name, value) for name, value in received if name not in {"job_id", "file_id"}]
    return [*((name, value.encode()) for name, value in own.items()), *kept]
