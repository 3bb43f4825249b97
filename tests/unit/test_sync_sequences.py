"""Random lives of libraries: after the last sync each collection is what a fresh ingest of its folders gives.

The stages are the real ones, over topics in memory (tests.inside). A seed that fails fails alone, too: its story tells
what happened.
"""

import hashlib
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from rules.payload import HISTORY, REVISION
from rules.search.lookup import WORDS
from tests.inside.darkroom import Darkroom, running
from tests.inside.life import COLLECTIONS, SOURCES, Life

STEPS = 40
ASIDE = {*HISTORY, REVISION, "read_at"}
OF_ITS_NAME = {"filename", "full_path", "name_key", WORDS}


def live(seed: int, folder: Path, story: Callable[[Life, Darkroom], Awaitable[None]]) -> None:
    """Have a library live, and compare what is there at the end."""
    with running(seed, folder / "data") as (runner, darkroom):
        life = Life(random.Random(seed), darkroom, folder / "photos")

        async def all_of_it() -> None:
            await story(life, darkroom)
            await life.take_in_anew()

        try:
            runner.run(all_of_it())
            for collection in COLLECTIONS:
                assert shown(darkroom, collection) == shown(darkroom, f"fresh-{collection}"), collection
        except Exception as error:
            error.add_note("\n".join(life.story))
            raise


def shown(darkroom: Darkroom, collection: str) -> dict[str, dict[str, Any]]:
    """Return what queries find, by the content. Of several paths it is chance which one names the picture."""
    return {
        point.payload["file_hash"]: {
            name: value
            for name, value in point.payload.items()
            if name not in ASIDE and (name not in OF_ITS_NAME or len(point.payload["paths"]) == 1)
        }
        for point in darkroom.qdrant.live(collection)
    }


@pytest.mark.parametrize("seed", range(20))
def test_a_library_ends_as_a_fresh_ingest_gives_it(seed: int, tmp_path: Path) -> None:
    async def story(life: Life, darkroom: Darkroom) -> None:
        await life.begin()
        for _ in range(STEPS):
            await life.go_on()
        await life.end()
        # A kill may cost a call that was under way.
        contents = life.contents()
        assert all(asked <= contents[pixels] + darkroom.kills for pixels, asked in darkroom.ml.asked.items())

    live(seed, tmp_path, story)


@pytest.mark.parametrize("seed", range(6))
def test_each_rendition_costs_one_call(seed: int, tmp_path: Path) -> None:
    """Where nothing is killed, and all is looked at between any two changes."""

    async def story(life: Life, darkroom: Darkroom) -> None:
        await life.begin()
        held: dict[Path, tuple[str, str]] = {}  # path → pixels and content, as they were last looked at
        known: set[str] = set()
        least = most = 0
        for _ in range(STEPS // 4):
            life.change()
            for name, (folder, _) in SOURCES.items():
                fresh: dict[str, set[bool]] = {}
                for path in life.pictures(folder):
                    content = path.read_bytes()
                    sha256, pixels = hashlib.sha256(content).hexdigest(), content.split()[1].decode()
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
