"""All paths of a content: a point holds the first hundred, and a list in a collection beside it holds the others.

`payload` is that of the point, with `paths` and `more_paths`. Without `more_paths` there is no list, and Qdrant is not
asked.
"""

import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from core.errors import wrong_cursor
from gateways.qdrant.connection import Connection
from rules.many_paths import list_name, listed

PATHS_AT_ONCE = 500


class Paths(Connection):
    """Reads paths, and takes them away; the writes of points add them."""

    async def all_paths(self, name: str, payload: Mapping[str, Any]) -> AsyncIterator[list[str]]:
        """Yield the paths that stand in the point, then the others, so many at a time."""
        yield listed(payload)
        async for paths in self.other_paths(name, payload):
            yield paths

    async def other_paths(self, name: str, payload: Mapping[str, Any]) -> AsyncIterator[list[str]]:
        """Yield the paths that do not stand in the point, so many at a time."""
        start: str | None = None
        while beside := list_name(payload):
            async with self._in(name) as at:
                page, start = await self._lists.page(
                    at, beside, limit=PATHS_AT_ONCE, start=start, without=listed(payload)
                )
            yield page
            if start is None:
                return

    async def paths_page(
        self, name: str, payload: Mapping[str, Any], *, limit: int, cursor: str | None = None
    ) -> tuple[list[str], str | None]:
        """Return a page of all paths, and the cursor of the next one (None: this was the last).

        Raises RequestError(422) for a cursor that no page ended with.
        """
        after, start = _place(cursor)
        held = sorted(set(listed(payload)))
        page = [] if after is None else [path for path in held if path > after]
        if len(page) > limit:
            return page[:limit], f"p{page[limit - 1]}"
        beside, room = list_name(payload), limit - len(page)
        if beside is None:
            return page, None
        if not room:
            return page, "l"
        async with self._in(name) as at:
            more, following = await self._lists.page(at, beside, limit=room, start=start, without=held)
        return page + more, following and f"l{following}"

    async def count_paths(self, name: str, payload: Mapping[str, Any]) -> int:
        """Count all paths."""
        held, beside = set(listed(payload)), list_name(payload)
        if beside is None:
            return len(held)
        async with self._in(name) as at:
            return len(held) + await self._lists.count(at, beside, without=list(held))

    async def has_path(self, name: str, payload: Mapping[str, Any], path: str) -> bool:
        """Tell whether the content has this path."""
        if path in listed(payload):
            return True
        if (beside := list_name(payload)) is None:
            return False
        async with self._in(name) as at:
            return await self._lists.has(at, beside, path)

    async def remove_other_path(self, name: str, payload: Mapping[str, Any], path: str) -> None:
        """Take a path off the list beside the point. In the point it stays: who changes that follows."""
        if beside := list_name(payload):
            async with self._in(name) as at:
                await self._lists.remove(at, beside, path)

    async def ends_of_others(self, name: str, payloads: Sequence[Mapping[str, Any]], ends: Sequence[str]) -> list[str]:
        """Return those of the `ends` (see `rules.paths.end_of`) that paths beside these points have."""
        lists = [beside for payload in payloads if (beside := list_name(payload))]
        if not lists:
            return []
        async with self._in(name) as at:
            return await self._lists.ends(at, lists, ends)


def _place(cursor: str | None) -> tuple[str | None, str | None]:
    """Return the path in the point after which to go on (None: behind all), and the entry of the list to go on from."""
    if not cursor:
        return "", None
    kind, place = cursor[0], cursor[1:]
    if kind == "p":
        return place, None
    if kind != "l":
        raise wrong_cursor()
    try:
        return None, str(uuid.UUID(place)) if place else None
    except ValueError as error:
        raise wrong_cursor() from error
