"""Random kills of every kind of process in the middle of a job: the account is exact, and each content is one point.

`DARKROOM_CHAOS_SEED` runs a failure again; the seed is printed, and so is what each kill hit.
"""

import asyncio
import os
import random
import time
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args

import pytest

from core.settings import STAGES, Stage
from gateways.qdrant import Qdrant
from tests import pictures
from tests.bus import Bus
from tests.chaos.plant import Plant
from tests.pipeline import Pipeline, account

# The stage whose uncommitted work shows that a kill of a service hits work in flight.
FED_BY: dict[str, Stage] = {
    "qdrant": "store", "ml": "embed", "api": "track", "decode": "prepare", "kafka": "embed", "freeze-kafka": "embed",
}  # fmt: skip
# While a walk is under way; the later kinds find work until the end of the job.
EARLY = {"scan", "hash"}
WORK_SECONDS = 200
FREEZE_SECONDS = 30


class Chaos:
    """Kills one part after the other, each while it has uncommitted work."""

    def __init__(self, plant: Plant, choose: random.Random) -> None:
        self._plant = plant
        self._choose = choose
        self._began = time.monotonic()
        self.log: list[str] = []
        # Strikes that may cost ML what was in flight: on itself, on an embed stage, or on the broker, whose
        # absence takes their partitions from all stages. Any other may cost it nothing.
        self.ml_strikes = 0

    async def run(self, victims: list[str], pause: tuple[float, float]) -> None:
        """Strike each in turn, then let ML be quick."""
        for victim in victims:
            await asyncio.sleep(self._choose.uniform(*pause))
            await self._strike(victim)
        await self._plant.slow_ml(0)

    async def _strike(self, victim: str) -> None:
        stage: Stage = FED_BY.get(victim, victim)  # type: ignore[arg-type]
        name = victim
        if victim in get_args(Stage):
            name, lag = await self._busy_worker(stage)
        else:
            lag = await self._work_for(stage)
        if victim == "decode":
            while (pid := self._plant.kill_a_decode_process(self._choose)) is None:
                await asyncio.sleep(0.05)
        elif victim == "freeze-kafka":
            pid = self._plant.pid("kafka")
            await self._plant.freeze("kafka", FREEZE_SECONDS)
        else:
            pid = self._plant.pid(name)
            await self._plant.kill(name)
        self.ml_strikes += victim in {"ml", "kafka", "freeze-kafka"} or self._plant.runs(name, "embed")
        self._note(f"{victim}: process {pid} ({name}) with {lag} uncommitted messages before {stage}")

    async def _busy_worker(self, stage: Stage) -> tuple[str, int]:
        """Wait until a worker has uncommitted work for a stage; return its name and how many messages that is."""
        async with asyncio.timeout(WORK_SECONDS):
            while True:
                try:
                    lags = await self._plant.lag_of_workers(stage)
                except Exception as error:
                    self._note(f"asked again: {error!r}")
                else:
                    if busy := [name for name, lag in lags.items() if lag]:
                        name = self._choose.choice(busy)
                        return name, lags[name]
                await asyncio.sleep(0.2)

    async def _work_for(self, stage: Stage) -> int:
        """Wait until a stage has work that is not committed. `scan` has its request for as long as it walks."""
        async with asyncio.timeout(WORK_SECONDS):
            while True:
                try:
                    if lag := await self._plant.lag(stage):
                        return lag
                except Exception as error:
                    self._note(f"asked again: {error!r}")
                await asyncio.sleep(0.2)

    def _note(self, line: str) -> None:
        self.log.append(f"{time.monotonic() - self._began:6.1f} s  {line}")
        print(self.log[-1], flush=True)  # noqa: T201


async def survive(folder: Path, *, photos: int, victims: list[str], pause: tuple[float, float], seconds: float) -> None:
    seed = int(os.environ.get("DARKROOM_CHAOS_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"DARKROOM_CHAOS_SEED={seed}")  # noqa: T201 - shown when the test fails
    choose = random.Random(seed)
    victims.sort(key=lambda victim: choose.random() * (0.5 if victim in EARLY else 1))
    album = folder / "photos"
    copies, broken = photos // 10, photos // 20
    pictures.write(album, range(seed, seed + photos))
    for number in range(copies):
        (album / f"copy-{number}.jpg").write_bytes(pictures.jpeg(seed + choose.randrange(photos)))
    for number in range(broken):
        (album / f"broken-{number}.jpg").write_bytes(b"no picture %d %d" % (seed, number))
    contents = {sha256(path.read_bytes()).hexdigest() for path in album.glob("photo-*.jpg")}

    is_long = photos > 1000
    plant = Plant(folder, worker_for_each_stage=is_long, ml_seconds_per_image=1.0 if is_long else 0.1)
    async with (
        plant.running(),
        Bus(plant.brokers, "job-status", "dead-letter") as bus,
        Qdrant(plant.qdrant_url, timeout=60) as store,
    ):
        pipeline = Pipeline(bus, store, plant.part("ml"))
        job_id = await pipeline.scan(album, collection="chaos")
        chaos = Chaos(plant, choose)
        striking = asyncio.create_task(chaos.run(victims, pause))
        await bus.until(striking.done, f"all kills: {victims}", seconds)
        await striking
        status = account(await bus.finished(job_id, seconds))
        await judge(pipeline, job_id, status, contents, copies, broken)
        sent = plant.sent_to_ml()
        again = sent.total() - len(sent)
        # A worker that gave up without the broker is as good as killed.
        strikes = chaos.ml_strikes + sum(plant.runs(name, "embed") for name in plant.gave_up)
        told = (
            f"{sent.total()} images sent to ML for {len(sent)} contents: {again} again, {strikes} strikes on its work"
        )
        print(told)  # noqa: T201
        assert len(sent) == len(contents)
        assert again <= strikes * plant.in_flight


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


@pytest.mark.timeout(400)  # under a minute on a machine that does nothing else
async def test_a_short_chaos(tmp_path: Path) -> None:
    victims = ["prepare", "decode", "store", "ml", "qdrant", "track"]
    await survive(tmp_path, photos=160, victims=victims, pause=(0.2, 1.0), seconds=300)


@pytest.mark.chaos
@pytest.mark.timeout(1700)
async def test_a_long_chaos(tmp_path: Path) -> None:
    kinds = [*STAGES, "decode", "api", "qdrant", "ml", "kafka"]
    victims = [*kinds, *kinds, "freeze-kafka"]
    await survive(tmp_path, photos=1740, victims=victims, pause=(0.5, 3.0), seconds=1500)
