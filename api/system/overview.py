"""What an operator wants to see at one look: the parts, the stages and their lag, and how fast files went through."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel

from api.schemas.system import PartState, Readiness
from api.system.supervised import failed_parts
from api.system.throughput import Rates
from api.system.watchdog import Look, Watchdog
from api.view.view import JobView
from core.settings import STAGES, Settings, Stage
from gateways.ml import ML
from gateways.qdrant import Qdrant


class PartitionLag(BaseModel):
    """How far a stage has read a partition: offsets of the first message it has not finished, and of the end.

    The end is where an open transaction begins: `held` then says whose it is, how old, and what it holds; else null.
    """

    topic: str
    partition: int
    committed: int
    end: int
    lag: int
    held: str | None


class StageState(BaseModel):
    """A stage. `stuck` says why it does not move, or null; `lag` counts messages over all partitions."""

    name: Stage
    group: str
    has_workers: bool
    lag: int
    stuck: str | None
    partitions: list[PartitionLag]


class ThroughputPoint(BaseModel):
    """Messages a second of each stage, in the step that ended at `at`; each is about one file, or many."""

    at: str
    rates: dict[Stage, float]


class System(Readiness):
    """The whole installation. `stages` is empty, and `sampled_at` null, while the broker cannot be asked."""

    version: str
    started_at: str
    sampled_at: str | None
    addresses: dict[Literal["kafka", "qdrant", "ml"], str]
    stages: list[StageState]
    throughput: list[ThroughputPoint]


class Overview:
    """Asks the parts how they are."""

    def __init__(self, settings: Settings, view: JobView, qdrant: Qdrant, ml: ML, watchdog: Watchdog) -> None:
        self._settings = settings
        self._view = view
        self._qdrant = qdrant
        self._ml = ml
        self._watchdog = watchdog
        self._started_at = time.time()

    async def readiness(self) -> Readiness:
        """Return which parts can be used now."""
        behind, qdrant, ml = await asyncio.gather(self._view.problem(), self._qdrant.healthy(), self._ml.healthy())
        settings, failed = self._settings, failed_parts(self._settings.darkroom_data)
        stuck = "; ".join(filter(None, [failed.get("stages"), self._watchdog.problem])) or None
        no_qdrant = failed.get("qdrant", f"Qdrant at {settings.qdrant_address} does not answer")
        no_ml = failed.get(
            "ml", f"ML at {settings.ml_inference_service_url} does not answer, or still loads its models"
        )
        return Readiness(
            ready=behind is None and qdrant and stuck is None,
            parts={
                "kafka": PartState(ready=behind is None, detail=behind and failed.get("kafka", f"Kafka {behind}")),
                "qdrant": PartState(ready=qdrant, detail=None if qdrant else no_qdrant),
                "stages": PartState(ready=stuck is None, detail=stuck),
                "ml": PartState(ready=ml, detail=None if ml else no_ml),
            },
        )

    async def system(self, version: str) -> System:
        """Return the whole, as it is now; `version` is the service's."""
        look = self._watchdog.look
        return System(
            **dict(await self.readiness()),
            version=version,
            started_at=iso(self._started_at),
            sampled_at=look and iso(look.at),
            addresses={
                "kafka": self._settings.kafka_brokers,
                "qdrant": self._settings.qdrant_address,
                "ml": self._settings.ml_inference_service_url,
            },
            stages=stage_states(look, self._settings),
            throughput=throughput_points(self._watchdog.throughput.rates()),
        )


def stage_states(look: Look | None, settings: Settings) -> list[StageState]:
    """Return the stages in the order of the flow."""
    if look is None:
        return []
    held = {(one.topic, one.partition): one.describe(look.at) for one in look.held}
    return [
        StageState(
            name=stage,
            group=settings.group(stage),
            has_workers=look.sample[stage].has_workers,
            lag=look.sample[stage].lag,
            stuck=str(look.stuck[stage]) if stage in look.stuck else None,
            partitions=[
                PartitionLag(
                    topic=position.topic,
                    partition=position.partition,
                    committed=position.committed,
                    end=position.end,
                    lag=position.lag,
                    held=held.get((position.topic, position.partition)),
                )
                for position in look.sample[stage].positions
            ],
        )
        for stage in STAGES
    ]


def throughput_points(rates: list[Rates]) -> list[ThroughputPoint]:
    """Return the chart's points."""
    return [ThroughputPoint(at=iso(step.at), rates=step.rates) for step in rates]


def iso(at: float) -> str:
    """Return a time in seconds since 1970 as ISO 8601."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
