"""What happens to a library: files and folders come, move, change and go, and so do disks, patterns and processes."""

import random
import shutil
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from rules.payload import HISTORY, REVISION
from rules.search.lookup import WORDS
from tests.inside.files import STAYS, Files

# Sources, with the folders that they keep and the collections that these are kept in: they overlap in all ways.
SOURCES = {
    "all": ("one", "home"),
    "part": ("one/2023", "home"),
    "other": ("two", "home"),
    "again": ("one", "second"),
}
COLLECTIONS = ("home", "second")
ASIDE = {*HISTORY, REVISION, "read_at"}
OF_ITS_NAME = {"filename", "full_path", "name_key", WORDS}
PATTERNS: tuple[tuple[str, ...], ...] = ((), ("drafts/",), ("b.jpg",))


class Keeps(Protocol):
    """What a library needs of a Darkroom."""

    async def keep(self, name: str, folder: Path, collection: str, exclude: Sequence[str] = ()) -> None: ...
    async def sync(self, name: str) -> str: ...
    async def ingest(self, folder: Path, collection: str, exclude: Sequence[str] = ()) -> str: ...
    async def decide(self, job_id: str, word: Literal["confirm", "keep"]) -> None: ...
    def is_held(self, job_id: str) -> bool: ...
    async def settled(self, job_id: str) -> object: ...
    async def until_removed(self, job_id: str) -> None: ...
    async def at_rest(self) -> None: ...
    async def kill(self) -> None: ...
    async def live(self, collection: str) -> list[dict[str, Any]]: ...


async def confirmed(darkroom: Keeps, job_id: str) -> None:
    """Wait until it is known what leaves by a look, and have removed what is held."""
    await darkroom.settled(job_id)
    if darkroom.is_held(job_id):
        await darkroom.decide(job_id, "confirm")
        await darkroom.until_removed(job_id)


