"""Words beside pictures that have none: those that an earlier version or another program stored.

They follow from the payload alone. A picture that somebody writes meanwhile is left as it was written; if it then has
no words, the next pass gives it some.
"""

import time

from qdrant_client import AsyncQdrantClient, models

from gateways.qdrant.words import without_words
from rules.payload import HELPERS, REVISION
from rules.search.lookup import WORDS, lookup

POINTS_AT_ONCE = 200
_FIELDS = models.PayloadSelectorExclude(exclude=["thumbnail_base64", *(one for one in HELPERS if one != REVISION)])


async def fill(client: AsyncQdrantClient, name: str, *, seconds: float) -> int:
    """Give words to points that have none, for about so long; return how many are left."""
    end = time.monotonic() + seconds
    while left := (await client.count(name, without_words(), exact=True)).count:
        records, _ = await client.scroll(name, without_words(), limit=POINTS_AT_ONCE, with_payload=_FIELDS)
        if time.monotonic() > end or not records:
            break
        await client.batch_update_points(name, [_operation(record) for record in records], wait=True)
    return left


def _operation(record: models.Record) -> models.SetPayloadOperation:
    payload = record.payload or {}
    revision = payload.get(REVISION)
    unchanged: models.Condition = (
        models.IsEmptyCondition(is_empty=models.PayloadField(key=REVISION))
        if revision is None
        else models.FieldCondition(key=REVISION, match=models.MatchValue(value=revision))
    )
    only = models.Filter(must=[models.HasIdCondition(has_id=[record.id]), unchanged])
    return models.SetPayloadOperation(set_payload=models.SetPayload(payload={WORDS: lookup(payload)}, filter=only))
