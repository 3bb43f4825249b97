"""What is decided as pictures leave for good: which points go, and when a content is known no more."""

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from rules.claims.claim import Claim
from rules.many_paths import listed
from rules.payload import GONE_AT, KEEP_UNTIL

FORGOTTEN = "forgotten"
"""Why a file is skipped whose content someone wants out of the collection."""


class Word(NamedTuple):
    """What was said last of a content in a collection: that it is forgotten, or is to be taken in again."""

    at: float
    is_forgotten: bool

    @classmethod
    def read(cls, row: bytes) -> "Word":
        """Return what a row says."""
        at, is_forgotten = json.loads(row)
        return cls(at, is_forgotten)

    def row(self) -> bytes:
        """Return what is written."""
        return json.dumps(self).encode()

    def forgotten(self, at: float) -> bool:
        """Tell whether the word of that time has it forgotten. One that comes again says what it said before."""
        return self.is_forgotten or at > self.at


def goes(
    why: Literal["purge", "forget", "collection"], gone_at: str | None, at: float, point: Mapping[str, Any]
) -> bool:
    """Tell whether a point goes. One that is purged has gone when it is meant to have, and nobody wants it longer."""
    if why == "purge":
        kept = point.get(KEEP_UNTIL)
        return (
            point.get(GONE_AT) == gone_at
            and not listed(point)
            and (kept is None or datetime.fromisoformat(kept) <= datetime.fromtimestamp(at, UTC))
        )
    # A collection that went as a whole may have been made anew since.
    return why == "forget"


def is_known_no_more(
    claim: Claim | None, collection: str, model_id: str, held: Collection[str], *, has_paths: bool, has_waiters: bool
) -> bool:
    """Tell whether what is known of a content may go, as it has left a collection.

    `held`: the models of the points that Qdrant has of it. What has come since that was asked has the claim forget
    that the content was leaving.
    """
    if has_paths or has_waiters or model_id in held:
        return False
    return claim is None or (claim.owner is None and claim.leaving == collection)
