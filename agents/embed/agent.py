"""embed: has ML look at each new content, in batches, and publishes the answer.

It takes ml-request, and sends db-write: the point of the file that owns the claim. A batch is of one model.
It decides in rules/embedding: a batch that ML refuses is halved until the guilty image stands alone; ML away, or of
another model, is waited for. What it has answered is not asked again.
"""

import asyncio
import hashlib
from array import array
from collections import Counter
from collections.abc import Awaitable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from agents.collections import KnownCollections
from agents.embed.answers import Answer, Answers, Question
from agents.embed.offers import LARGEST_BATCH, Kind, Offers, kind_of
from agents.end_markers import EndMarkers
from agents.stage import Services, StageApp
from core import failpoints, tracing
from core.errors import ContentError, DrainingError, FatalError, FileError, MLOutOfMemoryError, MLUnavailableError
from gateways.ml import Capabilities, Embedded, ImageInput, Refused
from rules import embedding
from rules.embedding import Again, Fail
from rules.identity import point_id
from streams.batching import Batcher
from streams.item import Item
from streams.messages import Event
from streams.window import Permits, Window
from topics.content import Content
from topics.db_write import DB_WRITE, DBWrite
from topics.ml_request import ML_REQUEST, MLRequest

# One request to ML holds at most this much base64, whatever the batch size.
MAX_BATCH_BYTES = 64 << 20

_Item = Item[MLRequest]

log = structlog.get_logger()


def build(services: Services, datadir: Path) -> StageApp:
    """Return the stage."""
    stage = StageApp("embed", services, datadir)
    settings = services.settings
    # Room for the batches in flight and the one that fills behind them.
    batches = settings.ml_batches_in_flight + 2
    embedder = _Embedder(stage)
    stage.consume_files(
        ML_REQUEST,
        embedder.take,
        end_marker=embedder.end,
        window=batches * (settings.ml_inference_batch_size or LARGEST_BATCH),
        window_bytes=batches * MAX_BATCH_BYTES,
        commit_at_once=True,  # a kill may cost only the calls in flight
    )
    return stage


