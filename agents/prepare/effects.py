"""The shell of the state machine of claims (rules/claims): it reads rows, has it decide, and carries out the effects.

A decision and its rows are made in one go, with nothing awaited in between, where rows of the message's partition are
writable. Work is done outside of that. What follows is decided anew when the work is delivered.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass

from agents.prepare.cases import Case, RowsOf
from agents.prepare.decoder import Decoder, point_of
from agents.prepare.departing import DepartureKeeper
from agents.prepare.erasing import ErasureKeeper
from agents.prepare.unchanged import Unchanged
from agents.rereading import is_same_picture, read_again
from agents.stage import StageApp
from core import failpoints
from core.errors import ContentError, FileError
from rules.claims import effects as do
from rules.claims.claim import Known, scope
from rules.claims.events import ContentFailed, Event, File, FollowUp, HasRead, More
from rules.claims.machine import decide
from rules.erasing import FORGOTTEN
from streams import messages
from streams.item import Item
from streams.window import Deliveries, writing_rows
from tables.known_images import KnownImages
from topics.db_write import DB_WRITE
from topics.hashed_file import HashedFile
from topics.image_outcome import IMAGE_OUTCOME, AnyImageOutcome, Embedded, FailedContent, MoreWaiters, Stored
from topics.ml_request import ML_REQUEST
from topics.record import Headers
from topics.sentinel import sentinel_headers

_BEHIND = {"embed": ML_REQUEST.name, "store": DB_WRITE.name}


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision whose rows are written."""

    case: Case
    effects: do.Effects
    deliveries: list[Awaitable[object]]


