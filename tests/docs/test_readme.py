"""What the README says of files, settings and commands is so."""

import re

import pytest
import typer
from pydantic.fields import FieldInfo

from cli.app import app
from core.settings import Settings
from tests.parts import ROOT

README = (ROOT / "README.md").read_text()


def default_in_words(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "number of CPUs"
    return "—" if field.default in ("", None, ()) else f"`{field.default}`"


def test_the_example_is_the_file() -> None:
    (shown,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert shown == (ROOT / "docs" / "examples" / "publish.py").read_text()


def settings_in(text: str) -> set[str]:
    """Return the rows of a table of settings."""
    return set(re.findall(r"^\| `[A-Z_]+` \| .+ \|$", text, re.MULTILINE))


def test_the_settings_table_has_every_setting_with_its_default() -> None:
    table = (ROOT / "docs" / "settings.md").read_text()
    shown = dict(re.findall(r"^\| `([A-Z_]+)` \| (.+?) \| .+ \|$", table, re.MULTILINE))
    assert shown == {name.upper(): default_in_words(field) for name, field in Settings.model_fields.items()}
    assert settings_in(README) <= settings_in(table)


def test_the_commands_exist() -> None:
    group = typer.main.get_command(app)
    assert hasattr(group, "commands")
    shown = set(re.findall(r"(?:^ +|`)darkroom ([a-z]+)", README, re.MULTILINE))
    assert {"up", "ingest", "status", "files", "jobs", "doctor", "worker"} <= shown <= set(group.commands)


@pytest.mark.parametrize("document", ["README.md", "docs/architecture.md", "docs/settings.md", "CHANGELOG.md"])
def test_links_lead_somewhere(document: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / document).read_text())
    for link in links:
        assert ((ROOT / document).parent / link).exists(), link
