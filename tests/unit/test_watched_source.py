"""A source that is watched, by the system's own word: what becomes of what people and programs do in its folder."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from agents.scan.sources.nets import Net
from agents.scan.sources.watched_source import WatchedSource
from agents.scan.walking import Found, walk
from core.settings import Settings
from rules.watching import QUIET_SECONDS
from tests.deadlines import HANG_SECONDS
from topics.source import Source


async def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + HANG_SECONDS
    while not condition():
        assert time.monotonic() < end, what
        await asyncio.sleep(0.02)


def named_in_bytes(folder: Path, name: bytes) -> Path:
    return Path(os.fsdecode(bytes(folder) + b"/" + name))


def move(source: Path, target: Path) -> None:
    source.rename(target)


class Watched:
    """A source that is watched, whose first look is made."""

    def __init__(self, folder: Path, **wanted: Any) -> None:
        source = Source(name="s", folder=str(folder), collection="c", watch=True, **wanted)
        self.folder = folder
        self.of = WatchedSource(source, Settings(trust_kafka=True))

    async def begun(self) -> None:
        await until(lambda: self.of.wants_whole, "the watcher begins")
        self.begin()

    def begin(self) -> None:
        """Look at the whole, as is wanted."""
        self.of.wants_whole = False
        self.look([self.folder])

    def look(self, places: list[Path]) -> None:
        """Do what a walk does with the watcher."""
        told = self.of.walk()
        for place in places:
            told.without_changing([one for one in walk(bytes(place)) if isinstance(one, Found)])
        if places == [self.folder]:
            told.is_whole()

    async def news(self) -> list[str]:
        """Return the next news, below the folder; the walk takes them in."""
        found: list[str] = []

        async def look() -> None:
            while not (found or self.of.wants_whole):
                found.extend(await self.of.news())
                await asyncio.sleep(0.02)

        await asyncio.wait_for(look(), HANG_SECONDS)
        if self.of.wants_whole:
            self.begin()
            return ["."]
        return self.taken(found)

    def taken(self, found: list[str]) -> list[str]:
        self.look([Path(path) for path in found if os.path.lexists(path)])
        return sorted(os.path.relpath(path, self.folder) for path in found)

    async def nothing(self) -> None:
        """See that what was done until now is no news: something else that is done behind it is."""
        mark = self.folder / "mark.jpg"
        mark.write_bytes(os.urandom(8))
        assert await self.news() == ["mark.jpg"]

    @property
    def folders(self) -> int:
        return 0 if self.of.state is None else self.of.state.folders


@contextlib.asynccontextmanager
async def watching(folder: Path, **wanted: Any) -> AsyncIterator[Watched]:
    watched = Watched(folder, **wanted)
    task = asyncio.create_task(watched.of.run())
    try:
        await watched.begun()
        yield watched
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "2023" / "spring").mkdir(parents=True)
    for name in ("a.jpg", "b.jpg", "2023/c.jpg", "2023/spring/d.jpg"):
        (folder / name).write_bytes(name.encode())
    return folder


@pytest.fixture
async def watched(photos: Path) -> AsyncIterator[Watched]:
    async with watching(photos) as running:
        yield running


async def test_what_comes_changes_moves_and_goes_is_news(watched: Watched, photos: Path) -> None:
    assert watched.folders == 3
    (photos / "new.jpg").write_bytes(b"new")
    assert await watched.news() == ["new.jpg"]
    (photos / "a.jpg").write_bytes(b"edited")
    assert await watched.news() == ["a.jpg"]
    (photos / "a.jpg").rename(photos / "2023" / "a.jpg")
    assert await watched.news() == ["2023/a.jpg", "a.jpg"]
    (photos / "b.jpg").unlink()
    assert await watched.news() == ["b.jpg"]


async def test_what_is_nothing_new_is_no_news(watched: Watched, photos: Path) -> None:
    (photos / "notes.txt").write_text("notes")
    (photos / "a.jpg").chmod(0o600)
    (photos / "temporary.jpg").write_bytes(b"for a moment")
    (photos / "temporary.jpg").unlink()
    (photos / "notes.txt").unlink()
    (photos / "empty").mkdir()
    (photos / "empty" / "below").mkdir()
    (photos / "a.jpg").read_bytes()
    await watched.nothing()
    (photos / "empty" / "below").rmdir()
    (photos / "2023").chmod(0o755)
    await watched.nothing()


async def test_folders_come_move_and_go_whole(watched: Watched, photos: Path, tmp_path: Path) -> None:
    (photos / "2023").rename(tmp_path / "2023")
    assert await watched.news() == ["2023"]
    assert watched.folders == 1
    (tmp_path / "2023").rename(photos / "2024")
    assert await watched.news() == ["2024/c.jpg", "2024/spring/d.jpg"]
    (photos / "2024").rename(photos / "2025")
    assert await watched.news() == ["2024", "2025/c.jpg", "2025/spring/d.jpg"]
    # Below a folder that has moved, too, all is told by its new path.
    (photos / "2025" / "spring" / "e.jpg").write_bytes(b"e")
    assert await watched.news() == ["2025/spring/e.jpg"]
    assert watched.folders == 3


async def test_a_folder_that_is_deleted_and_made_again_is_watched(watched: Watched, photos: Path) -> None:
    for number in range(3):
        (photos / "2023" / "spring" / "d.jpg").unlink()
        (photos / "2023" / "spring").rmdir()
        (photos / "2023" / "spring").mkdir()
        (photos / "2023" / "spring" / "d.jpg").write_bytes(b"%d" % number)
        assert "2023/spring/d.jpg" in await watched.news()
    (photos / "2023" / "spring" / "x.jpg").write_bytes(b"x")
    assert await watched.news() == ["2023/spring/x.jpg"]


async def test_many_that_come_are_one_look_at_their_folder(watched: Watched, photos: Path) -> None:
    for number in range(3000):
        (photos / "2023" / f"{number}.jpg").write_bytes(b"%d" % number)
    assert await watched.news() == ["2023"]
    await watched.nothing()


async def test_what_is_left_out_is_not_watched(photos: Path) -> None:
    for name in ("private", "@eaDir", ".git", "dull"):
        (photos / name / "below").mkdir(parents=True)
    (photos / "dull" / ".nomedia").touch()
    async with watching(photos, exclude=["private/"]) as watched:
        assert watched.folders == 3
        for name in ("private", "@eaDir", ".git", "dull"):
            (photos / name / "below" / "x.jpg").write_bytes(b"x")
        (photos / ".trash").mkdir()
        (photos / ".trash" / "x.jpg").write_bytes(b"x")
        await watched.nothing()
        assert watched.folders == 3
        # Who takes the word back has it watched.
        (photos / "dull" / ".nomedia").unlink()
        (photos / ".darkroomignore").write_text("2023/\n")
        assert await watched.news() == ["."]
        await until(lambda: watched.folders == 3, "2023 is left, dull and its folder have come")


async def test_a_copy_that_pauses_is_one_version(watched: Watched, photos: Path) -> None:
    with (photos / "copy.jpg").open("wb") as copy:
        copy.write(b"first half")
        copy.flush()
        await asyncio.sleep(2 * QUIET_SECONDS)  # the pause itself: what is tried
        await watched.nothing()
        copy.write(b"second half")
    assert await watched.news() == ["copy.jpg"]
    await watched.nothing()


async def test_a_program_that_writes_beside_and_renames_is_one_version(watched: Watched, photos: Path) -> None:
    beside = photos / ".a.jpg.Xk2"
    beside.write_bytes(b"edited")
    os.utime(beside, ns=(1, 1))
    beside.rename(photos / "a.jpg")
    assert await watched.news() == ["a.jpg"]
    await watched.nothing()


async def test_a_walk_leaves_what_is_written_to_for_its_own_look(watched: Watched, photos: Path) -> None:
    with (photos / "copy.jpg").open("wb") as copy:
        copy.write(b"first half")
        copy.flush()
        await until(lambda: len(watched.of.walk().changes) > 0, "the watcher knows of the copy")
        found = [one for one in walk(bytes(photos)) if isinstance(one, Found)]
        still = watched.of.walk().without_changing([*found])
        assert {one.path for one in found} - {one.path for one in still} == {bytes(photos / "copy.jpg")}
        copy.write(b"second half")
    assert await watched.news() == ["copy.jpg"]


async def test_behind_links_all_is_told_by_each_path(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "disk" / "below").mkdir(parents=True)
    (photos / "one").symlink_to(tmp_path / "disk")
    (photos / "two").symlink_to(tmp_path / "disk")
    (photos / "loop").symlink_to(photos)
    async with watching(photos) as watched:
        assert watched.folders == 5
        (tmp_path / "disk" / "x.jpg").write_bytes(b"x")
        assert await watched.news() == ["one/x.jpg", "two/x.jpg"]
        # The path by which it is watched goes, the other stays.
        (photos / "one").unlink()
        (photos / "two").unlink()
        assert await watched.news() == ["one", "two"]
        (photos / "two").symlink_to(tmp_path / "disk")
        assert await watched.news() == ["two/x.jpg"]
        (tmp_path / "disk" / "below" / "y.jpg").write_bytes(b"y")
        assert await watched.news() == ["two/below/y.jpg"]


async def test_a_name_that_is_no_text_has_the_whole_looked_at(watched: Watched, photos: Path) -> None:
    named_in_bytes(photos, b"\xff.jpg").write_bytes(b"x")
    assert await watched.news() == ["."]
    (photos / "new.jpg").write_bytes(b"new")
    assert await watched.news() == ["new.jpg"]


async def test_folders_whose_names_are_no_text_are_told_of(photos: Path) -> None:
    named_in_bytes(photos, b"\xff").mkdir()
    async with watching(photos) as watched:
        state = watched.of.state
        assert state is not None
        assert (state.state, state.folders, state.every_seconds) == ("watching", 3, 300)
        assert "no text" in (state.reason or "")


async def test_a_walk_that_a_kill_repeats_is_not_the_look_at_the_start(photos: Path) -> None:
    watched = Watched(photos)
    task = asyncio.create_task(watched.of.run())
    await until(lambda: watched.of.wants_whole, "the watcher begins")
    watched.look([photos])
    assert watched.of.wants_whole
    task.cancel()


async def test_a_folder_that_is_not_there_is_said_and_waited_for(photos: Path) -> None:
    move(photos, photos.parent / "away")
    watched = Watched(photos)
    task = asyncio.create_task(watched.of.run())
    await until(lambda: watched.of.state is not None, "it is told")
    assert watched.of.state is not None
    assert watched.of.state.state == "not_possible"
    assert str(photos) in (watched.of.state.reason or "")
    move(photos.parent / "away", photos)
    await until(lambda: watched.of.wants_whole, "it is watched, and looked at")
    await until(lambda: watched.folders == 3, "it is watched as a whole")
    task.cancel()


async def test_a_system_that_allows_too_few_watches_is_told_what_to_allow(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The limit is the whole machine's: what the kernel says at it, as it was seen, is given by hand.
    def refuse(*_: object, **__: object) -> None:
        raise OSError('OS file watch limit reached. about ["/x"] (Error { kind: MaxFilesWatch, paths: ["/x"] })')

    monkeypatch.setattr("agents.scan.sources.nets.RustNotify", refuse)
    watched = Watched(photos)
    task = asyncio.create_task(watched.of.run())
    await until(lambda: watched.of.state is not None, "it is told")
    state = watched.of.state
    assert state is not None
    assert (state.state, state.every_seconds) == ("by_schedule", 300)
    assert "sysctl fs.inotify.max_user_watches=" in (state.reason or "")
    task.cancel()


def test_a_net_ends_when_it_is_closed(photos: Path) -> None:
    from queue import SimpleQueue

    net = Net([str(photos)], SimpleQueue())
    net.close()
    net._thread.join(HANG_SECONDS)
    assert not net._thread.is_alive()
