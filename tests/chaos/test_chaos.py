"""Random kills of every kind of process in the middle of a job: the account is exact, and each content is one point.

`DARKROOM_CHAOS_SEED` runs a failure again; the seed is printed.
"""

import asyncio
import os
import random
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args

import pytest

from gateways.qdrant import Qdrant
from settings import Stage
from tests import pictures
from tests.bus import Bus
from tests.chaos.plant import Plant
from tests.pipeline import TOPICS, Pipeline, account

# The stage whose uncommitted work shows that a kill of a service hits work in flight.
FED_BY: dict[str, Stage] = {"qdrant": "store", "ml": "embed", "api": "track", "decode": "prepare", "kafka": "prepare"}


class Chaos:
    """Kills one part after the other, each while it has uncommitted work."""

    def __init__(self, plant: Plant, choose: random.Random) -> None:
        self._plant = plant
        self._choose = choose
        self.log: list[str] = []

    async def run(self, victims: list[str], pause: tuple[float, float]) -> None:
        for victim in victims:
            await asyncio.sleep(self._choose.uniform(*pause))
            await self._strike(victim)

    async def _strike(self, victim: str) -> None:
        stage: Stage = FED_BY.get(victim, victim)  # type: ignore[arg-type]
        lag = await self._work_for(stage)
        if victim == "decode":
            while not self._plant.kill_a_decode_process(self._choose):
                await asyncio.sleep(0.1)
        elif victim == "freeze-kafka":
            await self._plant.freeze("kafka", 30)
        elif victim in get_args(Stage):
            candidates = [name for name in self._plant.workers if stage in name.split(",")]
            await self._plant.kill(self._choose.choice(candidates))
        else:
            await self._plant.kill(victim)
        self.log.append(f"{victim}: {lag} messages uncommitted before {stage}")

    async def _work_for(self, stage: Stage) -> int:
        """Wait until a stage has work that is not committed. `scan` has its request for as long as it walks."""
        async with asyncio.timeout(90):
            while True:
                try:
                    if lag := await self._plant.lag(stage):
                        return lag
                except Exception as error:
                    self.log.append(f"asked again: {type(error).__name__}")
                await asyncio.sleep(0.1)


async def survive(folder: Path, *, photos: int, victims: list[str], pause: tuple[float, float], seconds: float) -> None:
    seed = int(os.environ.get("DARKROOM_CHAOS_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"DARKROOM_CHAOS_SEED={seed}")  # noqa: T201 - shown when the test fails
    choose = random.Random(seed)
    choose.shuffle(victims)
    album = folder / "photos"
    copies, broken = photos // 10, photos // 20
    pictures.write(album, range(seed, seed + photos))
    for number in range(copies):
        (album / f"copy-{number}.jpg").write_bytes(pictures.jpeg(seed + choose.randrange(photos)))
    for number in range(broken):
        (album / f"broken-{number}.jpg").write_bytes(b"no picture %d %d" % (seed, number))
    contents = {sha256(path.read_bytes()).hexdigest() for path in album.glob("photo-*.jpg")}

    plant = Plant(folder, worker_for_each_stage=photos > 1000)
    async with plant.running(), Bus(plant.brokers, *TOPICS) as bus, Qdrant(plant.qdrant_url, timeout=60) as store:
        pipeline = Pipeline(bus, store, plant.part("ml"))
        job_id = await pipeline.scan(album, collection="chaos")
        chaos = Chaos(plant, choose)
        striking = asyncio.create_task(chaos.run(victims, pause))
        status = account(await bus.finished(job_id, seconds))
        print("\n".join(chaos.log))  # noqa: T201
        assert striking.done(), f"the job ended before all kills: {chaos.log}"
        await striking
        await judge(pipeline, job_id, status, contents, copies, broken)
        sent = status["ml_images_sent"]
        print(f"{sent} images sent to ML for {len(contents)} contents: {sent - len(contents)} twice")  # noqa: T201


async def judge(
    pipeline: Pipeline, job_id: str, status: dict[str, Any], contents: set[str], copies: int, broken: int
) -> None:
    """Hold the outcomes against the files, the points against the contents, the dead letters against the failures."""
    outcomes = status["outcomes"]
    assert status["total_files"] == len(contents) + copies + broken
    assert outcomes["stored"] + outcomes["cached"] == len(contents)
    assert outcomes["duplicate"] == copies
    assert outcomes["failed"] == broken
    points = await pipeline.points("chaos")
    assert {point["file_hash"] for point in points.values()} == contents
    assert await pipeline.qdrant.count("chaos") == len(contents)
    assert len(points) == len(contents) + copies
    letters = {value["path"] for value in pipeline.bus.values("dead-letter", job_id=job_id)}
    assert len(letters) == broken


@pytest.mark.timeout(200)
async def test_a_short_chaos(tmp_path: Path) -> None:
    victims = ["prepare", "decode", "store", "ml", "qdrant", "track"]
    await survive(tmp_path, photos=300, victims=victims, pause=(0.2, 1.0), seconds=150)


@pytest.mark.chaos
@pytest.mark.timeout(1700)
async def test_a_long_chaos(tmp_path: Path) -> None:
    kinds = ["scan", "hash", "prepare", "embed", "store", "track", "decode", "api", "qdrant", "ml", "kafka"]
    victims = [*kinds, *kinds, "freeze-kafka"]
    await survive(tmp_path, photos=1740, victims=victims, pause=(0.5, 3.0), seconds=1500)
