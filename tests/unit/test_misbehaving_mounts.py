"""Folders of a network that give errors and stale answers, as the kernel has them: unread, never gone. Needs root."""

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.leaving_out import ignore_file
from agents.patience import Signs, answered
from agents.scan.sources.watched_source import WatchedSource
from agents.scan.walking import Found, Refused, walk
from core.errors import FileError
from core.settings import Settings
from rules.departures import Guard
from tests.deadlines import HANG_SECONDS
from tests.inside.darkroom import Darkroom, picture, running
from tests.misbehaving import HANGS, Misbehaving, misbehaving
from tests.unit.test_real_mounts import look
from tests.unit.test_watched_source import until
from topics.job_status import JobStatus
from topics.source import Source

pytestmark = pytest.mark.system

ERRORS = ["ESTALE", "EIO", "ETIMEDOUT", "EACCES", "ENOTCONN", "EHOSTDOWN"]
ALL = ("a.jpg", "b.jpg", "c.jpg", "sub/d.jpg", "sub/below/e.jpg")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Misbehaving]:
    folder = tmp_path_factory.mktemp("misbehaving")
    for name in ALL:
        path = folder / "behind" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    with misbehaving(folder / "behind", folder / "photos") as shown:
        yield shown


@pytest.fixture
def disk(served: Misbehaving) -> Misbehaving:
    served.fails({})
    return served


def found(disk: Misbehaving) -> set[str]:
    return {
        os.fsdecode(os.path.relpath(one.path, bytes(disk.at))) for one in walk(bytes(disk.at)) if type(one) is Found
    }


def failed(disk: Misbehaving) -> dict[str, str]:
    refused = [one for one in walk(bytes(disk.at)) if isinstance(one, Refused)]
    assert {one.outcome for one in refused} <= {"failed"}
    return {os.fsdecode(os.path.relpath(one.path, bytes(disk.at))): one.reason for one in refused}


def test_what_is_gone_is_gone_and_what_is_there_is_there(disk: Misbehaving) -> None:
    assert look(disk.at, *ALL, "x.jpg", "sub/x.jpg", "none/x.jpg", "a.jpg/x.jpg")() == ["there"] * 5 + ["gone"] * 4
    assert found(disk) == set(ALL)


@pytest.mark.parametrize("error", ERRORS)
def test_a_folder_whose_listing_fails_is_unread(disk: Misbehaving, error: str) -> None:
    disk.fails({("enter", "sub"): error})
    assert look(disk.at, *ALL, "sub/x.jpg", "x.jpg")() == ["there"] * 3 + ["unread", "there", "unread", "gone"]
    disk.fails({("list", "sub"): error})
    assert look(disk.at, *ALL, "sub/x.jpg", "x.jpg")() == ["there"] * 3 + ["unread", "there", "unread", "gone"]
    assert found(disk) == {"a.jpg", "b.jpg", "c.jpg"}
    assert set(failed(disk)) == {"sub"}


@pytest.mark.parametrize("error", ERRORS)
def test_a_listing_that_fails_in_the_middle_is_unread(disk: Misbehaving, error: str) -> None:
    as_ever = look(disk.at, *ALL, "x.jpg")
    disk.fails({("list-late", ""): error})
    assert as_ever() == ["unread"] * 3 + ["there"] * 2 + ["unread"]
    assert "a.jpg" in found(disk)
    assert set(failed(disk)) == {"."}


@pytest.mark.parametrize("error", ERRORS)
def test_a_file_that_cannot_be_looked_at_is_unread(disk: Misbehaving, error: str) -> None:
    disk.fails({("look", "a.jpg"): error, ("hide", "a.jpg"): "too", ("look", "sub/below"): error})
    assert look(disk.at, *ALL, "x.jpg")() == ["unread", "there", "there", "there", "unread", "gone"]
    assert found(disk) == {"b.jpg", "c.jpg", "sub/d.jpg"}
    assert set(failed(disk)) == {"sub/below"}


def test_a_stale_listing_is_unread(disk: Misbehaving) -> None:
    disk.fails({("hide", name): "stale" for name in ("a.jpg", "sub/d.jpg", "sub/below")})
    assert look(disk.at, *ALL, "x.jpg")() == ["unread", "there", "there", "unread", "there", "gone"]


def test_a_name_that_differs_in_case_or_form_alone_is_another(disk: Misbehaving) -> None:
    named = {"B.JPG": "b.jpg", "sub/caf\u00e9.jpg": "sub/cafe\u0301.jpg"}
    (disk.behind / "sub" / "cafe\u0301.jpg").touch()
    disk.fails({("named", name): f"/{other}" for name, other in named.items()})
    assert look(disk.at, *named, *named.values())() == ["gone"] * 2 + ["there"] * 2
    (disk.behind / "sub" / "cafe\u0301.jpg").unlink()


def test_a_folder_that_takes_the_place_of_a_file_is_none(disk: Misbehaving) -> None:
    (disk.behind / "link").symlink_to("sub")
    try:
        assert look(disk.at, "sub", "link")() == ["gone", "gone"]
    finally:
        (disk.behind / "link").unlink()


def test_a_folder_that_is_said_to_be_missing_and_is_there_is_unread(disk: Misbehaving) -> None:
    disk.fails({("enter", "sub"): "ENOENT"})
    assert look(disk.at, "a.jpg", "sub/d.jpg", "sub/x.jpg")() == ["there", "unread", "unread"]
    # The C library takes this one for the end of the listing.
    disk.fails({("list", "sub"): "ENOENT"})
    assert look(disk.at, "a.jpg", "sub/d.jpg", "sub/x.jpg")() == ["there", "unread", "gone"]