class _Embedder:
    def __init__(self, stage: StageApp) -> None:
        self._stage = stage
        self._ml = stage.services.ml
        self._collections = KnownCollections(stage.services.qdrant)
        self._offers = Offers(self._ml, stage.services.settings.ml_inference_batch_size)
        self._answers = Answers()
        self._end_markers = EndMarkers(stage, DB_WRITE.name)
        self._batchers: dict[Kind, Batcher[_Item]] = {}

    async def take(self, items: list[_Item], window: Window) -> None:
        """Take images of one message."""
        await self._offers.ask_once(items[0].record.model_id)
        permits = Permits(len(items), items[0].of)
        # Before there is room in the window: an end marker flushes all that came before it.
        works = self._begin(items)
        await window.add(items[0].event, self._stage.do_each(ML_REQUEST, items, works, permits), permits=permits)

    def _begin(self, items: list[_Item]) -> list[Awaitable[None]]:
        """Put each image that is new into a batch; return what is to be awaited for each."""
        works: dict[int, Awaitable[None]] = {}
        for item in items:
            if (earlier := self._answers.earlier(_question(item))) is not None:
                works[item.index] = self._repeat(item, earlier)
            else:
                self._answers.ask(_question(item))
        new = [item for item in items if item.index not in works]
        works |= {item.index: self._first(item, done) for item, done in zip(new, self._ask_ml(new), strict=True)}
        return [works[item.index] for item in items]

    async def end(self, event: Event, window: Window) -> None:
        """Take an end marker: no batch waits any longer to fill."""
        self._stage.flush()
        await self._end_markers.take(event, window)

    def _ask_ml(self, items: list[_Item]) -> "Iterable[asyncio.Future[None]]":
        """Put images into the next batch, best into one; each is done when all that follows from it is delivered."""
        kinds: dict[Kind, list[_Item]] = {}
        for item in items:
            kinds.setdefault(kind_of(item.record), []).append(item)
        done: dict[int, asyncio.Future[None]] = {}
        for kind, some in kinds.items():
            weight = len(some[0].event.value) * len(some) // some[0].of
            added = self._batcher(kind).add_together(some, weight)
            done |= zip((item.index for item in some), added, strict=True)
        return [done[item.index] for item in items]

    def _batcher(self, kind: Kind) -> Batcher[_Item]:
        """Return the batcher of the images that can go to ML together."""
        settings = self._stage.services.settings
        if kind not in self._batchers:
            self._batchers[kind] = self._stage.batcher(
                self._embed,
                size=partial(self._offers.size, kind),
                linger=lambda: settings.ml_batch_linger_seconds,
                in_flight=settings.ml_batches_in_flight,
                max_bytes=MAX_BATCH_BYTES,
            )
        return self._batchers[kind]

    async def _first(self, item: _Item, done: "asyncio.Future[None]") -> None:
        """Wait until all that follows from a question to ML is delivered."""
        try:
            await done
        except DrainingError:
            self._answers.answer(_question(item), None)  # whoever waits for it goes the same way
            raise

    async def _repeat(self, item: _Item, earlier: "asyncio.Future[Answer | None]") -> None:
        """Publish again what ML answered to the same question."""
        answer = await asyncio.shield(earlier)
        if answer is None:
            self._answers.ask(_question(item))
            (done,) = self._ask_ml([item])
            await self._first(item, done)
        else:
            await self._publish([(item, answer)])

    async def _embed(self, items: list[_Item]) -> None:
        """Embed a batch, and wait until all that follows from it is delivered."""
        jobs = {item.record.job_id for item in items}
        with structlog.contextvars.bound_contextvars(job_ids=sorted(jobs), stage="embed"):
            try:
                answers = await self._stage.persist(jobs, lambda: self._attempt(items))
            except (DrainingError, FatalError):
                raise
            except Exception as error:
                await self._after_refusal(items, error)
            else:
                await self._end(items, *answers)

    async def _attempt(self, items: list[_Item]) -> tuple[list[Any], Awaitable[object]]:
        """Ask ML once. Return its answers, and the delivery of the event that counts these images."""
        offered = await self._offers.of(items[0].record.model_id)
        images = [
            ImageInput(str(number), item.record.rendition_base64, item.record.filename)
            for number, item in enumerate(items)
        ]
        try:
            if kind_of(items[0].record).embed:
                answers = await self._ask_for_vectors(items, images, offered)
            else:
                with tracing.called("caption images", [item.headers.traceparent for item in items]):
                    answers = await self._ml.caption(images)
        except MLOutOfMemoryError as error:
            if len(items) == 1:
                raise MLUnavailableError(f"ML has no memory for a single image: {error}") from error
            raise
        except MLUnavailableError:
            # It may come back with another model: its offer is asked for again before the next batch.
            self._offers.forget()
            raise
        counted = await self._stage.report.ml_sent(Counter(item.record.job_id for item in items))
        return [answers[image.unique_id] for image in images], counted

    async def _ask_for_vectors(
        self, items: list[_Item], images: list[ImageInput], offered: Capabilities
    ) -> dict[str, Embedded | Refused]:
        await self._check_model(offered.model_id, items)
        await self._check_dimension(offered.embedding_dim, items)
        kind = kind_of(items[0].record)
        with tracing.called("embed images", [item.headers.traceparent for item in items]):
            answers = await self._ml.embed(
                images, caption=kind.caption, dimension=offered.embedding_dim, model_id=kind.model_id
            )
        for answer in answers.values():
            if isinstance(answer, Embedded):
                _raise(embedding.answer_problem(offered.model_id, answer.model_id))
        return answers

    async def _check_model(self, offered: str, items: list[_Item]) -> None:
        for request in (item.record for item in items):
            if request.model_id != offered:
                known = await self._collections.known(request.job_id, request.collection, request.model_id)
                _raise(embedding.model_problem(offered, request, known))

    async def _check_dimension(self, offered: int, items: list[_Item]) -> None:
        model_id = items[0].record.model_id
        for job_id, collection in {(item.record.job_id, item.record.collection) for item in items}:
            known = await self._collections.known(job_id, collection, model_id)
            _raise(embedding.dimension_problem(offered, collection, known))

    async def _after_refusal(self, items: list[_Item], error: Exception) -> None:
        """Fail the file that ML refuses alone, or ask for the parts of a batch one after the other."""
        match embedding.after_error(items, error):
            case Fail(item):
                await self._fail(item, error)
            case Again(parts, limit):
                if limit is not None:
                    self._offers.limit = limit
                    log.warning("ml-out-of-memory", batch=len(items), limit=limit)
                for part in parts:
                    await self._embed([*part])

    async def _end(self, items: list[_Item], answers: list[Embedded | Refused], counted: Awaitable[object]) -> None:
        refusals, embedded = [], []
        for item, answered in zip(items, answers, strict=True):
            if isinstance(answered, Refused):
                refusals.append(self._fail(item, ContentError(f"ML cannot use this image: {answered.reason}")))
            elif item.record.known is not None and not answered.caption:
                refusals.append(self._fail(item, ContentError("ML has no caption for this image.")))
            else:
                answer = Answer(array("f", answered.vector), answered.caption)
                self._answers.answer(_question(item), answer)
                embedded.append((item, answer))
        # Together: a place is held for as long, and ML would wait for Kafka twice.
        await asyncio.gather(counted, self._publish(embedded), *refusals)

    async def _publish(self, embedded: list[tuple[_Item, Answer]]) -> None:
        writes = []
        for item, answer in embedded:
            failpoints.reach("embed-answered")
            writes.append((item, _write(item.record, answer)))
        await self._stage.send_files(
            DB_WRITE, [(write.sha256.encode(), write, write.headers(item.headers)) for item, write in writes]
        )
        for item, write in writes:
            failpoints.reach("embed-written")
            self._stage.handed_on(write, item.headers)

    async def _fail(self, item: _Item, error: Exception) -> None:
        self._answers.answer(_question(item), None)
        fail = self._stage.fail_file if isinstance(error, FileError) else self._stage.fail_content
        await fail(item, error)


def _write(request: MLRequest, answer: Answer) -> DBWrite:
    if request.known is not None:
        content = request.known.model_copy(update={"caption": answer.caption})
    else:
        content = Content(
            vector=answer.vector,
            caption=answer.caption if request.caption else None,
            metadata=request.metadata,
            thumbnail_base64=request.thumbnail_base64,
            rendition_sha256=hashlib.sha256(request.rendition_base64).hexdigest(),
            read_at=request.read_at,
            from_thumbnail=request.kept,
        )
    return DBWrite(**request.file_fields(), point_id=point_id(request.sha256), outcome="stored", content=content)


def _question(item: _Item) -> Question:
    request = item.record
    # No claim is made for a caption alone: of two files of a content that ask for it, one goes to ML.
    file_id = request.file_id if request.known is None else ""
    return Question(file_id, request.sha256, request.model_id, request.caption)


def _raise(problem: Exception | None) -> None:
    if problem is not None:
        raise problem
