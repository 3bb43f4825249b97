"""Bodies of requests and answers about dead letters, replays and the cache."""

from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, Field, model_validator

from api.schemas.body import Body
from api.view.dead_letters import DeadLetterFilter, DeadLetterRow, WholeDeadLetter
from rules.dead_letters import DeadLetterState

LETTER_ID = r"^[0-9]{1,9}-[0-9]{1,18}$"
DeadLetterId = Annotated[str, Field(pattern=LETTER_ID)]
Offset = Annotated[int, Field(ge=0, lt=1 << 63)]
RunState = Literal["running", "done", "failed"]


class DeadLetterSummary(BaseModel):
    """A dead letter. `id` is its partition and offset; `job_id` and `file_id` are empty where it names none."""

    id: str
    at: str
    job_id: str
    file_id: str
    path: str
    stage: str
    error_class: str
    message: str
    attempt: int
    restart_topic: str
    state: DeadLetterState

    @classmethod
    def of(cls, letter: DeadLetterRow) -> Self:
        """Describe a letter of the view."""
        return cls(**_summary(letter))


class DeadLetterDetails(DeadLetterSummary):
    """A dead letter with what it holds. Bytes that are no UTF-8 are shown as escapes."""

    headers: dict[str, str]
    payload: str | None
    stack_trace: str

    @classmethod
    def of_whole(cls, letter: WholeDeadLetter) -> Self:
        """Describe a letter of the view."""
        headers = {name: (value or b"").decode("utf-8", "backslashreplace") for name, value in letter.headers}
        stack_trace = headers.pop("__connect.errors.exception.stacktrace", "")
        payload = None if letter.value is None else letter.value.decode("utf-8", "backslashreplace")
        return cls(**_summary(letter), headers=headers, payload=payload, stack_trace=stack_trace)


class DeadLetterPage(BaseModel):
    """A page of dead letters, the newest first; `next` is the cursor of the following page.

    `total` is how many match, counted with the first page alone.
    """

    letters: list[DeadLetterSummary]
    total: int | None
    next: str | None


class DeadLetterChoice(Body):
    """Which dead letters: these ids, or all open ones that match the filters, or all open ones."""

    ids: Annotated[list[DeadLetterId], Field(max_length=10_000)] = []
    job_id: str = ""
    stage: str = ""
    error_class: str = ""
    all: bool = False

    @model_validator(mode="after")
    def _is_one_choice(self) -> Self:
        filtered = bool(self.job_id or self.stage or self.error_class)
        if [bool(self.ids), filtered, self.all].count(True) != 1:
            raise ValueError("choose letters in one way: ids, or filters (job_id, stage, error_class), or all")
        return self

    @property
    def filter(self) -> DeadLetterFilter:
        """What a letter has to match, where no ids are given."""
        return DeadLetterFilter(self.job_id, self.stage, self.error_class, "open")


class ReplayChoice(DeadLetterChoice):
    """Which dead letters to publish again. `force`: also those that were tried too often or decided on before."""

    force: bool = False


class Refusal(BaseModel):
    """A dead letter that was left as it is, and why."""

    id: str
    reason: str


class Decided(BaseModel):
    """What was done with dead letters. `refusals` names the first thousand of those that were refused.

    `jobs`: by the id of each job that was forgotten, the new job as which its files run.
    """

    done: int = 0
    refused: int = 0
    refusals: list[Refusal] = []
    jobs: dict[str, str] = {}


class ReplayBody(Body):
    """Which part of a topic to publish again; everything that is left out does not restrict.

    `from_offsets`: by partition, the first offset; other partitions are left alone.
    """

    topic: str
    job_id: str | None = None
    since: AwareDatetime | None = None
    from_offsets: dict[Annotated[int, Field(ge=0, lt=1 << 31)], Offset] = {}
    dry_run: bool = False

    @model_validator(mode="after")
    def _starts_once(self) -> Self:
        if self.since and self.from_offsets:
            raise ValueError("start either at a time (since) or at offsets (from_offsets)")
        return self


class RebuildBody(Body):
    """Which collections to read the cache from; null: all."""

    collection: str | None = None


class Run(BaseModel):
    """Work that goes on after its request was answered. `total` and `read` count messages or points.

    `published`: messages that were published, or would be by a dry run; `left_out`: how many were not, by reason.
    `jobs`: by the id of each job that was forgotten, the new job as which its messages run.
    """

    id: str
    what: str
    state: RunState = "running"
    dry_run: bool = False
    total: int = 0
    read: int = 0
    published: int = 0
    left_out: dict[str, int] = {}
    jobs: dict[str, str] = {}
    message: str = ""

    def leave_out(self, reason: str) -> None:
        """Count one that is not published."""
        self.left_out[reason] = self.left_out.get(reason, 0) + 1


def _summary(letter: DeadLetterRow) -> dict[str, object]:
    return {
        "id": letter.id,
        "at": datetime.fromtimestamp(letter.at / 1000, UTC).isoformat(timespec="milliseconds"),
        **{name: getattr(letter, name) for name in DeadLetterSummary.model_fields if name not in {"id", "at"}},
    }
