"""What is forgotten or purged goes for good, and nothing else does, whatever comes in between and is killed.

The stages are the real ones, over topics in memory (tests.inside). A seed that fails fails alone, too: its story tells
what happened.
"""

import asyncio
import hashlib
import os
import random
from pathlib import Path

import pytest

from tests.inside.darkroom import Darkroom, picture, running
from tests.inside.forgetting import ForgetfulLife
from tests.inside.life import confirmed

STEPS = 40
SECONDS = 30
"""By the time of the loop: within these a stage has done what it can."""


@pytest.mark.parametrize("seed", range(6))
def test_a_library_ends_as_a_fresh_ingest_gives_it_but_for_what_is_forgotten(seed: int, tmp_path: Path) -> None:
    with running(seed, tmp_path) as (runner, darkroom):
        life = ForgetfulLife(random.Random(seed), darkroom, tmp_path / "photos")

        async def story() -> None:
            await life.begin()
            for _ in range(STEPS):
                await life.go_on()
            await life.end()
            await life.is_as_a_fresh_ingest_gives_it()
            await life.nothing_is_left()
            contents, most = life.contents(), darkroom.kills + life.asked
            assert all(asked <= contents[int(pixels)] + most for pixels, asked in darkroom.ml.asked.items())

        try:
            runner.run(story())
        except Exception as error:
            error.add_note("\n".join(life.story))
            raise


@pytest.mark.parametrize("seed", range(3))
def test_what_is_being_read_as_its_path_is_forgotten_is_forgotten_too(seed: int, tmp_path: Path) -> None:
    path = a_picture(tmp_path)
    with running(seed, tmp_path) as (runner, darkroom):

        async def story() -> None:
            darkroom.kafka.withheld.add("raw-path")
            job_id = await darkroom.ingest(path.parent, "home")
            await asyncio.sleep(SECONDS)
            await darkroom.forget_path(path, "home")
            release(darkroom)
            await darkroom.settled(job_id)
            await darkroom.at_rest()

        runner.run(story())
        assert darkroom.forgotten("home") == {sha256_of(path)}
        assert darkroom.qdrant.stored["home"] == {}
        assert darkroom.rows("hash") == {}


@pytest.mark.parametrize("seed", range(4))
def test_a_kill_while_a_content_is_forgotten_leaves_no_path_behind(seed: int, tmp_path: Path) -> None:
    path = a_picture(tmp_path)
    with running(seed, tmp_path) as (runner, darkroom):

        async def story() -> None:
            await darkroom.settled(await darkroom.ingest(path.parent, "home"))
            await darkroom.at_rest()
            await darkroom.forget_content(sha256_of(path), "home")
            while not darkroom.forgotten("home"):
                await asyncio.sleep(0.0001)
            await darkroom.kill("prepare")
            await darkroom.at_rest()

        runner.run(story())
        assert darkroom.qdrant.stored["home"] == {}
        assert darkroom.rows("hash") == {}
        assert [key[:2] for key in darkroom.rows("prepare")] == [b"f|"]


@pytest.mark.parametrize("seed", range(2))
def test_what_is_to_be_taken_in_again_at_once_is_forgotten_whole_before(seed: int, tmp_path: Path) -> None:
    path = a_picture(tmp_path)
    path.with_name("stays.jpg").write_bytes(picture(2, 0))
    with running(seed, tmp_path) as (runner, darkroom):

        async def story() -> None:
            await darkroom.keep("home", path.parent, "home")
            await darkroom.settled(await darkroom.sync("home"))
            await darkroom.forget_content(sha256_of(path), "home")
            await darkroom.unforget(sha256_of(path), "home")
            await darkroom.at_rest()
            await take_away(path, darkroom)

        runner.run(story())
        assert [point.payload["filename"] for point in darkroom.qdrant.live("home")] == ["stays.jpg"]


@pytest.mark.parametrize("seed", range(2))
def test_a_kill_while_a_picture_is_purged_leaves_nothing_behind(seed: int, tmp_path: Path) -> None:
    path = a_picture(tmp_path)
    path.with_name("stays.jpg").write_bytes(picture(2, 0))
    with running(seed, tmp_path) as (runner, darkroom):

        async def story() -> None:
            await darkroom.keep("home", path.parent, "home")
            await darkroom.settled(await darkroom.sync("home"))
            await take_away(path, darkroom)
            # When Kafka has no message of it any more.
            await darkroom.purge(days=30)
            while len(darkroom.qdrant.stored["home"]) > 1:
                await asyncio.sleep(0.0001)
            await darkroom.kill("store")
            await darkroom.at_rest()

        runner.run(story())
        left = [key for key in darkroom.rows("prepare") if bytes(path) in key]
        assert left == []


@pytest.mark.parametrize("seed", range(4))
def test_what_comes_back_as_it_is_purged_is_known_for_what_it_is(seed: int, tmp_path: Path) -> None:
    """Whichever comes first: where it is stored, the next copy of it costs no call to ML."""
    path = a_picture(tmp_path)
    other = path.with_name("stays.jpg")
    other.write_bytes(picture(2, 0))
    with running(seed, tmp_path) as (runner, darkroom):

        async def story() -> None:
            await darkroom.keep("home", path.parent, "home")
            await darkroom.settled(await darkroom.sync("home"))
            away = await take_away(path, darkroom)
            away.rename(path)
            for name in "bcdef":
                # Others are on their way to store: so a file waits a moment for more of them.
                path.with_name(f"{name}.jpg").write_bytes(other.read_bytes())
            darkroom.kafka.withheld |= {"hashed-file", "image-outcome"}
            again = await darkroom.sync("home")
            await asyncio.sleep(SECONDS)
            assert await darkroom.purge() == 1
            release(darkroom)
            await darkroom.settled(again)
            await darkroom.at_rest()
            assert {point.payload["file_hash"] for point in darkroom.qdrant.live("home")} == {
                sha256_of(path),
                sha256_of(other),
            }
            asked = darkroom.ml.asked.total()
            await darkroom.settled(await darkroom.ingest(path.parent, "second"))
            assert darkroom.ml.asked.total() == asked

        runner.run(story())


def a_picture(folder: Path) -> Path:
    path = folder / "photos" / "a.jpg"
    path.parent.mkdir()
    path.write_bytes(picture(1, 0))
    os.utime(path, (1_600_000_000, 1_600_000_000))
    return path


async def take_away(path: Path, darkroom: Darkroom) -> Path:
    """Have a picture gone; return where its file is."""
    away = elsewhere(path)
    await confirmed(darkroom, await darkroom.sync("home"))
    await darkroom.at_rest()
    return away


def elsewhere(path: Path) -> Path:
    return path.rename(path.parents[1] / path.name)


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def release(darkroom: Darkroom) -> None:
    darkroom.kafka.withheld.clear()
    darkroom.kafka.wake()
