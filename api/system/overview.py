"""What an operator wants to see at one look: the parts, the stages and their lag, and how fast files went through."""

from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel

from api.schemas.system import Readiness
from api.system.throughput import Rates
from api.system.watchdog import Look
from core.settings import STAGES, Settings, Stage


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
    """Files a second of each stage, in the step that ended at `at`."""

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
