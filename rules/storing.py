"""What store decides: which points a batch of files makes, which of the files change nothing, what a refusal means."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from core.errors import CollectionMissingError, FileError
from rules import payload
from rules.batching import halves
from rules.outcomes import Outcome
from rules.payload import Point

I = TypeVar("I")  # noqa: E741 - item


@dataclass(frozen=True, slots=True)
class Asked:
    """A point that a file asks for. `payload`: with the path of this file alone.

    `is_reread`: the file was read again, for what a newer version sees in it. `outcome`: as prepare decided.
    """

    file_id: str
    path: str
    point: Point
    outcome: Outcome
    is_reread: bool = False

    @property
    def may_be_stored(self) -> bool:
        """Whether the point may be stored just as it is asked for: the file was read again, and ML knew the answer."""
        return self.is_reread and self.outcome == "cached"


@dataclass(frozen=True, slots=True)
class Decided:
    """The points to be written, each with the paths of this batch alone, and the ids of files that change nothing."""

    points: list[Point]
    unchanged: set[str]


def looked_at_whole(asked: Iterable[Asked], stored: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Return the ids of points to be read whole: they are compared with what is asked for, or stay as they are.

    `stored`: the payloads (FIELDS_READ_BACK) of those that exist, by id.
    """
    return {
        one.point.id
        for one in asked
        if one.is_reread or payload.was_read_later(stored.get(one.point.id, {}), one.point.payload)
    }


def decide(
    asked: Iterable[Asked],
    stored: Mapping[str, Mapping[str, Any]],
    whole: Mapping[str, Point],
    listed: Collection[str],
) -> Decided:
    """Unite the points that files ask for with each other, in their order, and with what is stored.

    `stored`: as for `looked_at_whole`; `whole`: the points that it names. `listed`: ids of the files that
    `may_be_stored` whose path their point has. Paths that are stored are left aside: there may be very many, and Qdrant
    unites them.
    """
    payloads: dict[str, Mapping[str, Any]] = {point_id: {**known, "paths": []} for point_id, known in stored.items()}
    newest = {point_id: replace(point, payload={**point.payload, "paths": []}) for point_id, point in whole.items()}
    points: dict[str, Point] = {}
    unchanged: set[str] = set()
    for one in asked:
        new, known = one.point, payloads.get(one.point.id, {})
        before = newest.get(new.id)
        if before is not None and payload.was_read_later(known, new.payload):
            point = replace(before, payload=payload.with_paths(before.payload, new.payload))
        else:
            point = replace(new, payload=payload.merge(known, new.payload))
        if one.may_be_stored and one.file_id in listed and before is not None and _is_same(before, point):
            unchanged.add(one.file_id)
            continue
        points[new.id] = newest[new.id] = point
        payloads[new.id] = point.payload
    return Decided([*points.values()], unchanged)


def _is_same(known: Point, new: Point) -> bool:
    return payload.is_same(known.payload, new.payload) and payload.is_same_direction(known.vector, new.vector)


def is_new(outcome: Outcome) -> bool:
    """Tell whether ML embedded the content for this file: the others have theirs from the cache."""
    return outcome == "stored"


@dataclass(frozen=True, slots=True)
class Fail(Generic[I]):
    """These cannot be stored."""

    items: Sequence[I]
    error: Exception


@dataclass(frozen=True, slots=True)
class Again(Generic[I]):
    """These are stored again, one part after the other."""

    parts: tuple[Sequence[I], ...]


def after_error(items: Sequence[I], collection: str, model_id: str, error: Exception) -> Fail[I] | Again[I]:
    """Decide what becomes of a batch that Qdrant refuses: it is halved until the guilty one stands alone."""
    if isinstance(error, CollectionMissingError):
        reason = f"Collection {collection} was deleted while the job ran, or is no more of model {model_id}."
        return Fail(items, FileError(f"{reason} Run the job again."))
    return Fail(items, error) if len(items) == 1 else Again(halves(items))
