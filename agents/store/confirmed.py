"""What store tells of points that Qdrant has confirmed: what became of their contents, and of each path of theirs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from gateways.qdrant import BoundCollection, Qdrant
from rules import payload
from rules.identity import point_id
from rules.paths import from_readable, to_wire
from rules.storing import Asked, is_new
from streams.item import Item
from topics.db_write import DBWrite
from topics.image_outcome import ContentOutcome, Embedded, Stored
from topics.record import Headers

# A content may have a hundred thousand paths.
OUTCOMES_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Confirmed:
    """Points of one collection and model, and the incarnation of the collection that they are in.

    `former`: of those that were embedded anew, what they keep of the generation before, by their ids. `edited`: the
    histories that files go on with whose metadata alone has changed, by their ids. `unchanged`: ids of files that were
    read again, and found to be stored as they are already.
    """

    incarnation: str
    former: Mapping[str, Mapping[str, Any]]
    edited: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    unchanged: set[str] = field(default_factory=set)

    def united(self, asked: Asked) -> Asked:
        """Return a point that a file asks for with what it keeps of the generation before, or of what it was."""
        former, point = self.former.get(asked.point.id), asked.point
        if former is not None:
            return replace(asked, point=replace(point, payload=payload.embedded_anew(former, point.payload)))
        if (history := self.edited.get(asked.file_id)) is not None:
            return replace(asked, point=replace(point, payload={**point.payload, **history}))
        return asked

    def outcomes(self, items: Sequence[Item[DBWrite]]) -> Iterator[list[tuple[ContentOutcome, Headers]]]:
        """Yield what is to be told on image-outcome, some at a time."""
        all_of_them = self._outcomes(items)
        while some := [*islice(all_of_them, OUTCOMES_AT_ONCE)]:
            yield some

    def _outcomes(self, items: Sequence[Item[DBWrite]]) -> Iterator[tuple[ContentOutcome, Headers]]:
        for item in items:
            write, headers = item.record, item.headers
            content = write.content if is_new(write.outcome) else None
            if write.task is None:
                yield Stored(**write.file_fields(), incarnation=self.incarnation, content=content), headers
                continue
            if content is not None:
                yield Embedded(**write.file_fields(), content=content), headers
            # The point has all paths that it had: none of them is looked at again.
            for path in self.former.get(write.point_id, {}).get("paths", ()):
                for place in from_readable(path):
                    shown, path_b64 = to_wire(place)
                    fields = write.file_fields() | {"path": shown, "path_b64": path_b64}
                    yield Stored(**fields, incarnation=self.incarnation), headers


async def former_of(qdrant: Qdrant, target: BoundCollection, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return what the other generations of a collection tell of points, as far as they keep it, with all paths."""
    found: dict[str, dict[str, Any]] = {}
    for other in await qdrant.generations(target.name):
        if other.at == target.at:
            continue
        for name, known in (await qdrant.payloads(other.at, ids, list(payload.FIELDS_READ_BACK))).items():
            paths = [path async for some in qdrant.all_paths(other.at, known) for path in some]
            found.setdefault(name, payload.of_former(known, paths))
    return found


async def histories(qdrant: Qdrant, target: BoundCollection, writes: Sequence[DBWrite]) -> dict[str, dict[str, Any]]:
    """Return the histories that files go on with whose metadata alone has changed, by the ids of the files."""
    edited = {write.file_id: point_id(write.former) for write in writes if write.former is not None}
    known = await qdrant.payloads(target.at, sorted(set(edited.values())), list(payload.HISTORY))
    return {file_id: known[former] for file_id, former in edited.items() if former in known}
