"""What happens to a library: files and folders come, move, change and go, and so do disks, patterns and processes."""

import os
import random
import shutil
import unicodedata
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path

from tests.inside.darkroom import STAGES, Darkroom, picture

NAMES = ("a.jpg", "b.jpg", "B.jpg", "d\u00e9.jpg", "d\u0065\u0301.jpg", "x.txt")
FOLDERS = ("", "2023", "2023/may", "2024", "drafts")
CONTENTS = 6
# Sources, with the folders that they keep and the collections that these are kept in: they overlap in all ways.
SOURCES = {
    "all": ("one", "home"),
    "part": ("one/2023", "home"),
    "other": ("two", "home"),
    "again": ("one", "second"),
}
COLLECTIONS = ("home", "second")
PATTERNS: tuple[tuple[str, ...], ...] = ((), ("drafts/",), ("b.jpg",))


class Life:
    """A library below a folder, and what happens to it. `chance` decides."""

    def __init__(self, chance: random.Random, darkroom: Darkroom, folder: Path) -> None:
        self._chance = chance
        self._darkroom = darkroom
        self._folder = folder
        self._times = count(1_600_000_000)
        self._trash: list[tuple[Path, bytes]] = []
        self._away: dict[Path, Path] = {}
        self._there: dict[Path, set[tuple[str, str, str]]] = {}
        self.ingested = False
        self._written: set[bytes] = set()
        self.jobs: list[str] = []
        self.exclude: dict[str, tuple[str, ...]] = dict.fromkeys(SOURCES, ())
        self.story: list[str] = []
        for root in ("one", "two"):
            for name in FOLDERS:
                (folder / root / name).mkdir(parents=True, exist_ok=True)

    async def begin(self) -> None:
        """Have a few pictures, and all sources."""
        for number in range(self._chance.randint(1, 5)):
            self._write(self._somewhere(), picture(number))
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

    def create(self) -> None:
        self._write(self._somewhere(), picture(self._chance.randrange(CONTENTS)))

    def copy(self) -> None:
        if (path := self._one()) is not None:
            self._write(self._somewhere(), path.read_bytes())

    def move(self) -> None:
        if (path := self._one()) is not None:
            to = self._somewhere()
            to.parent.mkdir(parents=True, exist_ok=True)
            path.replace(to)
            self.story[-1] += f" {path} {to}"

    def rename_folder(self) -> None:
        folders = sorted(path for path in self._folder.glob("*/**") if path.is_dir() and path.parent != self._folder)
        if folders:
            path = self._chance.choice(folders)
            to = path.with_name(self._chance.choice(("2023", "2024", "drafts", "Drafts", "moved")))
            if not to.exists():
                path.rename(to)
                self.story[-1] += f" {path} {to}"

    def change_case(self) -> None:
        if (path := self._one()) is not None:
            path.replace(path.with_name(path.name.swapcase()))

    def change_form(self) -> None:
        if (path := self._one()) is not None:
            composed, apart = (unicodedata.normalize("NFC", path.name), unicodedata.normalize("NFD", path.name))
            path.replace(path.with_name(composed if path.name == apart else apart))

    def edit(self) -> None:
        if (path := self._one()) is not None:
            self._write(path, picture(self._chance.randrange(CONTENTS)))

    def edit_metadata(self) -> None:
        if (path := self._one()) is not None:
            pixels = path.read_bytes().split()[1]
            self._write(path, picture(int(pixels), self._chance.randrange(3)))

    def delete(self) -> None:
        if (path := self._one()) is not None:
            self._trash.append((path, path.read_bytes()))
            path.unlink()
            self.story[-1] += f" {path}"

    def delete_folder(self) -> None:
        folders = sorted(path for path in self._folder.glob("*/*") if path.is_dir())
        if folders:
            path = self._chance.choice(folders)
            self._trash += [(one, one.read_bytes()) for one in sorted(path.rglob("*")) if one.is_file()]
            shutil.rmtree(path)
            self.story[-1] += f" {path}"

    def restore(self) -> None:
        if self._trash:
            path, held = self._trash.pop()
            if (
                self._folder in path.parents
                and not path.is_dir()
                and not any(one in self._away for one in path.parents)
            ):
                self._write(path, held)

    def touch(self) -> None:
        if (path := self._one()) is not None:
            self._stamp(path)

    async def take_away(self) -> None:
        """Have a disk go: its folder is missing, or empty, or another disk is there."""
        root = self._folder / self._chance.choice(("one", "two"))
        if root in self._away:
            return
        if self._chance.random() < 0.5:
            await self._settled()
            self._there[root] = self._shown(root)
        how = self._chance.choice(("missing", "empty", "other") if self._knows_its_disks else ("missing", "empty"))
        self.story[-1] += f" {root} {how}"
        if how == "other":
            self._darkroom.disks[str(root)] = "/dev/sdb1"
            self._darkroom.disks[str(root / "2023")] = "/dev/sdb1"
        to = root.with_name(f"{root.name}-away")
        root.rename(to)
        self._away[root] = to
        if how != "missing":
            root.mkdir()
        if how == "other":
            self._write(root / "z.jpg", picture(0))

    def bring_back(self) -> None:
        """Have all disks back. Nothing that was on them has left meanwhile."""
        for root in self._away:
            lost = self._there.pop(root, set()) - self._shown(root)
            assert not lost, f"It was on a disk that was away, and has left: {lost}"
        for root, at in self._away.items():
            if root.exists():
                shutil.rmtree(root)
            at.rename(root)
        self._away.clear()
        self._darkroom.disks.clear()

    async def change_patterns(self) -> None:
        name = self._chance.choice([*SOURCES])
        self.exclude[name] = self._chance.choice(PATTERNS)
        self.story[-1] += f" {name} {self.exclude[name]}"
        await self._keep(name)

    async def ingest(self) -> None:
        """Take a folder in for good: what it holds is no more excluded. Its files are as they are now."""
        self.ingested = True
        self.jobs.append(await self._darkroom.ingest(self._folder / "two", "home"))

    async def look(self) -> None:
        name = self._chance.choice([*SOURCES])
        self.jobs.append(await self._darkroom.sync(name))
        self.story[-1] += f" {self.jobs[-1]}"

    async def wait(self) -> None:
        if self.jobs:
            await self._darkroom.settled(self.jobs[-1])

    async def kill(self) -> None:
        await self._darkroom.kill(self._chance.choice(STAGES))

    async def decide(self) -> None:
        for job_id in self.jobs:
            if self._darkroom.is_held(job_id):
                await self._darkroom.decide(job_id, self._chance.choice(("confirm", "keep")))

    async def end(self) -> None:
        """Have all disks there, and all sources looked at, and removed what is held."""
        self.bring_back()
        await self._settled()
        if self.ingested:
            await self._darkroom.settled(await self._darkroom.ingest(self._folder / "two", "home"))
        for name in SOURCES:
            (self._folder / SOURCES[name][0]).mkdir(parents=True, exist_ok=True)
            for root in ("one/2023", "one", "two"):
                self._write(self._folder / root / "stays.jpg", picture(100))
        for name in SOURCES:
            await self.look_and_confirm(name)
        await self._darkroom.at_rest()

    async def look_and_confirm(self, name: str) -> None:
        """Have a source looked at, and removed what is held."""
        job_id = await self._darkroom.sync(name)
        await self._darkroom.settled(job_id)
        if self._darkroom.is_held(job_id):
            await self._darkroom.decide(job_id, "confirm")
            await self._darkroom.until_removed(job_id)

    def contents(self) -> Counter[str]:
        """Return of how many contents there ever were each rendition was."""
        return Counter(held.split()[1].decode() for held in self._written)

    def pictures(self, folder: str) -> list[Path]:
        """Return the pictures below a folder."""
        below = [path for path in self._files() if self._folder / folder in path.parents]
        return [path for path in below if path.suffix.lower() != ".txt"]

    async def take_in_anew(self) -> None:
        """Take all into empty collections, as it is now."""
        for name, (folder, collection) in SOURCES.items():
            await self._take_in_anew(folder, collection, self.exclude[name])
        if self.ingested:
            await self._take_in_anew("two", "home", ())
        await self._darkroom.at_rest()

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

    def _shown(self, root: Path) -> set[tuple[str, str, str]]:
        """Return what of a folder is in the collections: collection, content and path."""
        return {
            (collection, point.id, path)
            for collection in COLLECTIONS
            for point in self._darkroom.qdrant.live(collection)
            for path in point.payload["paths"]
            if root in Path(path).parents
        }

    def _files(self) -> list[Path]:
        here = [self._folder / root for root in ("one", "two")]
        return sorted(path for root in here if root not in self._away for path in root.rglob("*") if path.is_file())

    def _one(self) -> Path | None:
        files = self._files()
        return self._chance.choice(files) if files else None

    def _somewhere(self) -> Path:
        root = self._chance.choice(
            [one for one in ("one", "one", "two") if self._folder / one not in self._away] or ["three"]
        )
        return self._folder / root / self._chance.choice(FOLDERS) / self._chance.choice(NAMES)

    def _write(self, path: Path, held: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(held)
        self._written.add(held)
        self._stamp(path)
        if self.story:
            self.story[-1] += f" {path} {held.decode()}"

    def _stamp(self, path: Path) -> None:
        at = next(self._times)
        os.utime(path, (at, at))
