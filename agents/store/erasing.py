"""Takes pictures out of Qdrant for good: store's part, behind all that it was sent before. Twice is once."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence

from agents.stage import StageApp
from core import failpoints
from core.errors import CollectionMissingError, DrainingError, FatalError
from rules.erasing import goes
from rules.identity import point_id
from streams.item import Item
from topics.db_write import DB_WRITE
from topics.erasure import Erase, Erased
from topics.image_outcome import IMAGE_OUTCOME
from topics.record import Headers


class ErasedPoints:
    """Takes them, many at once; then tells prepare."""

    def __init__(self, stage: StageApp) -> None:
        self._stage = stage
        self._qdrant = stage.services.qdrant

    async def take(self, items: Sequence[Item[Erase]]) -> "list[tuple[Item[Erase], bool]]":
        """Take the points of these messages, of one collection; return these, each with whether it is there no more."""
        try:
            stays = await self._stage.persist([], lambda: self._erase(items))
        except (DrainingError, FatalError):
            raise
        except Exception as error:
            await asyncio.gather(*(self._stage.reject_file(DB_WRITE, item, error) for item in items))
            return []
        for _ in items:
            failpoints.reach("store-erased")
        return [(item, point_id(item.record.sha256) not in stays) for item in items]

    async def tell(self, done: "Iterable[tuple[Item[Erase], bool]]") -> None:
        """Tell prepare what has become of them, and who holds their contents still; wait until that is delivered."""
        told = list(done)
        if not told:
            return
        ids = sorted({point_id(item.record.sha256) for item, _ in told})
        holders = await self._stage.persist([], lambda: self._qdrant.holders(ids))
        records = [
            Erased(
                **item.record.model_dump(exclude={"kind"}),
                is_gone=is_gone,
                held=tuple(sorted(holders.get(point_id(item.record.sha256), ()))),
            )
            for item, is_gone in told
        ]
        deliveries = [await self._stage.send(IMAGE_OUTCOME, one.sha256, one, Headers()) for one in records]
        await asyncio.gather(*deliveries)

    async def _erase(self, items: Sequence[Item[Erase]]) -> set[str]:
        asked: defaultdict[str, list[Erase]] = defaultdict(list)
        for item in items:
            asked[point_id(item.record.sha256)].append(item.record)
        stays: set[str] = set()
        # Also the generation that is being filled with vectors of another model.
        for address in await self._qdrant.addresses(items[0].record.collection):
            try:
                stays |= await self._qdrant.erase(
                    address,
                    sorted(asked),
                    lambda point, payload: any(goes(one.why, one.gone_at, one.at, payload) for one in asked[point]),
                )
            except CollectionMissingError:
                continue  # nothing is in it any more
        return stays
