"""The files of a library, and what happens to them."""

import os
import random
import shutil
import unicodedata
from collections import Counter
from collections.abc import Callable
from itertools import count
from pathlib import Path

NAMES = ("a.jpg", "b.jpg", "B.jpg", "d\u00e9.jpg", "d\u0065\u0301.jpg", "x.txt")
FOLDERS = ("", "2023", "2023/may", "2024", "drafts")
PIXELS = range(6)
METADATA = range(3)
STAYS = 100
"""Pixels of a picture that no other file has."""


class Files:
    """Files below a folder. `chance` decides; `picture` makes what one holds, of pixels and metadata.

    `away`: the roots whose disks are away, and where these are meanwhile. `story`: what has happened.
    """

    def __init__(self, chance: random.Random, folder: Path, picture: Callable[[int, int], bytes]) -> None:
        self._chance = chance
        self._folder = folder
        self._picture = picture
        self._times = count(1_600_000_000)
        self._trash: list[tuple[Path, bytes]] = []
        self._holds: dict[bytes, int] = {}  # what files held ever → its pixels
        self.away: dict[Path, Path] = {}
        self.story: list[str] = []
        for root in ("one", "two"):
            for name in FOLDERS:
                (folder / root / name).mkdir(parents=True, exist_ok=True)

    def create(self) -> None:
        self._write(self._somewhere(), self._new())

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
            self._write(path, self._new())

    def edit_metadata(self) -> None:
        if (path := self._one()) is not None:
            pixels = self.pixels(path.read_bytes())
            self._write(path, self._made(pixels, self._chance.choice(METADATA)))

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
            if self._folder in path.parents and not path.is_dir() and not any(one in self.away for one in path.parents):
                self._write(path, held)

    def touch(self) -> None:
        if (path := self._one()) is not None:
            self._stamp(path)

    def contents(self) -> Counter[int]:
        """Return how many contents of the same pixels there ever were."""
        return Counter(self._holds.values())

    def pixels(self, held: bytes) -> int:
        """Return the pixels of what a file holds."""
        return self._holds[held]

    def pictures(self, folder: str) -> list[Path]:
        """Return the pictures below a folder."""
        below = [path for path in self._files() if self._folder / folder in path.parents]
        return [path for path in below if path.suffix.lower() != ".txt"]

    def _files(self) -> list[Path]:
        here = [self._folder / root for root in ("one", "two")]
        return sorted(path for root in here if root not in self.away for path in root.rglob("*") if path.is_file())

    def _one(self) -> Path | None:
        files = self._files()
        return self._chance.choice(files) if files else None

    def _somewhere(self) -> Path:
        root = self._chance.choice(
            [one for one in ("one", "one", "two") if self._folder / one not in self.away] or ["three"]
        )
        return self._folder / root / self._chance.choice(FOLDERS) / self._chance.choice(NAMES)

    def _write(self, path: Path, held: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(held)
        self._stamp(path)
        if self.story:
            self.story[-1] += f" {path} pixels {self.pixels(held)}"

    def _stamp(self, path: Path) -> None:
        at = next(self._times)
        os.utime(path, (at, at))

    def _new(self) -> bytes:
        return self._made(self._chance.choice(PIXELS))

    def _made(self, pixels: int, metadata: int = 0) -> bytes:
        held = self._picture(pixels, metadata)
        self._holds[held] = pixels
        return held
