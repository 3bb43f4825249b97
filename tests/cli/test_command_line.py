"""What holds for every command: help, exit codes, completion in the shell."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from cli import app as module
from core.errors import RequestError
from tests.cli.command import darkroom
from tests.cli.scripted_api import ScriptedApi, job
from tests.cli.terminal import in_terminal, lines
from tests.parts import ROOT


def commands() -> dict[str, typer.core.TyperCommand]:
    """Return every command by its words."""
    group = typer.main.get_command(module.app)
    assert isinstance(group, typer.core.TyperGroup)
    found: dict[str, typer.core.TyperCommand] = {}
    for name, command in group.commands.items():
        if isinstance(command, typer.core.TyperGroup):
            found |= {f"{name} {below}": each for below, each in command.commands.items()}  # type: ignore[misc]
        elif isinstance(command, typer.core.TyperCommand):
            found[name] = command
    return found


# These run until they are stopped; the last line of the demo is JSON anyway.
RUN_ON = {"up", "worker", "demo"}
# What these have done is told by `models list --json`.
CHANGE_MODELS = {f"models {command}" for command in ("get", "use", "remove", "export", "import")}


def test_every_command_that_answers_does_so_in_json_too() -> None:
    options = {name: {text for each in command.params for text in each.opts} for name, command in commands().items()}
    assert {name for name, known in options.items() if "--json" not in known} == RUN_ON | CHANGE_MODELS


def test_exit_codes_are_those_that_help_and_the_readme_tell(tmp_path: Path) -> None:
    helped = " ".join(darkroom("--help", cwd=tmp_path).stdout.split())
    readme = " ".join((ROOT / "README.md").read_text().split())
    for code in (0, 1, 2, module.UNREACHABLE, module.INTERRUPTED):
        assert f"{code} " in helped.partition("Exit codes:")[2]
        assert f"| `{code}` |" in readme
    with ScriptedApi({"GET /ingest/recent_jobs": [(200, {"jobs": []})]}) as api:
        assert darkroom("jobs", cwd=tmp_path, DARKROOM_URL=api.url).returncode == 0
        refused = darkroom("status", "nobody", cwd=tmp_path, DARKROOM_URL=api.url)
        assert refused.returncode == module.FAILED
    assert darkroom("jobs", "--nonsense", cwd=tmp_path).returncode == 2
    away = darkroom("jobs", cwd=tmp_path, DARKROOM_URL="http://127.0.0.1:1")
    assert away.returncode == module.UNREACHABLE
    assert "darkroom up" in away.stderr


@pytest.mark.parametrize(
    "command",
    [
        ["sources", "show"],
        ["sync"],
        ["status"],
        ["cancel"],
        ["files"],
        ["retry-failed"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("name", ["", "..", "a/b", "a\udcff"], ids=["empty", "dots", "slash", "bytes"])
def test_what_nothing_can_be_called_is_said_to_be_so(command: list[str], name: str) -> None:
    with ScriptedApi({}) as api:
        run = CliRunner().invoke(module.app, [*command, name], env={"DARKROOM_URL": api.url})
        assert api.asked == []
    assert isinstance(run.exception, RequestError), run.exception
    assert (repr(name) if name != "a\udcff" else "\\xff, which is not UTF-8") in str(run.exception)


@pytest.mark.parametrize(
    "command",
    [
        ["sources", "set", "s", "--exclude", "a\udcff*"],
        ["gone", "list", "--collection", "a\udcff"],
        ["forget", "--collection", "a\udcff"],
        ["search", "a\udcff"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_words_that_are_not_utf_8_are_said_to_be_so(command: list[str]) -> None:
    with ScriptedApi({}) as api:
        run = CliRunner().invoke(module.app, command, env={"DARKROOM_URL": api.url})
        assert api.asked == []
    assert isinstance(run.exception, RequestError), run.exception
    assert "holds \\xff, which is not UTF-8" in str(run.exception)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["gone", "keep", "a", "--for-good"], "darkroom gone list"),
        (["gone", "forget", "a", "--yes"], "darkroom gone list"),
        (["forget", "--content", "zz"], "64 hex digits"),
        (["unforget", "--content", "a" * 63], "64 hex digits"),
        (["sources", "set", "s", "--every", "59s"], "1m at least"),
        (["sources", "add", ".", "--every", "367d"], "366d at most"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else None,
)
def test_a_wrong_value_is_said_to_be_so_in_words(command: list[str], said: str) -> None:
    with ScriptedApi({"POST /ingest/roots": [(200, {"roots": []})]}) as api:
        run = CliRunner().invoke(module.app, command, env={"DARKROOM_URL": api.url, "COLUMNS": "200"})
        assert {path for path, _, _ in api.asked} <= {"POST /ingest/roots"}
    assert (run.exit_code, said in run.output) == (2, True), run.output


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_completes_commands(tmp_path: Path, shell: str) -> None:
    completed = darkroom(
        cwd=tmp_path,
        _DARKROOM_COMPLETE=f"complete_{shell}",
        COMP_WORDS="darkroom dea",
        COMP_CWORD="1",
        _TYPER_COMPLETE_ARGS="darkroom dea",
        _TYPER_COMPLETE_FISH_ACTION="get-args",
    )
    assert "dead-letters" in completed.stdout, completed.stderr
    assert "ingest" not in completed.stdout


@pytest.mark.parametrize("columns", [80, 50])
def test_jobs_fit_the_terminal_with_their_ids_whole(tmp_path: Path, columns: int) -> None:
    found = [job("completed_with_errors", outcomes={"stored": 123_456, "failed": 1}), job("running", total_files=9)]
    with ScriptedApi({"GET /ingest/recent_jobs": [(200, {"jobs": found})]}) as api:
        code, written = in_terminal("jobs", columns=columns, cwd=tmp_path, DARKROOM_URL=api.url)
    shown = lines(written)
    assert code == 0
    assert max(map(len, shown)) <= columns
    assert sum(found[0]["job_id"] in line for line in shown) == 2
    assert any("completed_with_errors" in line and "123457/123457" in line for line in shown)
