"""Messages a second, from how far the stages had read."""

from api.system.throughput import KEPT_SAMPLES, Throughput
from core.settings import STAGES
from rules.watchdog import Position, Sample, StageSample
from topics.topology import FILE_TOPICS


def look(**read: int) -> Sample:
    """One partition a stage, with so many messages read; prepare reads outcomes too, which are no files."""
    return {
        stage: StageSample(
            has_workers=True,
            positions=(
                Position(FILE_TOPICS[stage].name if stage in FILE_TOPICS else stage, 0, read.get(stage, 0), 1_000_000),
                Position("image-outcome", 0, 77 * read.get(stage, 0), 1_000_000),
            ),
        )
        for stage in STAGES
    }


def test_rates_of_each_stage_and_step() -> None:
    throughput = Throughput()
    throughput.add(100.0, look(hash=1000))
    assert throughput.rates() == []
    throughput.add(110.0, look(hash=1050, prepare=20))
    throughput.add(115.0, look(hash=1060))  # too soon after the last
    throughput.add(130.0, look(hash=1090, prepare=60, store=5))
    assert [(step.at, step.rates) for step in throughput.rates()] == [
        (110.0, {"hash": 5.0, "prepare": 2.0, "embed": 0.0, "store": 0.0}),
        (130.0, {"hash": 2.0, "prepare": 2.0, "embed": 0.0, "store": 0.25}),
    ]


def test_a_group_that_begins_again_is_no_negative_rate() -> None:
    throughput = Throughput()
    throughput.add(0.0, look(hash=1000))
    throughput.add(10.0, look(hash=0))
    assert throughput.rates()[0].rates["hash"] == 0.0


def test_half_an_hour_is_kept() -> None:
    throughput = Throughput()
    for number in range(1000):
        throughput.add(number * 10.0, look(hash=number))
    steps = throughput.rates()
    assert len(steps) == KEPT_SAMPLES - 1
    assert steps[-1].at - steps[0].at == 1790.0