class Executor:
    """Carries out what is decided."""

    def __init__(
        self,
        stage: StageApp,
        images: KnownImages,
        decoder: Decoder,
        unchanged: Unchanged,
        *,
        departures: DepartureKeeper,
        erasures: ErasureKeeper,
    ) -> None:
        self._departures = departures
        self._erasures = erasures
        self._stage = stage
        self._images = images
        self._decoder = decoder
        self._unchanged = unchanged

    def file(self, number: int, file: HashedFile) -> File:
        """Return what a decision sees of a file."""
        is_cancelled = self._stage.services.jobs.is_cancelled(file.job_id) or self._erasures.is_forgotten(file)
        return File(number, file.file_id, scope(file), is_cancelled)

    def decide(self, case: Case, event: Event | FollowUp) -> Decided:
        """Decide on an event, and write the rows that this asks for."""
        effects = decide(RowsOf(case, self._images, self._stage.services.jobs, self.file), event)
        if case.content is None and any(isinstance(work, do.Send) for work in effects.work):
            case.content = self._images.content(case.of)
        return Decided(case, effects, [delivery for row in effects.rows for delivery in self._write(case, row)])

    async def finish(self, decided: Decided) -> None:
        """Do the work that a decision asks for, and wait until that and its rows are delivered."""
        await self._do_all(decided.case, decided.effects.work)
        # Behind the work: what is begun must be awaited.
        await asyncio.gather(*decided.deliveries)

    def follow_up(self, decided: Decided) -> Deliveries:
        """Decide on what follows, when all before is delivered; return what is to be awaited for that."""
        if decided.effects.then is None:
            return []
        following = self.decide(decided.case, decided.effects.then)
        work = following.effects.work
        return [*following.deliveries, self._do_all(decided.case, work)] if work else following.deliveries

    async def tell(self, event: messages.Event, key: str, outcome: AnyImageOutcome, headers: Headers) -> None:
        """Send a message to prepare itself, on the partition of an event, and wait until it is delivered."""
        await (await self._stage.send(IMAGE_OUTCOME, key, outcome, headers, event.message.partition))

    def _write(self, case: Case, row: do.Row) -> Sequence[Awaitable[object]]:
        images, of = self._images, case.of
        match row:
            case do.PutClaim(claim):
                return [images.put_claim(of, claim)]
            case do.DropClaim():
                return [images.drop_claim(of)]
            case do.PutAnswer(claim, is_stored):
                assert case.content is not None  # noqa: S101 - only an answer asks for it
                stored = case.outcome if is_stored and isinstance(case.outcome, Stored) else None
                if isinstance(case.outcome, Stored | Embedded) and self._erasures.is_forgotten(case.outcome):
                    written = images.put_answer(of, case.content, claim)
                    return [written, *self._erasures.erased_again(case.outcome)]
                follows: list[Awaitable[object]] = []
                if stored is not None:
                    is_one, follows = self._departures.confirm(stored, lambda: case.content)
                    stored = stored if is_one else None
                return [images.put_answer(of, case.content, claim, stored), *follows]
            case do.DropContent():
                return [images.drop_content(of)]
            case do.PutWaiter(number):
                item = case.files[number]
                return [images.put_waiter(item.record, number, item.headers)]
            case do.DropWaiters(numbers):
                return images.drop_waiters(of, numbers)
            case do.PutPath():
                assert isinstance(case.outcome, Stored)  # noqa: S101 - only that asks for it
                if self._erasures.is_forgotten(case.outcome):
                    return self._erasures.erased_again(case.outcome)
                is_one, follows = self._departures.confirm(case.outcome, lambda: images.content(of))
                return [images.confirm(case.outcome, case.outcome.incarnation), *follows] if is_one else follows

    async def _do_all(self, case: Case, works: Sequence[do.Work]) -> None:
        for work in works:
            await self._do(case, work)

    async def _do(self, case: Case, work: do.Work) -> None:
        match work:
            case do.Decode(number):
                await self._decoder.decode(case.files[number])
            case do.Reread(number):
                await self._reread(case, number)
            case do.SendDecoded(number):
                await self._send_decoded(case, case.files[number])
            case do.SendReading(number):
                await self._send_reading(case, case.files[number])
            case do.Send(files):
                await self._send(case, files)
            case do.Flush(stage, numbers):
                await self._flush(case, stage, numbers)
            case do.Tell(event):
                await self._tell(case, event)
            case _:
                await self._end(case, work)

    async def _end(self, case: Case, work: do.Finish | do.FailWithContent | do.FailWithoutCollection) -> None:
        match work:
            case do.Finish(numbers, "unchanged"):
                await asyncio.gather(
                    *(self._unchanged.finish(item.record, item.headers) for item in _items(case, numbers))
                )
            case do.Finish(numbers):
                await asyncio.gather(*(self._skip(item) for item in _items(case, numbers)))
            case do.FailWithContent(numbers):
                error = _content_error(case.outcome)
                await asyncio.gather(*(self._stage.fail(item, error) for item in _items(case, numbers)))
            case do.FailWithoutCollection(number, is_owner):
                item = case.files[number]
                fail = self._stage.fail_file if is_owner else self._stage.fail
                await fail(item, _collection_error(item.record))

    async def _skip(self, item: Item[HashedFile]) -> None:
        file = item.record
        reason = "job cancelled" if self._stage.services.jobs.is_cancelled(file.job_id) else FORGOTTEN
        await self._stage.finish(file, "skipped", item.headers, reason=reason, sha256=file.sha256)

    async def _send(self, case: Case, files: Sequence[tuple[int, Known]]) -> None:
        assert case.content is not None  # noqa: S101 - a file is sent on where the content is known
        writes = []
        for number, outcome in files:
            item = case.files[number]
            if item.record.task is not None and item.record.caption and case.content.caption is None:
                await self._decoder.send_for_caption(item, case.content)
                continue
            write = point_of(item.record, outcome, case.content)
            writes.append((write.sha256.encode(), write, write.headers(item.headers)))
        await self._stage.send_files(DB_WRITE, writes)
        for _, write, headers in writes:
            self._stage.handed_on(write, headers)

    async def _flush(self, case: Case, stage: str, numbers: Sequence[int]) -> None:
        for job_id in {item.record.job_id: None for item in _items(case, numbers)}:
            headers, partition = sentinel_headers(job_id, "waiters", None), case.event.message.partition
            await (await self._stage.send_raw(_BEHIND[stage], job_id.encode(), None, headers, partition))
        failpoints.reach("waiters-emitted" if stage == "store" else "waiter-promoted")

    async def _tell(self, case: Case, event: More | ContentFailed) -> None:
        outcome: MoreWaiters | FailedContent
        if isinstance(event, More):
            outcome = MoreWaiters(**case.files[event.after].record.file_fields(), after=event.after)
        else:
            assert isinstance(case.outcome, FailedContent)  # noqa: S101 - only that asks for it
            outcome = case.outcome.model_copy(update={"after": event.after})
        await self.tell(case.event, outcome.sha256, outcome, outcome.headers())

    async def _reread(self, case: Case, number: int) -> None:
        """Decode a file whose content is known, and go on with what was read."""
        item = case.files[number]
        case.prepared = await self._decoder.prepare(item)
        if case.prepared is None:
            return
        with writing_rows(case.event):
            case.content = self._images.content(case.of)
            is_same = case.content is not None and is_same_picture(case.content, case.prepared)
            file = self.file(number, item.record)
            decided = self.decide(case, HasRead(file, item.headers.begun, is_same))
        await self.finish(decided)

    async def _send_decoded(self, case: Case, item: Item[HashedFile]) -> None:
        """Have ML see another picture of a content; where it has written a caption once, it writes one again."""
        assert case.prepared is not None  # noqa: S101 - it was read
        if case.content is not None and case.content.caption is not None:
            item = item.about(item.record.model_copy(update={"caption": True}))
        await self._decoder.send(item, case.prepared)

    async def _send_reading(self, case: Case, item: Item[HashedFile]) -> None:
        assert case.content is not None and case.prepared is not None  # noqa: S101, PT018 - both were read
        await self._decoder.send_known(item, read_again(case.content, case.prepared, item.event.message.timestamp))


def _items(case: Case, numbers: Sequence[int]) -> list[Item[HashedFile]]:
    return [case.files[number] for number in numbers]


def _content_error(outcome: AnyImageOutcome | None) -> ContentError:
    assert isinstance(outcome, FailedContent)  # noqa: S101 - only that asks for it
    return ContentError(f"Its content, the same as that of {outcome.path}, cannot be used: {outcome.reason}")


def _collection_error(file: HashedFile) -> FileError:
    return FileError(
        f"Collection {file.collection} does not exist (any more), or is not of model {file.model_id}. Create it, and "
        "run the job again."
    )
