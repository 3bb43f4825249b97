"""The account of a job: its files, what became of each, and when it is over. Promise 1 is about this alone.

A file counts from the first event that names it, once for its id, and as the best outcome it was told. A walk has ended
when it has sealed every partition, and its seals say how many files it has sent. The job is over when a walk has ended
of which every file was seen, and each file that was seen has its outcome; so the six outcomes sum to the total.
"""

from bisect import bisect_left

from pydantic import BaseModel

from rules.kinds import counted
from rules.outcomes import OUTCOMES, FileReport, Outcome
from tables.job_file import MAX_WALKS, Counted, kind_of_skipped
from topics.job_event import Command, Scanning, Sealed
from topics.job_status import FINISHED, State

# Turns that a job remembers (`closed_turns`, `whole_turns`): it may be closed and opened again time after time.
MAX_TURNS = 40


class Account(BaseModel):
    """The account as of `offset`: of events up to it, all are counted, and of later ones none."""

    offset: int = -1
    newest_at: float | None = None  # of the events up to that offset: Kafka's time, seconds since 1970
    begun_at: float | None = None  # Kafka's time of the first event
    moved_by: int = 0  # what is added to the offsets of `job-event`; see tables.job_fold.place

    seen: int = 0
    counts: dict[Outcome, int] = dict.fromkeys(OUTCOMES, 0)
    skipped: dict[str, int] = {}  # those among them that are skipped, by kind (rules.kinds)
    # Rows of version 0.1.0 may count files that their offset does not include; see agents.track.agent.
    keeps_counts: bool = False

    walk_begun: bool = False
    walk_files: dict[str, int] = {}  # walk id → files that were seen of it, for walks whose files name them
    seals: dict[str, list[int]] = {}  # walk id → partitions sealed by it
    published: dict[str, int | None] = {}  # walk id → files that its seals speak of; None: not counted
    partitions: int | None = None

    cancelled: bool = False
    paused: bool = False
    failed_reason: str | None = None
    forgotten: bool = False
    # The offsets of the events that closed the job (`is_closed`), opened it again, closed it again; and of those that
    # made it `whole`, and not any more. So an event that comes again has its files judged as they were the first time.
    closed_turns: list[int] = []
    whole_turns: list[int] = []

    @property
    def state(self) -> State:
        """The job's state. It is finished only when every file that was seen has its outcome."""
        sealed, whole = self.sealed, self.whole
        # A walk that has begun may have published files that nobody has seen yet.
        if self.processed == self.seen and (whole or not self.walk_begun):
            if self.failed_reason is not None:
                return "failed"
            if self.cancelled:
                return "cancelled"
            if whole:
                return "completed_with_errors" if self.counts["failed"] or self.missing else "completed"
        if self.paused and not self.cancelled:
            return "paused"
        if self.walk_begun and not sealed:
            return "scanning"
        return "running" if self.seen or sealed else "queued"

    @property
    def processed(self) -> int:
        """Files that have their outcome."""
        return sum(self.counts.values())

    @property
    def sealed(self) -> bool:
        """Every partition was sealed by one walk: no further file of it will come."""
        return bool(self._sealed_walks())

    @property
    def missing(self) -> int:
        """Files that were published and never seen, by the best of the walks that have ended and were counted."""
        missing = [self._missing_of(walk) for walk in self._sealed_walks()]
        return min((files for files in missing if files is not None), default=0)

    @property
    def whole(self) -> bool:
        """A walk has ended of which every file was seen, as far as anyone counted: all files are known."""
        return any(not self._missing_of(walk) for walk in self._sealed_walks())

    @property
    def is_closed(self) -> bool:
        """The job is over though its walk was cut off: it takes no file any more that nobody has seen before.

        It was cancelled, has failed, or was ended by a person; unchanged files of that walk may be on `hashed-file`
        still, where only their outcome is going to say that they were seen. A program has no walk of ours, and may
        publish behind its close.
        """
        match self.state:
            case "cancelled" | "failed":
                return self.sealed
            case "completed" | "completed_with_errors":
                is_cut_off = all(self._missing_of(walk) != 0 for walk in self._sealed_walks())
                return self.walk_begun and bool(self.walk_files) and is_cut_off
            case _:
                return False

    def note_turns(self, offset: int) -> None:
        """Note where the event at an offset has closed the job or opened it, or has made it whole or not."""
        self.closed_turns = _turned(self.closed_turns, offset, is_so=self.is_closed)
        self.whole_turns = _turned(self.whole_turns, offset, is_so=self.whole)

    def was_closed(self, offset: int) -> bool:
        """Tell whether the job is closed for the event at an offset: as it was when that came first."""
        return self.is_closed if offset > self.offset else _was_so(self.closed_turns, offset)

    def was_whole(self, offset: int) -> bool:
        """Tell whether the job is whole for the event at an offset: as it was when that came first."""
        return self.whole if offset > self.offset else _was_so(self.whole_turns, offset)

    def _sealed_walks(self) -> list[str]:
        count = self.partitions
        if count is None:
            return []
        return [walk for walk, seals in self.seals.items() if sum(number < count for number in seals) >= count]

    def _missing_of(self, walk: str) -> int | None:
        """Return how many files of a walk that has ended were never seen; None where they were not counted."""
        published, seen = self.published.get(walk), self.walk_files.get(walk)
        return None if published is None or seen is None else max(0, published - seen)

    def count_file(self, before: Counted | None, after: Counted) -> bool:
        """Count a file as `after` in place of `before` (None: it is new). Tell whether it is new, or its outcome is."""
        for walk in after.walks:
            if before is None or walk not in before.walks:
                self._know_walk(walk)
                self.walk_files[walk] += 1
        for one, by in ((before, -1), (after, 1)):
            if one is not None and one.kind is not None:
                self.skipped = counted(self.skipped, one.kind, by)
        if before is None:
            self.seen += 1
        elif before.outcome == after.outcome:
            return False
        elif before.outcome is not None:
            self.counts[before.outcome] -= 1
        if after.outcome is not None:
            self.counts[after.outcome] += 1
        return True

    def count_new(self, files: int, outcome: Outcome, walk_id: str | None) -> None:
        """Count so many new files that have ended alike, as `count_file` counts each; none of them is skipped."""
        if walk_id is not None:
            self._know_walk(walk_id)
            self.walk_files[walk_id] += files
        self.seen += files
        self.counts[outcome] += files

    def begin_count(self) -> None:
        """Begin to count the files again; `count` is then called for each."""
        self.seen, self.counts, self.skipped = 0, dict.fromkeys(OUTCOMES, 0), {}

    def count(self, file: FileReport) -> None:
        """Count one file of the job."""
        self.count_file(None, Counted(file.outcome, kind_of_skipped(file), ()))

    def begin_walk(self, event: Scanning) -> None:
        """Take up a walk."""
        # One that was cancelled before has ended: what this walk still finds is skipped.
        self.walk_begun = self.walk_begun or not self.cancelled
        if self.failed_reason is not None or (self.is_closed and not self.cancelled):
            # The request was replayed. The walk that failed, and who ended the job, sealed only what was before it.
            self.failed_reason, self.seals, self.published = None, {}, {}
        if event.counted and not self.whole:
            self._know_walk(event.walk_id)

    def _know_walk(self, walk_id: str) -> None:
        self.walk_files.setdefault(walk_id, 0)
        if len(self.walk_files) > MAX_WALKS:
            del self.walk_files[next(iter(self.walk_files))]

    def seal(self, event: Sealed) -> bool:
        """Note that a walk has ended in one partition. Tell whether it is news: with all files known, none is."""
        if self.whole or event.partition >= event.partitions:
            return False
        self.partitions = event.partitions
        sealed = self.seals.setdefault(event.walk_id, [])
        if event.partition in sealed:
            return False
        before = self.published.get(event.walk_id, None if sealed else 0)
        self.published[event.walk_id] = None if before is None or event.files is None else before + event.files
        sealed.append(event.partition)
        if len(self.seals) > MAX_WALKS:
            oldest = next(iter(self.seals))
            del self.seals[oldest], self.published[oldest]
        return True

    def obey(self, command: Command) -> bool:
        """Cancel, pause or go on. Tell whether it could: what is over is left as it is."""
        if self.state in FINISHED:
            return False
        if command.type == "cancel":
            self.cancelled = True
        else:
            self.paused = command.type == "pause"
        return True

    def fail(self, reason: str) -> bool:
        """Note why the job as a whole cannot go on. Tell whether that was news."""
        # A request may be delivered again when its walk is done, and its folder gone: too late to fail.
        if self.whole or self.failed_reason is not None:
            return False
        self.failed_reason = reason
        return True

    def forget(self) -> bool:
        """Forget the files of a job that is over. Tell whether it is: one that is not knows better what it needs."""
        self.forgotten = self.state in FINISHED
        return self.forgotten


def _turned(turns: list[int], offset: int, *, is_so: bool) -> list[int]:
    """Return the turns, and the one at an offset where there is one: with an odd number of them it is so."""
    if len(turns) % 2 == is_so:
        return turns
    turned = [*turns, offset]
    return turned[2:] if len(turned) > MAX_TURNS else turned


def _was_so(turns: list[int], offset: int) -> bool:
    """Tell whether it was so before the event at an offset."""
    return bisect_left(turns, offset) % 2 == 1
