"""Random lives of libraries: after the last sync each collection is what a fresh ingest of its folders gives.

The stages are the real ones, over topics in memory (tests.inside). A seed that fails fails alone, too: its story tells
what happened.
"""

import asyncio
import hashlib
import os
import random
from collections.abc import Callable, Coroutine, Iterable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from agents.hash.absence import Absence
from agents.hash.sweeping import Sweeper
from rules.departures import Guard, Seen
from tests.inside.darkroom import Darkroom, picture, running
from tests.inside.life import SOURCES, Life, confirmed
from topics.departure import Departed, Left

STEPS = 40


def seeds(fewer: int, all_of_them: int) -> list[Any]:
    """Return seeds; those beyond the first few are tried with the chaos suite, as each costs a second."""
    return [pytest.param(seed, marks=pytest.mark.chaos if seed >= fewer else ()) for seed in range(all_of_them)]


def live(seed: int, folder: Path, story: Callable[[Life, Darkroom], Coroutine[Any, Any, None]]) -> None:
    """Have a library live, and compare what is there at the end."""
    with running(seed, folder) as (runner, darkroom):
        life = Life(random.Random(seed), darkroom, folder / "photos", picture, darkroom.disks)
        try:
            runner.run(story(life, darkroom))
            runner.run(life.is_as_a_fresh_ingest_gives_it())
        except Exception as error:
            error.add_note("\n".join(life.story))
            raise


@pytest.mark.parametrize("seed", seeds(10, 20))
def test_a_library_ends_as_a_fresh_ingest_gives_it(seed: int, tmp_path: Path) -> None:
    async def story(life: Life, darkroom: Darkroom) -> None:
        await life.begin()
        for _ in range(STEPS):
            await life.go_on()
        await life.end()
        # A kill may cost a call that was under way.
        contents = life.contents()
        assert all(asked <= contents[int(pixels)] + darkroom.kills for pixels, asked in darkroom.ml.asked.items())

    live(seed, tmp_path, story)


