"""Publishes what happens to files as job-events: many files to one event, and one await for all of them."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from core.settings import Stage
from rules.batching import halves
from rules.outcomes import Outcome
from streams.tasks import start
from topics.files import FileOfJob
from topics.hashed_file import HashedFile
from topics.job_event import FileOutcome, MLSent, Moved, Outcomes, Seen, SeenFile, Waiting, WaitTarget
from topics.job_event_codec import JobEvent, OutcomesAlike
from topics.raw_path import RawPath

# Long enough to gather the files of a window, short against the time that a person notices.
LINGER_SECONDS = 0.02
# Nobody waits for these counts; they go with what else is reported.
MOVED_LINGER_SECONDS = 1.0
MAX_FILES = 500
# Of paths and reasons in one event: with long ones, 500 files would not fit into a message of Kafka.
MAX_CHARACTERS = 100_000

Publish = Callable[[JobEvent], Awaitable[Awaitable[object]]]
PlainFile = tuple[str, str, str]
"""File id, path that is text, SHA-256."""
_Scope = tuple[str, str]  # job id, collection
_Walk = str | None
_Roots = tuple[str, ...] | None


@dataclass(slots=True)
class _Gathered:
    seen: dict[tuple[_Scope, _Walk, _Roots], list[SeenFile]] = field(default_factory=lambda: defaultdict(list))
    outcomes: dict[tuple[_Scope, bool], list[FileOutcome]] = field(default_factory=lambda: defaultdict(list))
    alike: dict[tuple[_Scope, _Walk, Outcome], list[PlainFile]] = field(default_factory=lambda: defaultdict(list))
    moved: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    files: int = 0
    characters: int = 0


class Reporter:
    """Gathers reports for a moment, then publishes them. `publish` sends one event and returns its delivery."""

    def __init__(self, stage: Stage, publish: Publish, on_fatal: Callable[[BaseException], None]) -> None:
        self._stage: Stage = stage
        self._publish = publish
        self._on_fatal = on_fatal
        self._gathered = _Gathered()
        self._delivered: asyncio.Future[None] | None = None
        self._due: asyncio.TimerHandle | None = None
        self._flushes: set[asyncio.Task[None]] = set()

    def seen(self, file: RawPath | HashedFile) -> Awaitable[None]:
        """Say that a file belongs to its job from now on; await the result to know that it is delivered."""
        seen = SeenFile(file_id=file.file_id, path=file.path, path_b64=file.path_b64)
        roots = None if file.roots is None else tuple(file.roots)
        self._gathered.seen[(file.job_id, file.collection), file.walk_id, roots].append(seen)
        return self._gather(1, len(file.path) + len(file.path_b64 or ""))

    def outcomes(self, file: FileOfJob, outcomes: Sequence[FileOutcome], *, replay: bool) -> Awaitable[object]:
        """Say what became of files of the job of `file`; await the result to know that it is delivered."""
        characters = sum(len(one.path) + len(one.path_b64 or "") + len(one.reason or "") for one in outcomes)
        if len(outcomes) > 1 and (characters > MAX_CHARACTERS or len(outcomes) > MAX_FILES):
            return asyncio.gather(*(self.outcomes(file, half, replay=replay) for half in halves(outcomes)))
        self._gathered.outcomes[(file.job_id, file.collection), replay].extend(outcomes)
        return self._gather(len(outcomes), characters)

    def ended_alike(self, file: HashedFile, outcome: Outcome, files: Iterable[PlainFile]) -> Awaitable[None]:
        """Say that files of one job have ended alike; await the result to know that it is delivered.

        `file`: one of them, whose walk has found all; nobody has said yet that they were seen.
        """
        gathered = self._gathered.alike[(file.job_id, file.collection), file.walk_id, outcome]
        before = len(gathered)
        gathered.extend(files)
        return self._gather(len(gathered) - before, sum(len(path) for _, path, _ in gathered[before:]))

    def moved(self, job_id: str, files: int = 1) -> None:
        """Count files that the stage has handed on."""
        self._gathered.moved[job_id] += files
        self._gather(1, 0, MOVED_LINGER_SECONDS)

    async def ml_sent(self, images: dict[str, int]) -> Awaitable[object]:
        """Say how many images of each job were sent to ML in one request; await the result for the delivery."""
        events = [MLSent(job_id=job_id, at=time.time(), images=count) for job_id, count in images.items()]
        return asyncio.gather(*[await self._publish(event) for event in events])

    async def waiting(self, job_ids: Iterable[str], target: WaitTarget | None) -> None:
        """Say that the stage waits for a service with files of these jobs in hand, or no longer does."""
        for job_id in job_ids:
            await (await self._publish(Waiting(job_id=job_id, at=time.time(), stage=self._stage, target=target)))

    async def drained(self) -> None:
        """Publish what is gathered, and wait until it is delivered: behind it, the producer stops."""
        self._flush()
        await asyncio.gather(*self._flushes)

    def _gather(self, files: int, characters: int, linger: float = LINGER_SECONDS) -> Awaitable[None]:
        loop = asyncio.get_running_loop()
        if self._delivered is None:
            self._delivered = loop.create_future()
        if self._due is None or self._due.when() > loop.time() + linger:
            if self._due is not None:
                self._due.cancel()
            self._due = loop.call_later(linger, self._flush)
        delivered = self._delivered
        self._gathered.files += files
        self._gathered.characters += characters
        if self._gathered.files >= MAX_FILES or self._gathered.characters >= MAX_CHARACTERS:
            self._flush()
        return asyncio.shield(delivered)

    def _flush(self) -> None:
        if self._delivered is None or self._due is None:
            return
        self._due.cancel()
        gathered, delivered = self._gathered, self._delivered
        self._gathered, self._delivered, self._due = _Gathered(), None, None
        task = start(self._deliver(gathered, delivered))
        self._flushes.add(task)
        task.add_done_callback(self._flushes.discard)

    async def _deliver(self, gathered: _Gathered, delivered: "asyncio.Future[None]") -> None:
        try:
            deliveries = [await self._publish(event) for event in self._events(gathered)]
            for delivery in deliveries:
                await delivery
        except Exception as error:
            self._on_fatal(error)
        else:
            delivered.set_result(None)

    def _events(self, gathered: _Gathered) -> Iterable[JobEvent]:
        now = time.time()
        for ((job_id, collection), walk_id, roots), seen in gathered.seen.items():
            yield Seen(
                job_id=job_id,
                at=now,
                collection=collection,
                walk_id=walk_id,
                roots=None if roots is None else list(roots),
                files=seen,
            )
        for job_id, count in gathered.moved.items():
            yield Moved(job_id=job_id, at=now, stage=self._stage, files=count)
        for ((job_id, collection), replay), files in gathered.outcomes.items():
            yield Outcomes(job_id=job_id, at=now, collection=collection, files=files, replay=replay)
        for ((job_id, collection), walk_id, outcome), plain in gathered.alike.items():
            file_ids, paths, sha256s = map(list, zip(*plain, strict=True))
            yield OutcomesAlike(job_id, now, collection, walk_id, outcome, file_ids, paths, sha256s)
