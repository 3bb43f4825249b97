"""Takes messages about pictures that leave for good: prepare's part. See docs/decisions/0074-forgetting.md.

Prepare voids what it knows of the paths, and has store take the point. Store answers with the models under which any
collection still holds the content. What prepare knows of it under another model goes, unless a file of it came since.
"""

from datetime import datetime

from agents.prepare.eraser import Deliveries, Eraser
from agents.prepare.forgetting import Forgetter
from agents.stage import StageApp
from core import failpoints
from rules.erasing import is_known_no_more
from streams.item import Item
from streams.messages import Event
from streams.rejecting import or_reject
from streams.tasks import delivered
from streams.window import Window
from tables.departures import Departures
from tables.erasures import Erasures, collection_of
from tables.known_images import ContentKey, KnownImages, content_of
from topics.erasure import (
    Erased,
    ForgetCollection,
    ForgetPicture,
    Purge,
    UnforgetPicture,
)
from topics.files import HashedFileOfJob
from topics.image_outcome import IMAGE_OUTCOME, OfErasures
from topics.record import Headers

ROWS_AT_ONCE = 500


class ErasureKeeper:
    """Takes them one by one: it writes rows in the iteration, and sends what follows behind these."""

    def __init__(self, stage: StageApp, images: KnownImages, erasures: Erasures, departures: Departures) -> None:
        self._stage = stage
        self._images = images
        self._erasures = erasures
        self._eraser = Eraser(stage, images, erasures)
        self._forgetter = Forgetter(stage, images, erasures, departures, self._eraser)

    async def take(self, item: Item[OfErasures], window: Window) -> None:
        """Take one message. A replay says nothing of what is wanted now."""
        event, record = item.event, item.record
        if item.headers.replay:
            await window.add(event, delivered(()), permits=item.permits())
            return
        match record:
            case Purge():
                work = delivered(
                    self._eraser.erase(record.sha256, record.collection, "purge", record.at, record.gone_at)
                )
            case ForgetPicture():
                work = delivered(self._forgetter.forget(event, record))
            case UnforgetPicture():
                work = delivered(self._forgetter.unforget(event, record))
            case ForgetCollection():
                work = delivered(self._step(event, record))
            case Erased():
                work = self._concluded(self._conclude(record))
        taken = or_reject(work, lambda error: self._stage.reject_file(IMAGE_OUTCOME, item, error))
        await window.add(event, taken, permits=item.permits())

    def is_forgotten(self, file: HashedFileOfJob) -> bool:
        """Tell whether a file is to be skipped."""
        return self._erasures.is_forgotten(file.sha256, file.collection)

    def erased_again(self, outcome: HashedFileOfJob) -> Deliveries:
        """Have a content erased once more that was on its way when it was forgotten."""
        word = self._erasures.word(outcome.sha256, outcome.collection)
        assert word is not None  # noqa: S101 - it is forgotten
        retired = self._eraser.retire(outcome.sha256, outcome.collection, [outcome.path_bytes], 0)
        return [*self._eraser.erase(outcome.sha256, outcome.collection, "forget", word.at), retired]

    def _conclude(self, erased: Erased) -> Deliveries:
        """Forget what is known of a content that no collection holds any more."""
        rows: Deliveries = []
        for content in self._erasures.models(erased.sha256):
            claim = self._images.claim(content)
            if is_known_no_more(
                claim,
                erased.collection,
                content.model_id,
                erased.held,
                has_paths=self._erasures.has_paths(content),
                has_waiters=next(self._images.waiters(content), None) is not None,
            ):
                rows += [self._images.drop_claim(content), self._images.drop_content(content)]
            elif claim is not None and claim.leaving == erased.collection:
                # Another collection holds it: it leaves no more.
                rows.append(self._images.put_claim(content, claim.model_copy(update={"leaving": None})))
        retention = self._stage.services.settings.kafka_retention_hours * 3600
        if erased.is_gone and erased.gone_at is not None and _age(erased) > retention:
            # Kafka does not keep any more what these guard against.
            voids = self._erasures.voids(erased.sha256, erased.collection)
            rows += self._erasures.delete([key for key, _ in voids])
        return rows

    async def _concluded(self, rows: Deliveries) -> None:
        await delivered(rows)
        failpoints.reach("erase-concluded")

    def _step(self, event: Event, asked: ForgetCollection) -> Deliveries:
        """Carry out a step of a request about all contents of a collection."""
        step = self._erasures.step(asked.after_key, ROWS_AT_ONCE)
        deliveries: Deliveries = []
        for key in step.keys:
            if asked.undo:
                if key.startswith(b"f|") and collection_of(key) == asked.collection:
                    deliveries += self._eraser.unsay(key.split(b"|", 2)[1].decode(), asked.collection, asked.at)
            elif key.startswith(b"i|"):
                deliveries += self._leave_collection(content_of(key), asked)
            elif collection_of(key) == asked.collection:
                deliveries += self._erasures.delete([key])
        if step.after is not None:
            deliveries.append(self._go_on(event, asked.step_behind(step.after)))
        return deliveries

    def _leave_collection(self, content: ContentKey, asked: ForgetCollection) -> Deliveries:
        paths = [key for key, _ in self._erasures.paths(content.sha256, asked.collection)]
        rows = self._erasures.delete(paths)
        if self._erasures.has_paths(content):
            return [*rows, *(self._erasures.alone(content) if paths else ())]
        return [*rows, *self._eraser.erase(content.sha256, asked.collection, "collection", asked.at)]

    async def _go_on(self, event: Event, following: ForgetCollection) -> None:
        partition = event.message.partition
        await (await self._stage.send(IMAGE_OUTCOME, following.collection, following, Headers(), partition))


def _age(erased: Erased) -> float:
    """Return for how long a picture was gone, in seconds."""
    return erased.at - datetime.fromisoformat(str(erased.gone_at)).timestamp()
