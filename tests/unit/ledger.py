"""A job that is told events, as `track` tells them: rows beside it, an offset for each message."""

from collections import Counter
from collections.abc import Sequence
from hashlib import sha256

from rules.outcomes import OUTCOMES, Outcome
from tables.job import Job
from tables.job_document import document
from tables.job_file import JobFile
from tables.job_fold import apply, place
from topics import job_event as events
from topics.job_event import JOB_EVENT
from topics.job_event_codec import JobEvent, outcomes_alike
from topics.job_status import JobStatus

JOB = "job-1"
START = 1_700_000_000.0  # seconds since 1970


class Ledger:
    """The fold of a sequence of events. `as_columns`: those that can be are read as columns."""

    def __init__(self, *told: events.AnyJobEvent, as_columns: bool = True) -> None:
        self.as_columns = as_columns
        self.job = Job(job_id=JOB, keeps_counts=True)
        self.rows: dict[str, JobFile] = {}
        self.log: list[events.AnyJobEvent] = []
        self.tell(*told)

    def tell(self, *told: events.AnyJobEvent) -> "Ledger":
        for event in told:
            self.log.append(event)
            self.deliver(len(self.log) - 1)
        return self

    def deliver(self, offset: int) -> list[JobFile]:
        """Fold one message of the log, perhaps not for the first time."""
        event: JobEvent = self.log[offset]
        if self.as_columns:
            event = outcomes_alike(JOB_EVENT.encode(self.log[offset])) or event
        files, new = apply(self.job, event, place(self.job, offset, START), self.rows)
        changed = [*files, *(new.each() if new is not None else ())]
        self.rows |= {file.report.file_id: file for file in changed}
        return changed

    @property
    def status(self) -> JobStatus:
        return document(self.job)

    @property
    def state(self) -> str:
        return self.job.state

    def counted(self) -> tuple[int, dict[Outcome, int]]:
        """Count the rows by hand."""
        outcomes = Counter(row.report.outcome for row in self.rows.values())
        return len(self.rows), {outcome: outcomes[outcome] for outcome in OUTCOMES}


def queued(at: float = START) -> events.Queued:
    return events.Queued(job_id=JOB, at=at, collection="photos", sources=["/photos"], caption=True, model_id="m-1")


def scanning(at: float = START, walk: str = "walk", *, counted: bool = False) -> events.Scanning:
    return events.Scanning(job_id=JOB, at=at, collection="photos", walk_id=walk, counted=counted)


def left_out(files: int, folders: int, walk: str = "walk") -> events.LeftOut:
    return events.LeftOut(job_id=JOB, at=START, walk_id=walk, files=files, folders=folders)


def seen(*names: str, at: float = START, walk: str | None = None) -> events.Seen:
    files = [events.SeenFile(file_id=name[:200], path=f"/photos/{name}") for name in names]
    return events.Seen(job_id=JOB, at=at, collection="photos", files=files, walk_id=walk)


def ended(
    outcome: Outcome, *names: str, at: float = START, reason: str | None = None, replay: bool = False
) -> events.Outcomes:
    files = [
        events.FileOutcome(file_id=name[:200], path=f"/photos/{name}", outcome=outcome, reason=reason) for name in names
    ]
    return events.Outcomes(job_id=JOB, at=at, collection="photos", files=files, replay=replay)


def ended_alike(
    outcome: Outcome, *names: str, at: float = START, walk: str | None = None, collection: str = "photos"
) -> events.Outcomes:
    """Return an event of files that have contents, as those of a walk that looks again."""
    files = [
        events.FileOutcome(
            file_id=name[:200], path=f"/photos/{name}", outcome=outcome, sha256=sha256(name.encode()).hexdigest()
        )
        for name in names
    ]
    return events.Outcomes(job_id=JOB, at=at, collection=collection, files=files, walk_id=walk)


def sealed(
    partitions: Sequence[int] = (0, 1),
    walk: str = "walk",
    at: float = START,
    *,
    files: Sequence[int | None] = (None, None),
) -> list[events.Sealed]:
    """Return the seals of a walk; `files` has how many each of the two partitions holds."""
    return [
        events.Sealed(
            job_id=JOB, at=at, walk_id=walk, partition=number, partitions=2, files=[*files, None][min(number, 2)]
        )
        for number in partitions
    ]


def moved(stage: str, files: int, at: float = START) -> events.Moved:
    return events.Moved.model_validate({"job_id": JOB, "at": at, "stage": stage, "files": files})


def step(text: str) -> events.Step:
    return events.Step(job_id=JOB, at=START, text=text)


def sent(images: int) -> events.MLSent:
    return events.MLSent(job_id=JOB, at=START, images=images)


def waiting(stage: str, target: str | None, at: float = START) -> events.Waiting:
    return events.Waiting.model_validate({"job_id": JOB, "at": at, "stage": stage, "target": target})


def asked(command: str, at: float = START) -> events.Command:
    return events.Command.model_validate({"job_id": JOB, "at": at, "type": command})


def broken(reason: str, at: float = START) -> events.JobFailed:
    return events.JobFailed(job_id=JOB, at=at, collection="photos", reason=reason)


def stalled(reason: str | None) -> events.Stalled:
    return events.Stalled(job_id=JOB, at=START, reason=reason)


def restarted(files: int, attempt: int) -> events.Restarted:
    return events.Restarted(job_id=JOB, at=START, files=files, attempt=attempt)


def walked_again() -> events.WalkedAgain:
    return events.WalkedAgain(job_id=JOB, at=START)


def forget(after: str | None = None) -> events.Forget:
    return events.Forget(job_id=JOB, at=START, after=after)
