"""What else happens to a library: pictures of it are purged and forgotten, and a collection as a whole."""

import hashlib
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

from tables.fingerprints import read_row
from tests.inside.darkroom import Darkroom, picture
from tests.inside.life import COLLECTIONS, SOURCES, Life

ALBUM = "album"
"""A collection that is filled by plain ingests, and forgotten as a whole."""


class ForgetfulLife(Life):
    """A library, of which somebody wants to hear no more of some pictures.

    `asked`: how often something was asked that may cost ML calls for what was known before.
    """

    def __init__(self, chance: random.Random, darkroom: Darkroom, folder: Path) -> None:
        super().__init__(chance, darkroom, folder, picture, darkroom.disks)
        self._kept_by = darkroom
        # (collection, SHA-256) → whether it is forgotten, as was said last; None: that depends on what was known then.
        self._words: dict[tuple[str, str], bool | None] = {}
        self.asked = 0

    async def go_on(self) -> None:
        """Have something happen."""
        if not self.happens(0.3):
            await super().go_on()
            return
        happens: Callable[[], Awaitable[None]] = self._chance.choices(
            [self.purge, self.forget, self.unforget, self.forget_path, self.forget_source, self.album],
            [4, 3, 2, 2, 1, 1],
        )[0]
        self.story.append(happens.__name__)
        self.asked += 1
        # What is forgotten leaves also where its disk is away.
        self._there.clear()
        await happens()

    async def purge(self) -> None:
        """Have purged what is gone just now."""
        self.story[-1] += f" {await self._kept_by.purge()}"

    async def forget(self) -> None:
        """Have a content forgotten, in one collection or in all that know of it."""
        sha256 = self._some_content()
        collection = self._chance.choice((*COLLECTIONS, None))
        self._said(sha256, collection, True if collection is not None else None)
        await self._kept_by.forget_content(sha256, collection)

    async def unforget(self) -> None:
        """Have a content taken in again."""
        sha256 = self._some_content()
        collection = self._chance.choice((*COLLECTIONS, None))
        self._said(sha256, collection, False)
        await self._kept_by.unforget(sha256, collection)

    async def forget_path(self) -> None:
        """Have forgotten what a path was taken in with."""
        path, collection = self._one(), self._chance.choice((*COLLECTIONS, None))
        if path is None:
            return
        names = COLLECTIONS if collection is None else (collection,)
        shown: set[tuple[str, str]] = set()
        if self.happens(0.5):
            await self._settled()
            shown = {
                (name, payload["file_hash"])
                for name in names
                for payload in await self._kept_by.live(name)
                if str(path) in payload["paths"]
            }
        for name in names:
            for sha256 in self._contents():
                self._words[name, sha256] = True if (name, sha256) in shown else self._unless_forgotten(name, sha256)
        self.story[-1] += f" {path} {collection} {[*shown]}"
        await self._kept_by.forget_path(path, collection)

    async def forget_source(self) -> None:
        """Have forgotten what a source alone holds; then it is there again."""
        await self._settled()
        name = self._chance.choice([*SOURCES])
        self.story[-1] += f" {name}"
        for sha256 in self._contents():
            self._words[SOURCES[name][1], sha256] = self._unless_forgotten(SOURCES[name][1], sha256)
        await self._kept_by.forget_source(name)
        if self.happens(0.5):
            await self._kept_by.at_rest()
        await self._keep(name)

    async def album(self) -> None:
        """Take a folder in, and have the collection forgotten that it is in."""
        job_id = await self._kept_by.ingest(self._folder / self._chance.choice(("one", "two")), ALBUM)
        await self._kept_by.settled(job_id)
        await self._kept_by.forget_collection(ALBUM)

    async def is_as_a_fresh_ingest_gives_it(self) -> None:
        """Compare, without what is forgotten; and look for what was to go and has not."""
        self._is_forgotten_as_was_said()
        await super().is_as_a_fresh_ingest_gives_it()

    async def nothing_is_left(self) -> None:
        """Purge all that is gone, and look for what nobody needs."""
        await self._kept_by.purge()
        await self._kept_by.at_rest()
        rows, stored = self._kept_by.rows("prepare"), self._kept_by.qdrant.stored
        there = {name: {point.payload["file_hash"] for point in points.values()} for name, points in stored.items()}
        assert not [point for points in stored.values() for point in points.values() if not point.payload["paths"]]
        for collection in COLLECTIONS:
            assert not there[collection] & self.forgotten(collection), f"It is forgotten in {collection}, and there."
        known = {key.split(b"|")[1].decode() for key in rows if key.startswith((b"i|", b"c|"))}
        other = known ^ set().union(*there.values())
        assert not other, f"It is known and not stored, or stored and not known: {other}"
        paths = {tuple(key.decode().split("|", 4)[n] for n in (3, 1, 4)) for key in rows if key.startswith(b"p|")}
        shown = {
            (name, point.payload["file_hash"], path)
            for name, points in stored.items()
            for point in points.values()
            for path in point.payload["paths"]
        }
        assert not paths ^ shown, f"It is known and not shown, or shown and not known: {paths ^ shown}"
        held = {
            (one.collection, one.sha256)
            for row in self._kept_by.rows("hash").values()
            if row.startswith(b"{")
            for one in read_row(row).held
        }
        assert ALBUM not in {collection for collection, _ in held}

    def forgotten(self, collection: str) -> set[str]:
        """Return the contents that a collection is to be without."""
        return self._kept_by.forgotten(collection)

    def _is_forgotten_as_was_said(self) -> None:
        for collection in COLLECTIONS:
            are_so = self._kept_by.forgotten(collection)
            for sha256 in self._contents():
                said = self._words.get((collection, sha256), False)
                assert said is None or said == (sha256 in are_so), f"{sha256} in {collection}: {said} was said"

    def _said(self, sha256: str, collection: str | None, word: bool | None) -> None:
        for name in COLLECTIONS if collection is None else (collection,):
            self._words[name, sha256] = self._unless_forgotten(name, sha256) if word is None else word
        self.story[-1] += f" {sha256[:8]} {collection}"

    def _unless_forgotten(self, collection: str, sha256: str) -> bool | None:
        return self._words.get((collection, sha256), False) or None

    def _contents(self) -> list[str]:
        return [hashlib.sha256(held).hexdigest() for held in self._holds]

    def _some_content(self) -> str:
        return self._chance.choice(self._contents())
