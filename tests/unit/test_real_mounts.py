"""Disks that are mounted, go away and misbehave, as the kernel has them. Needs root."""

import asyncio
import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from agents.hash.absence import Absence
from agents.leaving_out import Chosen
from agents.mounted import linked_at, links_elsewhere, mounted_at
from agents.scan.sources.watched_source import WatchedSource
from core.settings import Settings
from rules.departures import Guard, Seen
from rules.mounts import behind_links
from tests.unit.test_watched_source import until, watching
from topics.source import Source

pytestmark = pytest.mark.system


@contextmanager
def mounted(*how: str, at: Path) -> Iterator[None]:
    at.mkdir(parents=True, exist_ok=True)
    run = subprocess.run(["mount", *how, str(at)], capture_output=True, text=True, check=False)
    if run.returncode:
        pytest.skip(f"this machine does not let us mount: {run.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(at)], check=False, capture_output=True)


def tmpfs(at: Path) -> AbstractContextManager[None]:
    return mounted("-t", "tmpfs", f"disk-{uuid.uuid4().hex[:8]}", at=at)


@contextmanager
def disk(folder: Path, at: Path) -> Iterator[None]:
    """Mount a disk that is made in a folder when it is mounted for the first time."""
    image = folder / "disk.img"
    if not image.exists():
        folder.mkdir(parents=True)
        with image.open("wb") as file:
            file.truncate(4 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
    with mounted("-o", "loop", str(image), at=at):
        yield


def look(root: Path, *names: str, away: tuple[str, ...] = ()) -> Callable[[], list[Seen] | Guard]:
    """Return a look that is as of now: what is mounted is remembered."""
    folder = bytes(root)
    links = links_elsewhere([bytes(path) for path in root.iterdir() if path.is_symlink()], (), mounted_at(str(root)))
    absence = Absence(folder, None, Chosen(named=frozenset({folder})), mounted_at(str(root)), links=links, away=away)
    return lambda: absence.look([os.fsencode(root / name) for name in names])


def test_another_disk_with_the_device_of_the_first_is_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container, which sees devices and none of their names: `/dev/sdb1` is what was plugged in first."""
    monkeypatch.setattr("agents.mounted._UUIDS", tmp_path / "none")
    root, found = tmp_path / "photos", []
    for number in (1, 2, 1):
        with disk(tmp_path / f"disk-{number}", root):
            found.append(mounted_at(str(root)))
    assert found[0] == found[2] != found[1]


def test_a_disk_that_is_away_or_another_is_no_disk_whose_files_are_gone(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    with tmpfs(root):
        (root / "a.jpg").touch()
        then = look(root, "a.jpg", "b.jpg")
        assert then() == ["there", "gone"]
    assert "another mount" in str(then())
    with tmpfs(root):
        (root / "c.jpg").touch()
        assert "another mount" in str(then())


def test_a_disk_below_and_a_bind_mount_are_looked_at_too(tmp_path: Path) -> None:
    root, disk = tmp_path / "photos", tmp_path / "disk"
    (root / "below").mkdir(parents=True)
    disk.mkdir()
    (disk / "a.jpg").touch()
    with mounted("--bind", str(disk), at=root / "below"):
        then = look(root, "below/a.jpg")
        assert then() == ["there"]
    assert "another mount" in str(then())


def test_a_disk_of_a_loop_device_is_known_again(tmp_path: Path) -> None:
    root, image = tmp_path / "photos", tmp_path / "disk.img"
    with image.open("wb") as file:
        file.truncate(8 << 20)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    with mounted("-o", "loop", str(image), at=root):
        (root / "a.jpg").touch()
        then = look(root, "a.jpg")
    assert "another mount" in str(then())
    with mounted("-o", "loop", str(image), at=root):
        assert then() == ["there"]


def test_behind_a_link_a_disk_that_is_away_is_unread(tmp_path: Path) -> None:
    root, disk = tmp_path / "photos", tmp_path / "usb"
    root.mkdir()
    (root / "own.jpg").touch()
    (root / "usb").symlink_to(disk)
    with tmpfs(disk):
        (disk / "a.jpg").touch()
        then = look(root, "usb/a.jpg", "usb/b.jpg", "own.jpg")
        assert then() == ["there", "gone", "there"]
        known = links_elsewhere([bytes(root / "usb")], (), mounted_at(str(root)))
        assert [one.path for one in known] == [str(root / "usb")]
    # While it goes, all is void; a look that begins then knows that it is away.
    assert "leads elsewhere" in str(then())
    there = links_elsewhere([], known, mounted_at(str(root)))
    kept, away = behind_links(known, there)
    assert (kept, away) == (tuple(known), (str(root / "usb"),))
    assert look(root, "usb/a.jpg", "own.jpg", "none.jpg", away=away)() == ["unread", "there", "gone"]
    with tmpfs(disk):
        _, away = behind_links(known, links_elsewhere([], known, mounted_at(str(root))))
        assert away == (str(root / "usb"),)  # another disk
    # A link that leads elsewhere by its own word is another; one that is no more is none.
    (root / "usb").unlink()
    assert behind_links(known, links_elsewhere([], known, mounted_at(str(root)))) == ((), ())
    (root / "usb").symlink_to(tmp_path / "other")
    (tmp_path / "other").mkdir()
    assert behind_links(known, links_elsewhere([], known, mounted_at(str(root))))[1] == ()
    assert linked_at(str(root / "own.jpg")) is None


async def test_a_disk_that_comes_and_goes_is_watched_anew(tmp_path: Path) -> None:
    root, disk = tmp_path / "photos", tmp_path / "usb"
    root.mkdir()
    disk.mkdir()
    (root / "usb").symlink_to(disk)
    async with watching(root) as watched:
        with tmpfs(disk):
            (disk / "a.jpg").write_bytes(b"a")
            await until(lambda: watched.of.wants_whole, "the disk is seen")
            watched.begin()
            (disk / "b.jpg").write_bytes(b"b")
            assert await watched.news() == ["usb/b.jpg"]
        await until(lambda: watched.of.wants_whole, "it is seen that the disk is away")


async def test_what_others_may_change_unseen_is_looked_at_by_schedule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No network file system is at hand: the type of a real mount is taken for one.
    monkeypatch.setattr("rules.mounts._SHARED", frozenset({"tmpfs"}))
    root = tmp_path / "photos"
    with tmpfs(root):
        watched = WatchedSource(
            Source(name="s", folder=str(root), collection="c", watch=True), Settings(trust_kafka=True)
        )
        task = asyncio.create_task(watched.run())
        await until(lambda: watched.state is not None, "it is told")
        state = watched.state
        assert state is not None
        assert (state.state, state.every_seconds) == ("by_schedule", 300)
        assert f"{root} is on tmpfs" in (state.reason or "")
        task.cancel()
