"""What is declared of stages and topics is what the code does, and what is written down beside it says the same."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from agents.stage import Services, StageApp
from agents.worker import BUILD
from core.errors import FatalError
from core.settings import STAGES, Settings, Stage
from embedded.stack import WORKERS
from topics.topology import API, FILE_TOPICS, PROGRAMS, TOPICS, TOPOLOGY, topics_read, topics_written

SCRIPTS = Path(__file__).resolve().parents[2] / "api" / "static" / "js"
NOTHING: Any = Mock()  # no service is asked


def services() -> Services:
    return Services(Settings(kafka_brokers="127.0.0.1:1"), NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING)


@pytest.fixture
async def hash_stage(tmp_path: Path) -> StageApp:
    return StageApp("hash", services(), tmp_path)


def test_every_stage_is_declared_and_can_be_built() -> None:
    assert (tuple(TOPOLOGY), tuple(BUILD)) == (STAGES, STAGES)


@pytest.mark.parametrize("name", STAGES)
async def test_a_stage_reads_what_is_declared_and_has_the_table_that_is(name: Stage, tmp_path: Path) -> None:
    app: Any = BUILD[name](services(), tmp_path).app
    assert {topic for agent in app.agents.values() for topic in agent.channel.topics} == set(topics_read(name))
    assert [*app.tables] == [table for table in [TOPOLOGY[name].table] if table]


@pytest.mark.parametrize(
    "use",
    [
        lambda stage: stage.consume("db-write", NOTHING, window=1),
        lambda stage: StageApp("scan", stage.services, Path(stage.app.conf.datadir)).rows(),
    ],
    ids=["a topic", "a table"],
)
async def test_what_is_not_declared_is_not_built(hash_stage: StageApp, use: Callable[[StageApp], None]) -> None:
    with pytest.raises(FatalError, match=r"topics/topology\.py"):
        use(hash_stage)


async def test_what_is_not_declared_is_not_sent(hash_stage: StageApp) -> None:
    with pytest.raises(FatalError, match=r"Stage hash writes db-write, which topics/topology\.py does not say"):
        await hash_stage.send_raw("db-write", b"key", b"value", [])


def test_each_topic_has_a_writer() -> None:
    written = {topic for stage in STAGES for topic in topics_written(stage)} | {
        one.name for one in (*PROGRAMS.writes, *API.writes)
    }
    assert {topic.name for topic in TOPICS} <= written


def test_messages_for_and_from_others_are_cloud_events() -> None:
    assert {topic for topic in TOPICS if topic.is_public} == {*PROGRAMS.reads, *PROGRAMS.writes}


def test_the_workers_of_one_machine_run_each_stage_once() -> None:
    assert sorted(stage for stages in WORKERS.values() for stage in stages) == sorted(STAGES)


@pytest.mark.parametrize(
    ("file", "name", "stages"),
    [
        ("core/names.js", "STAGES", ("scan", *FILE_TOPICS)),
        ("views/system.js", "MOVING", tuple(FILE_TOPICS)),
    ],
    ids=["of a job", "of the chart"],
)
def test_the_web_page_shows_the_stages_that_files_pass(file: str, name: str, stages: tuple[str, ...]) -> None:
    (found,) = re.findall(rf"^(?:export )?const {name} = \[(.*)\];", (SCRIPTS / file).read_text(), re.MULTILINE)
    assert tuple(re.findall(r"\w+", found)) == stages
