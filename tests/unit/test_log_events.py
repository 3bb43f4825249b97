"""What happens has one name in the logs, and the names are written down for those who search for them."""

import ast
import re
from collections import Counter
from collections.abc import Iterator

from tests.parts import ROOT
from tests.unit.test_layers import modules

LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}


def events() -> Iterator[tuple[str, str]]:
    """Return each call that logs: its module, and the name of the event."""
    for module, file in modules().items():
        if module.startswith("embedded."):
            continue  # what stands in for services of others logs as these do
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id="log"), attr=level), args=[first, *_]) if (
                    level in LEVELS
                ):
                    assert isinstance(first, ast.Constant), f"{module} logs an event without a constant name"
                    yield module, str(first.value)


def test_each_thing_that_happens_has_one_name() -> None:
    found = list(events())
    assert len(found) > 30
    assert [name for _, name in found if not re.fullmatch(r"[a-z]+(-[a-z]+)*", name)] == []
    assert [name for name, count in Counter(name for _, name in found).items() if count > 1] == []


def test_the_table_of_events_is_complete() -> None:
    documented = re.findall(
        r"^\| `([a-z-]+)` \| [^|]+ \|$", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE
    )
    assert sorted(documented) == sorted(name for _, name in events())
