"""Has contents taken from collections for good: their points by store, their paths by hash."""

from collections.abc import Awaitable

from agents.stage import StageApp
from core import failpoints
from rules.erasing import Word
from rules.paths import to_wire
from streams.tasks import delivered
from tables.erasures import Erasures
from tables.known_images import KnownImages
from topics.db_write import DB_WRITE
from topics.erasure import Erase, RetirePath, Why, headers_of
from topics.raw_path import RAW_PATH
from topics.record import Headers

Deliveries = list[Awaitable[object]]


class Eraser:
    """Writes its rows at once; what it returns is to be awaited, and sends what follows."""

    def __init__(self, stage: StageApp, images: KnownImages, erasures: Erasures) -> None:
        self._stage = stage
        self._images = images
        self._erasures = erasures

    def erase(self, sha256: str, collection: str, why: Why, at: float, gone_at: str | None = None) -> Deliveries:
        """Note that a content is leaving, and have store take its point."""
        rows = []
        for content in self._erasures.models(sha256):
            claim = self._images.claim(content)
            if claim is not None and claim.owner is None and claim.leaving != collection:
                rows.append(self._images.put_claim(content, claim.model_copy(update={"leaving": collection})))
        erase = Erase(sha256=sha256, collection=collection, why=why, gone_at=gone_at, at=at)
        return [self._behind(rows, erase)]

    async def _behind(self, rows: Deliveries, erase: Erase) -> None:
        await delivered(rows)
        failpoints.reach("erase-noted")
        # Behind the files that are sent to store: one that came before must be found there.
        await self._stage.outbox.drained()
        await (await self._stage.send(DB_WRITE, erase.sha256, erase, Headers()))

    async def retire(self, sha256: str, collection: str, paths: list[bytes], untold: int) -> None:
        """Have hash forget paths, too."""
        deliveries = []
        for path in paths:
            shown, path_b64 = to_wire(path)
            asked = RetirePath(path=shown, path_b64=path_b64, sha256=sha256, collection=collection, untold=untold)
            deliveries.append(await self._stage.send_raw(RAW_PATH.name, path, None, headers_of(asked)))
        await delivered(deliveries)

    def unsay(self, sha256: str, collection: str, at: float) -> Deliveries:
        """Have the files of a content taken in again by a collection, where they are skipped as forgotten."""
        word = self._erasures.word(sha256, collection) or Word(at, is_forgotten=True)
        if not word.is_forgotten:
            return []
        # The row stays: by it, an older word that comes again, or comes late by way of hash, is known to be older.
        return [self._erasures.put_word(sha256, collection, Word(max(at, word.at), is_forgotten=False))]