class Life(Files):
    """A library, and what happens to it. `disks`: what folders are on, where that may change."""

    def __init__(
        self,
        chance: random.Random,
        darkroom: Keeps,
        folder: Path,
        picture: Callable[[int, int], bytes],
        disks: dict[str, str] | None = None,
    ) -> None:
        super().__init__(chance, folder, picture)
        self._darkroom = darkroom
        self._disks = disks
        self._knows_its_disks = False
        self._there: dict[Path, set[tuple[str, str, str]]] = {}  # root whose disk is away → what was shown of it
        self._has_ingested = False
        self.jobs: list[str] = []
        self.exclude: dict[str, tuple[str, ...]] = dict.fromkeys(SOURCES, ())

    async def begin(self) -> None:
        """Have a few pictures, and all sources."""
        for _ in range(self._chance.randint(1, 5)):
            self.create()
        for name in SOURCES:
            await self._keep(name)
        # At its first look a source takes what it is on for right.
        self._knows_its_disks = self._chance.random() < 0.5
        if self._knows_its_disks:
            for name in SOURCES:
                await self._darkroom.settled(await self._darkroom.sync(name))

    def change(self) -> None:
        """Have a file change."""
        happens = self._chance.choice(
            [self.create, self.copy, self.move, self.rename_folder, self.change_case, self.edit, self.edit_metadata,
             self.delete, self.restore, self.touch]
        )  # fmt: skip
        self.story.append(happens.__name__)
        happens()

    async def go_on(self) -> None:
        """Have something happen."""
        happens: Callable[[], Awaitable[None] | None] = self._chance.choices(
            [
                self.create, self.copy, self.move, self.rename_folder, self.change_case, self.change_form, self.edit,
                self.edit_metadata, self.delete, self.delete_folder, self.restore, self.touch, self.take_away,
                self.bring_back, self.change_patterns, self.ingest, self.look, self.wait, self.kill, self.decide,
            ],
            [3, 3, 5, 2, 2, 2, 3, 2, 4, 1, 2, 1, 1, 1, 1, 1, 8, 5, 3, 1],
        )[0]  # fmt: skip
        self.story.append(happens.__name__)
        told = happens()
        if told is not None:
            await told

    async def take_away(self) -> None:
        """Have a disk go: its folder is missing, or empty, or another disk is there."""
        root = self._folder / self._chance.choice(("one", "two"))
        if root in self.away:
            return
        if self._chance.random() < 0.5:
            await self._settled()
            self._there[root] = await self._shown(root)
        may_be_another = self._disks is not None and self._knows_its_disks
        how = self._chance.choice(("missing", "empty", "other") if may_be_another else ("missing", "empty"))
        self.story[-1] += f" {root} {how}"
        if how == "other" and self._disks is not None:
            self._disks |= {str(root): "/dev/sdb1", str(root / "2023"): "/dev/sdb1"}
        to = root.with_name(f"{root.name}-away")
        root.rename(to)
        self.away[root] = to
        if how != "missing":
            root.mkdir()
        if how == "other":
            self._write(root / "z.jpg", self._new())

    async def bring_back(self) -> None:
        """Have all disks back. Nothing that was on them has left meanwhile."""
        for root in self.away:
            lost = self._there.pop(root, set()) - await self._shown(root)
            assert not lost, f"It was on a disk that was away, and has left: {lost}"
        for root, at in self.away.items():
            if root.exists():
                shutil.rmtree(root)
            at.rename(root)
        self.away.clear()
        if self._disks is not None:
            self._disks.clear()

    async def change_patterns(self) -> None:
        name = self._chance.choice([*SOURCES])
        self.exclude[name] = self._chance.choice(PATTERNS)
        self.story[-1] += f" {name} {self.exclude[name]}"
        await self._keep(name)

    async def ingest(self) -> None:
        """Take a folder in for good: what it holds is no more excluded. Its files are as they are now."""
        self._has_ingested = True
        self.jobs.append(await self._darkroom.ingest(self._folder / "two", "home"))

    async def look(self) -> None:
        name = self._chance.choice([*SOURCES])
        self.jobs.append(await self._darkroom.sync(name))
        self.story[-1] += f" {self.jobs[-1]}"

    def stamps(self, name: str) -> dict[Path, int]:
        """Return the files of a source, and when each was changed."""
        folder = self._folder / SOURCES[name][0]
        return {path: path.stat().st_mtime_ns for path in self._files() if folder in path.parents}

    async def glance(
        self, name: str, before: dict[Path, int], sync: Callable[[str, Sequence[str]], Awaitable[str]]
    ) -> None:
        """Have looked at what has changed in a source since then, as a watcher does: at paths or their folders."""
        root, after = self._folder / SOURCES[name][0], self.stamps(name)
        touched = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
        if touched and self._chance.random() < 0.3:
            touched = sorted({path.parent for path in touched})
        if touched:
            job_id = await sync(name, [str(path) for path in touched])
            self.story[-1] += f" {job_id} below {root}: {[*map(str, touched)]}"
            await confirmed(self._darkroom, job_id)

    async def wait(self) -> None:
        if self.jobs:
            await self._darkroom.settled(self.jobs[-1])

    async def kill(self) -> None:
        await self._darkroom.kill()

    async def decide(self) -> None:
        for job_id in self.jobs:
            if self._darkroom.is_held(job_id):
                await self._darkroom.decide(job_id, self._chance.choice(("confirm", "keep")))

    async def end(self) -> None:
        """Have all disks there, and all sources looked at, and removed what is held."""
        await self.bring_back()
        await self._settled()
        if self._has_ingested:
            await self._darkroom.settled(await self._darkroom.ingest(self._folder / "two", "home"))
        for name in SOURCES:
            (self._folder / SOURCES[name][0]).mkdir(parents=True, exist_ok=True)
        self.stay()
        for name in SOURCES:
            await self.look_and_confirm(name)
        await self._darkroom.at_rest()

    def stay(self) -> None:
        """Have a picture in the folder of each source: of an empty one nothing is said to be gone."""
        for root in ("one/2023", "one", "two"):
            self._write(self._folder / root / "stays.jpg", self._made(STAYS))

    def happens(self, probability: float) -> bool:
        """Decide by chance."""
        return self._chance.random() < probability

    async def look_and_confirm(self, name: str) -> None:
        """Have a source looked at, and removed what is held."""
        await confirmed(self._darkroom, await self._darkroom.sync(name))

    async def is_as_a_fresh_ingest_gives_it(self) -> None:
        """Take all into empty collections, as it is now, and compare."""
        for name, (folder, collection) in SOURCES.items():
            await self._take_in_anew(folder, collection, self.exclude[name])
        if self._has_ingested:
            await self._take_in_anew("two", "home", ())
        await self._darkroom.at_rest()
        for collection in COLLECTIONS:
            found = _by_content(await self._darkroom.live(collection))
            fresh = _by_content(await self._darkroom.live(f"fresh-{collection}"))
            assert found == {one: fresh[one] for one in fresh if one not in self.forgotten(collection)}, collection

    def forgotten(self, _collection: str) -> set[str]:
        """Return the contents that a collection is to be without."""
        return set()

    async def _take_in_anew(self, folder: str, collection: str, exclude: tuple[str, ...]) -> None:
        job_id = await self._darkroom.ingest(self._folder / folder, f"fresh-{collection}", exclude)
        await self._darkroom.settled(job_id)

    async def _keep(self, name: str) -> None:
        folder, collection = SOURCES[name]
        await self._darkroom.keep(name, self._folder / folder, collection, self.exclude[name])

    async def _settled(self) -> None:
        for job_id in self.jobs:
            await self._darkroom.settled(job_id)
        await self._darkroom.at_rest()

    async def _shown(self, root: Path) -> set[tuple[str, str, str]]:
        """Return what of a folder is in the collections: collection, content and path."""
        return {
            (collection, payload["file_hash"], path)
            for collection in COLLECTIONS
            for payload in await self._darkroom.live(collection)
            for path in payload["paths"]
            if root in Path(path).parents
        }


def _by_content(payloads: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return what queries find, by the content. Of several paths it is chance which one names the picture."""
    return {
        payload["file_hash"]: {
            name: value
            for name, value in payload.items()
            if name not in ASIDE and (name not in OF_ITS_NAME or len(payload["paths"]) == 1)
        }
        for payload in payloads
    }