@pytest.mark.parametrize("error", ERRORS)
def test_of_a_root_that_cannot_be_read_nothing_is_said(disk: Misbehaving, error: str) -> None:
    as_ever = look(disk.at, *ALL)
    disk.fails({("list", ""): error})
    assert f"{disk.at} cannot be read" in str(as_ever())
    assert set(failed(disk)) == {"."}
    disk.fails({("look", ""): error})
    assert f"{disk.at} cannot be read" in str(as_ever())
    assert set(failed(disk)) == {"."}


def test_of_a_root_that_is_listed_as_empty_nothing_is_said(disk: Misbehaving) -> None:
    disk.fails({("hide", name): "stale" for name in ("a.jpg", "b.jpg", "c.jpg", "sub")})
    assert look(disk.at, *ALL)() == Guard("empty", f"{disk.at} is empty")


@pytest.mark.parametrize("error", ERRORS)
def test_where_an_ignore_file_cannot_be_read_nothing_is_taken_in(disk: Misbehaving, error: str) -> None:
    disk.fails({("look", "sub/.darkroomignore"): error})
    with pytest.raises(FileError):
        ignore_file(bytes(disk.at / "sub"), None)
    assert found(disk) == {"a.jpg", "b.jpg", "c.jpg"}
    assert set(failed(disk)) == {"sub"}
    assert look(disk.at, *ALL)() == ["there"] * 3 + ["unread"] * 2
    disk.fails({("look", "sub/.nomedia"): error})
    assert found(disk) == {"a.jpg", "b.jpg", "c.jpg"}
    assert look(disk.at, *ALL)() == ["there"] * 3 + ["unread"] * 2


async def test_it_is_looked_at_by_schedule(disk: Misbehaving) -> None:
    source = Source(name="s", folder=str(disk.at), collection="c", watch=True)
    watched = WatchedSource(source, Settings(trust_kafka=True))
    task = asyncio.create_task(watched.run())
    await until(lambda: watched.state is not None, "it is told")
    task.cancel()
    state = watched.state
    assert state is not None
    assert (state.state, state.every_seconds) == ("by_schedule", 300)
    assert f"{disk.at} is on fuse" in (state.reason or "")


def test_a_disk_that_is_disconnected_is_no_disk_whose_files_are_gone(tmp_path: Path) -> None:
    (tmp_path / "behind").mkdir()
    (tmp_path / "behind" / "a.jpg").touch()
    with misbehaving(tmp_path / "behind", tmp_path / "photos") as disk:
        as_ever = look(disk.at, "a.jpg")
        assert as_ever() == ["there"]
        disk.disconnect()
        assert "not connected" in str(as_ever())
        assert "not connected" in failed(disk)["."]


async def test_a_disk_that_hangs_is_given_up_and_what_goes_on_is_waited_for(disk: Misbehaving) -> None:
    """However many hang, others are looked at: each has a thread of its own."""
    disk.fails({("look", "sub/d.jpg"): HANGS})
    hang = [asyncio.create_task(answered("photos", 0.1, os.lstat, disk.at / "sub" / "d.jpg")) for _ in range(8)]
    for task in hang:
        with pytest.raises(FileError, match="photos does not answer"):
            await task
    # In another folder: of names of one folder the kernel may ask one after the other.
    assert (await answered("photos", HANG_SECONDS, os.lstat, disk.at / "b.jpg")).st_size == 5
    # Long work that shows signs of life is waited for.
    signs = Signs()

    def walk_slowly() -> str:
        for _ in range(10):
            time.sleep(0.05)
            signs.note()
        return "done"

    assert await answered("photos", 0.3, walk_slowly, signs=signs) == "done"


def test_a_library_whose_disk_fails_or_hangs_keeps_all(disk: Misbehaving, tmp_path: Path) -> None:
    """Through all stages: a walk and its sweep, and the removal after a yes."""
    for number, name in enumerate(ALL):
        (disk.behind / name).write_bytes(picture(number, 0))

    async def story(darkroom: Darkroom) -> None:
        async def look() -> JobStatus:
            return await darkroom.settled(await darkroom.sync("s"))

        async def live() -> set[str]:
            await darkroom.at_rest()
            return {path for payload in await darkroom.live("c") for path in payload["paths"]}

        everything = {str(disk.at / name) for name in ALL}
        await darkroom.keep("s", disk.at, "c")
        await look()
        assert await live() == everything
        for fails in (
            {("list", "sub"): "ESTALE", ("hide", "a.jpg"): "stale"},
            {("list-late", ""): "EIO"},
            {("enter", "sub"): "ENOENT", ("look", "b.jpg"): "ETIMEDOUT", ("hide", "b.jpg"): "too"},
            {("look", ""): "ENOTCONN"},
        ):
            disk.fails(fails)  # type: ignore[arg-type] # of several kinds
            await look()
            assert await live() == everything, fails
        # What is really gone waits for a yes; the disk fails behind that.
        disk.fails({})
        for name in ("a.jpg", "b.jpg", "c.jpg"):
            (disk.behind / name).unlink()
        job = await darkroom.sync("s")
        await darkroom.until(lambda: darkroom.is_held(job), "a question")
        disk.fails({("look", name): "EIO" for name in ("a.jpg", "b.jpg", "c.jpg")})
        await darkroom.decide(job, "confirm")
        await darkroom.until_removed(job)
        assert await live() == everything
        disk.fails({})
        job = await darkroom.sync("s")
        await darkroom.until(lambda: darkroom.is_held(job), "a question")
        await darkroom.decide(job, "confirm")
        await darkroom.until_removed(job)
        assert await live() == {str(disk.at / name) for name in ALL[3:]}

    with running(1, tmp_path) as (runner, darkroom):
        runner.run(story(darkroom))
    for name in ALL:
        (disk.behind / name).write_bytes(name.encode())