@pytest.mark.parametrize("seed", seeds(6, 10))
def test_a_library_that_is_watched_ends_so_too(seed: int, tmp_path: Path) -> None:
    """Where only what has changed is looked at, and some is killed meanwhile."""

    async def story(life: Life, darkroom: Darkroom) -> None:
        await life.begin()
        life.stay()
        for name in SOURCES:
            await life.look_and_confirm(name)
        for step in range(STEPS // 2):
            before = {name: life.stamps(name) for name in SOURCES}
            life.change()
            if step % 4 == 0:
                life.change()
            for name in SOURCES:
                if life.happens(0.2):
                    await life.kill()
                await life.glance(name, before[name], darkroom.sync)
        await darkroom.at_rest()

    live(seed, tmp_path, story)


@pytest.mark.parametrize("seed", range(6))
def test_each_rendition_costs_one_call(seed: int, tmp_path: Path) -> None:
    """Where nothing is killed, and all is looked at between any two changes."""

    async def story(life: Life, darkroom: Darkroom) -> None:
        await life.begin()
        held: dict[Path, tuple[int, str]] = {}  # path → pixels and content, as they were last looked at
        known: set[str] = set()
        least = most = 0
        for _ in range(STEPS // 4):
            life.change()
            for name, (folder, _) in SOURCES.items():
                fresh: dict[str, set[bool]] = {}
                for path in life.pictures(folder):
                    content = path.read_bytes()
                    sha256, pixels = hashlib.sha256(content).hexdigest(), life.pixels(content)
                    if sha256 not in known:
                        fresh.setdefault(sha256, set()).add(path in held and held[path][0] == pixels)
                    held[path] = pixels, sha256
                known |= set(fresh)
                # A content that comes to one path as an edit, and to a new one as well, costs a call if that is first.
                least += sum(not any(edited) for edited in fresh.values())
                most += sum(not all(edited) for edited in fresh.values())
                await life.look_and_confirm(name)
        await darkroom.at_rest()
        assert least <= darkroom.ml.asked.total() <= most

    live(seed, tmp_path, story)


@pytest.mark.parametrize("seed", range(4))
def test_what_leaves_is_counted_exactly_whatever_is_killed(seed: int, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    (folder / "2023").mkdir(parents=True)
    numbers = count(1)

    def write(path: Path, pixels: int, metadata: int = 0) -> None:
        at = 1_600_000_000 + next(numbers)
        path.write_bytes(picture(pixels, metadata))
        os.utime(path, (at, at))

    for pixels, name in enumerate(("a", "b", "c", "d", "e", "f", "2023/g", "2023/h", "2023/i")):
        write(folder / f"{name}.jpg", pixels)
    with running(seed, tmp_path) as (runner, darkroom):
        chance = random.Random(seed)

        async def story() -> None:
            await darkroom.keep("home", folder, "home")
            await darkroom.settled(await darkroom.sync("home"))
            for name in "ab":
                (folder / f"{name}.jpg").unlink()
            (folder / "2023").rename(folder / "2024")
            write(folder / "c.jpg", 100)
            write(folder / "d.jpg", 3, 1)
            job_id = await darkroom.sync("home")
            for _ in range(chance.randint(1, 4)):
                await asyncio.sleep(chance.expovariate(1))
                await darkroom.kill()
            await confirmed(darkroom, job_id)
            removals = darkroom.status[job_id].removals
            assert removals is not None
            counts = (removals.moved, removals.gone, removals.replaced, removals.excluded)
            assert (removals.state, *counts) == ("removed", 3, 2, 2, 0)

        runner.run(story())


@pytest.mark.parametrize("seed", range(3))
def test_a_file_that_is_back_before_its_removal_is_carried_out_stays(seed: int, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    paths = [folder / name for name in ("a.jpg", "b.jpg")]
    for number, path in enumerate(paths):
        path.write_bytes(picture(number, 0))
        os.utime(path, (1_600_000_000, 1_600_000_000))
    with running(seed, tmp_path) as (runner, darkroom):

        async def story() -> None:
            await darkroom.keep("home", folder, "home")
            await darkroom.settled(await darkroom.sync("home"))
            paths[0].rename(tmp_path / "away.jpg")
            job_id = await darkroom.sync("home")
            while darkroom.removals(job_id) not in {"removing", "removed"}:
                await asyncio.sleep(0.001)
            # What has left does not come to prepare for a while.
            darkroom.kafka.withheld.add("image-outcome")
            await asyncio.sleep(5)
            (tmp_path / "away.jpg").rename(paths[0])
            again = await darkroom.sync("home")
            await asyncio.sleep(5)
            darkroom.kafka.withheld.clear()
            darkroom.kafka.wake()
            for one in (job_id, again):
                await darkroom.settled(one)
            await darkroom.at_rest()

        runner.run(story())
        shown = [path for one in darkroom.qdrant.live("home") for path in one.payload["paths"]]
        assert sorted(shown) == [str(path) for path in paths]


def a_folder(tmp_path: Path, names: Iterable[str]) -> Path:
    """Return a folder with a picture of each of these names."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, name in enumerate(names):
        (folder / f"{name}.jpg").write_bytes(picture(number, 0))
    return folder


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("many", [False, True])
def test_a_file_that_is_back_while_its_removal_is_told_leaves_when_it_is_gone_again(
    seed: int, many: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on unchanged, alone in its message or with others: its row says that the path holds it."""
    folder = a_folder(tmp_path, [f"{number:02d}" for number in range(60 if many else 3)])
    path, away = folder / "00.jpg", tmp_path / "away.jpg"
    again: list[str] = []
    send = Sweeper._send
    with running(seed, tmp_path) as (runner, darkroom):

        async def slowly(self: Sweeper, records: Sequence[Departed | Left]) -> None:
            await send(self, records)
            if not again and any(isinstance(one, Left) for one in records):
                away.rename(path)
                again.append(await darkroom.sync("home"))
                await asyncio.sleep(20)

        monkeypatch.setattr(Sweeper, "_send", slowly)

        def shown() -> list[str]:
            return [path for one in darkroom.qdrant.live("home") for path in one.payload["paths"]]

        async def story() -> None:
            await darkroom.keep("home", folder, "home")
            await darkroom.settled(await darkroom.sync("home"))
            path.rename(away)
            await darkroom.settled(await darkroom.sync("home"))
            await darkroom.settled(again[0])
            await darkroom.at_rest()
            assert str(path) in shown()
            path.unlink()
            await confirmed(darkroom, await darkroom.sync("home"))
            await darkroom.at_rest()
            assert str(path) not in shown()

        runner.run(story())


@pytest.mark.parametrize("repeated", ["scan-request", "raw-path"])
@pytest.mark.parametrize(("lost", "state"), [("b", "removed"), ("bde", "held")])
def test_a_look_that_is_repeated_behind_its_end_takes_nothing_from_the_next(
    repeated: str, lost: str, state: str, tmp_path: Path
) -> None:
    """As after a kill before its messages were acked: both find what has left meanwhile."""
    folder = a_folder(tmp_path, "abcde")
    with running(1, tmp_path) as (runner, darkroom):

        async def story() -> None:
            await darkroom.keep("home", folder, "home")
            first = await darkroom.sync("home")
            await darkroom.settled(first)
            (folder / "a.jpg").rename(folder / "moved.jpg")
            for name in lost:
                (folder / f"{name}.jpg").unlink()
            # What it finds is not counted before the other look has found it, too.
            darkroom.kafka.withheld.add("db-write")
            second = await darkroom.sync("home")
            await darkroom.until(lambda: darkroom.removals(second) == "counting", "what has left")
            await darkroom.deliver_again(repeated, first)
            await asyncio.sleep(5)
            darkroom.kafka.withheld.clear()
            darkroom.kafka.wake()
            await darkroom.settled(second)
            await darkroom.at_rest()
            removals = darkroom.status[second].removals
            assert removals is not None
            assert (removals.state, removals.moved, removals.gone) == (state, 1, len(lost))
            if darkroom.is_held(second):
                await darkroom.decide(second, "confirm")
                await darkroom.until_removed(second)

        runner.run(story())
        shown = [path for one in darkroom.qdrant.live("home") for path in one.payload["paths"]]
        assert sorted(shown) == sorted(
            str(folder / f"{name}.jpg") for name in {"b", "c", "d", "e", "moved"}.difference(lost)
        )


def test_a_look_that_has_ended_takes_nothing_in_when_its_request_is_repeated(tmp_path: Path) -> None:
    folder = a_folder(tmp_path, "abc")
    with running(1, tmp_path) as (runner, darkroom):

        async def story() -> None:
            await darkroom.keep("home", folder, "home")
            first = await darkroom.sync("home")
            await darkroom.settled(first)
            (folder / "a.jpg").rename(folder / "moved.jpg")
            (folder / "b.jpg").unlink()
            await darkroom.deliver_again("scan-request", first)
            await darkroom.at_rest()
            second = await darkroom.sync("home")
            await darkroom.settled(second)
            assert darkroom.status[first].total_files == 3
            # Where the other look had brought what was moved, it would be no move.
            removals = darkroom.status[second].removals
            assert removals is not None
            assert (removals.state, removals.moved, removals.gone) == ("removed", 1, 1)

        runner.run(story())


def test_the_disk_is_asked_of_what_the_walk_did_not_bring_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = a_folder(tmp_path, [f"{number:02d}" for number in range(60)])
    asked: list[str] = []
    look = Absence.look

    def noting(self: Absence, paths: Sequence[bytes]) -> list[Seen] | Guard:
        asked.extend(map(os.fsdecode, paths))
        return look(self, paths)

    monkeypatch.setattr(Absence, "look", noting)
    with running(1, tmp_path) as (runner, darkroom):

        async def story() -> None:
            await darkroom.keep("home", folder, "home")
            await darkroom.settled(await darkroom.sync("home"))
            await darkroom.settled(await darkroom.sync("home"))
            asked.clear()
            job_id = await darkroom.sync("home")
            await darkroom.settled(job_id)
            # What comes alone in its message is asked of.
            assert (darkroom.removals(job_id), len(asked) < 10) == ("none", True)
            asked.clear()
            (folder / "00.jpg").unlink()
            job_id = await darkroom.sync("home")
            await darkroom.settled(job_id)
            assert (darkroom.removals(job_id), str(folder / "00.jpg") in asked, len(asked) < 10) == (
                "removed",
                True,
                True,
            )

        runner.run(story())


def test_a_look_goes_by_what_a_person_has_seen_of_the_one_before(tmp_path: Path) -> None:
    """Who asks again as soon as it is shown that a question waits asks before the stages know of it."""
    folder = a_folder(tmp_path, [f"{number:02d}" for number in range(14)])
    with running(1, tmp_path) as (runner, darkroom):

        async def story() -> None:
            await darkroom.keep("home", folder, "home")
            await darkroom.settled(await darkroom.sync("home"))
            for number in range(12):
                (folder / f"{number:02d}.jpg").unlink()
            (folder / "12.jpg").rename(folder / "moved.jpg")
            darkroom.status_seconds = 3.0
            first = await darkroom.sync("home")
            await darkroom.until(lambda: darkroom.removals(first) == "held", "the question")
            second = await darkroom.sync("home")
            await darkroom.until(lambda: darkroom.removals(second) == "held", "the second question")
            removals = darkroom.status[second].removals
            assert removals is not None
            assert (removals.moved, removals.gone) == (1, 12)
            await darkroom.until(lambda: darkroom.removals(first) == "overtaken", "the first to be overtaken")

        runner.run(story())


def test_what_leaves_two_collections_at_once_leaves_both(tmp_path: Path) -> None:
    """As where the sources of a folder are watched."""
    folder = a_folder(tmp_path, "ab")
    with running(1, tmp_path) as (runner, darkroom):

        async def story() -> None:
            for name in ("home", "second"):
                await darkroom.keep(name, folder, name)
                await darkroom.settled(await darkroom.sync(name))
            (folder / "a.jpg").unlink()
            darkroom.kafka.withheld.add("db-write")
            looks = [await darkroom.sync(name) for name in ("home", "second")]
            await darkroom.until(lambda: all(darkroom.removals(one) == "counting" for one in looks), "what has left")
            darkroom.kafka.withheld.clear()
            darkroom.kafka.wake()
            for one in looks:
                await darkroom.settled(one)
            await darkroom.at_rest()

        runner.run(story())
        for name in ("home", "second"):
            assert [one.payload["paths"] for one in darkroom.qdrant.live(name)] == [[str(folder / "b.jpg")]]


def test_the_next_look_takes_over_what_nobody_has_answered_and_names_it(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    (folder / "kept").mkdir(parents=True)
    paths = [folder / f"{number}.jpg" for number in range(6)]
    for number, path in enumerate([*paths, folder / "kept" / "6.jpg"]):
        path.write_bytes(picture(number, 0))
    with running(1, tmp_path) as (runner, darkroom):

        async def story() -> None:
            await darkroom.keep("home", folder, "home")
            await darkroom.settled(await darkroom.sync("home"))
            for path in paths[:4]:
                path.unlink()
            paths[4].rename(folder / "renamed.jpg")
            first = await darkroom.sync("home")
            await darkroom.settled(first)
            part = await darkroom.sync("home", [str(folder / "kept")])
            await darkroom.settled(part)
            # It has seen a part alone.
            assert (darkroom.removals(first), darkroom.removals(part)) == ("held", "none")
            second = await darkroom.sync("home")
            await darkroom.settled(second)
            await darkroom.until(lambda: darkroom.removals(first) == "overtaken", "the end of the question")
            assert darkroom.removals(second) == "held"
            await darkroom.decide(first, "confirm")
            await darkroom.at_rest()
            assert darkroom.removals(first) == "overtaken"
            gone = [(str(path), "gone", None, True) for path in paths[:4]]
            moved = (str(paths[4]), "moved", str(folder / "renamed.jpg"), False)
            for job_id in (first, second):
                assert sorted(darkroom.named(job_id)) == sorted([*gone, moved])
            await darkroom.decide(second, "confirm")
            await darkroom.until_removed(second)

        runner.run(story())
        shown = [path for one in darkroom.qdrant.live("home") for path in one.payload["paths"]]
        assert sorted(shown) == sorted(map(str, [paths[5], folder / "renamed.jpg", folder / "kept" / "6.jpg"]))
