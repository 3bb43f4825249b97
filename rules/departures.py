"""What leaves a collection as a source is looked at: which of the contents that a path was taken in with.

A path may be in several collections, with several contents (an edit that a sync has not seen yet), each held by sources
and by plain ingests. What the disk says of it now decides which of these leave.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from rules.wording import plural

Reason = Literal["gone", "excluded", "replaced"]
ASKED_ABOUT: frozenset[Reason] = frozenset({"gone", "excluded"})
"""What waits where a person is asked: an accident, or a pattern that matches too much, empties no library."""
Seen = Literal["there", "gone", "excluded", "unread"]
"""What a look at the disk found of a path."""
GuardCode = Literal[
    "other-mount", "link-away", "changed", "empty", "unreadable", "no-source", "job-ended", "messages-lost"
]
"""Why nothing is removed, for programs. Of the first two, `sources accept` takes what is there now for right."""
PLAIN = ""
"""Who holds what was taken in without a source."""


class Held(NamedTuple):
    """A content of a path in a collection, and who holds it there: names of sources, and PLAIN."""

    collection: str
    sha256: str
    by: tuple[str, ...]


class Leaves(NamedTuple):
    """A content that leaves a collection with a path."""

    collection: str
    sha256: str
    reason: Reason


class Guard(NamedTuple):
    """Why nothing is removed; `reason`: for people."""

    code: GuardCode
    reason: str


class Departure(NamedTuple):
    """What leaves, and what is held then."""

    leaves: tuple[Leaves, ...]
    held: tuple[Held, ...]


def held_too(held: Sequence[Held], collection: str, sha256: str, by: str) -> tuple[Held, ...] | None:
    """Return what is held of a path once a content is handed on for it too; None: it is held so already."""
    for number, one in enumerate(held):
        if (one.collection, one.sha256) == (collection, sha256):
            if by in one.by:
                return None
            return (*held[:number], one._replace(by=(*one.by, by)), *held[number + 1 :])
    return (*held, Held(collection, sha256, (by,)))


def former(held: Sequence[Held], was: str | None, sha256: str, collection: str) -> str | None:
    """Return the content that a path held before this one, which may be an edit of it; None: none that is known.

    `was`: what it held when it was last read. Where that is this one, as another job saw the edit first or a kill
    repeats it, what is held for it in this collection tells.
    """
    if was != sha256:
        return was
    return next((one.sha256 for one in reversed(held) if one.collection == collection and one.sha256 != sha256), None)


def departing(held: Iterable[Held], seen: Seen, sha256: str, *, collection: str, source: str) -> Departure:
    """Decide what leaves with a path. `sha256`: what the path held when it was last read."""
    leaves: list[Leaves] = []
    stays: list[Held] = []
    for one in held:
        if one.collection != collection or seen == "unread":
            stays.append(one)
        elif seen == "gone":
            leaves.append(Leaves(collection, one.sha256, "gone"))
        elif one.sha256 != sha256:
            leaves.append(Leaves(collection, one.sha256, "replaced"))
        elif seen == "excluded" and source in one.by:
            others = tuple(by for by in one.by if by != source)
            if others:
                stays.append(one._replace(by=others))
            else:
                leaves.append(Leaves(collection, one.sha256, "excluded"))
        else:
            stays.append(one)
    return Departure(tuple(leaves), tuple(stays))


MOST_HELD_BACK = 1000
SHARE_HELD_BACK = 0.2
FEW = 500
"""Below so many pictures, more than MOST_OF_FEW and SHARE_HELD_BACK of them wait for a yes."""
MOST_OF_FEW = 10


def needs_yes(pictures: int, lost: int, lost_lately: int) -> bool:
    """Tell whether the removal of pictures waits for a person.

    `lost`: pictures that would be without a path; `lost_lately`: those of the source's other syncs within seven days.
    `pictures`: in the collection, before. The numbers are those of the design of syncs.
    """
    both = lost + lost_lately
    if not lost:
        return False
    if pictures < FEW:
        return both > MOST_OF_FEW and both > SHARE_HELD_BACK * pictures
    return both > MOST_HELD_BACK or both > SHARE_HELD_BACK * pictures


def why_held(pictures: int, lost: int, lost_lately: int) -> str:
    """Say in words why a removal waits for a person."""
    lately = f", after {lost_lately} in the seven days before" if lost_lately else ""
    return f"{lost} of {plural(pictures, 'picture')} of the collection would leave it{lately}"
