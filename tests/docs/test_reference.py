"""What is generated is fresh, and what the guides name exists."""

import re
import subprocess
import sys

import pytest
import typer

from cli.app import app
from core.settings import STAGES, Settings
from tests.deadlines import HANG_SECONDS
from tests.parts import ROOT
from topics.topology import NAMES, TOPICS

README = (ROOT / "README.md").read_text()
GUIDES = ["operations.md", "production.md", "publishing.md", "extending.md", "architecture.md"]


def generated(what: str) -> str:
    script = f"import sys; sys.path.insert(0, 'docs'); import generate_topics as made; print(made.{what}, end='')"
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=HANG_SECONDS, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_the_reference_of_the_topics_is_what_the_records_say() -> None:
    written = (ROOT / "docs" / "topics.md").read_text()
    assert written == generated("page()"), "run `make docs`"
    assert re.findall(r"^## `(.*)`", written, re.MULTILINE) == [topic.name for topic in TOPICS]


def test_the_picture_in_the_readme_is_the_topology() -> None:
    assert generated("with_flow(open('README.md').read())") == README, "run `make docs`"
    (flow,) = re.findall(r"<!-- flow -->\n(.*?)<!-- end of flow -->", README, re.DOTALL)
    assert set(re.findall(r"[\w-]+", flow)) >= {*STAGES, *NAMES}


@pytest.mark.parametrize("guide", GUIDES)
def test_what_a_guide_names_exists(guide: str) -> None:
    text = (ROOT / "docs" / guide).read_text()
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    commands = set(re.findall(r"(?:^ +|`)darkroom ([a-z]+(?:-[a-z]+)*)", text, re.MULTILINE))
    assert commands <= set(group.commands)
    # Of others: Kafka's image, OpenTelemetry.
    settings = {name for name in re.findall(r"`([A-Z]+(?:_[A-Z]+)+)[`=]", text) if not name.startswith("OTEL_")}
    ours = {name.upper() for name in Settings.model_fields} | {"DARKROOM_CHAOS_SEED", "MAX_INDEXES"}
    assert settings <= ours, settings - ours
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / "docs" / link).exists(), link
    for path in re.findall(r"`((?:deploy|docs|tests|agents|api|gateways|topics)/[\w./-]+)`", text):
        assert (ROOT / path).exists(), path
    for path, test in re.findall(r"`([\w/]+\.py)::(\w+)`", text):
        assert f"def {test}(" in (ROOT / "tests" / path).read_text(), f"{path}::{test}"
