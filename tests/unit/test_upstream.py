"""What is private of Faust, mode and aiokafka and used here is named in one list, which is looked for at the start."""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from aiokafka.consumer.fetcher import Fetcher

from core.errors import FatalError
from streams import upstream

ROOT = Path(__file__).resolve().parents[2]
UPSTREAM = {"aiokafka", "faust", "mode", "rocksdict"}
FILES = sorted(file for folder in ("streams", "gateways/kafka") for file in (ROOT / folder).glob("*.py"))
OTHERS = sorted(
    file
    for folder in ("agents", "api", "cli", "embedded", "tables", "topics")
    for file in (ROOT / folder).rglob("*.py")
    if re.search(r"^(from|import) (aiokafka|faust|mode|rocksdict)", file.read_text(), re.MULTILINE)
)
LISTED = {name for names in upstream.USED.values() for name in names}


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts)


def private_uses(file: Path) -> Iterator[str]:
    """Yield the private names that a module uses and does not define."""
    tree = ast.parse(file.read_text())
    own = {name for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for name in bound_by(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and re.match(r"_[a-z]", node.attr) and node.attr not in own:
            yield node.attr
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in UPSTREAM:
            yield from (alias.name for alias in node.names if alias.name.startswith("_"))


def bound_by(found: ast.ClassDef) -> Iterator[str]:
    """Yield the names that a class defines: methods, fields, and what its methods set."""
    for node in ast.walk(found):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self":
            yield node.attr


def replaced(file: Path) -> Iterator[str]:
    """Yield what a module's classes bind that a class of theirs, which they extend, has too."""
    module = import_module(module_of(file))
    for node in ast.walk(ast.parse(file.read_text())):
        if not isinstance(node, ast.ClassDef):
            continue
        bases = [getattr(module, base.id, None) for base in node.bases if isinstance(base, ast.Name)]
        theirs = [
            ancestor
            for base in bases
            for ancestor in getattr(base, "__mro__", ())
            if ancestor.__module__.partition(".")[0] in UPSTREAM
        ]
        yield from (
            name
            for name in bound_by(node)
            if name != "__init__" and any(upstream.has(ancestor, name) for ancestor in theirs)
        )


# Kafka's protocol and its listeners are there to be extended.
PUBLIC = {"API_KEY", "API_VERSION", "SCHEMA", "build", "on_partitions_assigned"}


@pytest.mark.parametrize("file", FILES, ids=module_of)
def test_all_that_is_used_or_replaced_is_listed(file: Path) -> None:
    assert {*private_uses(file), *replaced(file)} - PUBLIC <= LISTED


def test_nobody_else_uses_anything_private_of_theirs() -> None:
    ours = {"_exit"}
    assert {(module_of(file), name) for file in OTHERS for name in private_uses(file) if name not in ours} == set()


def test_all_that_is_listed_is_used() -> None:
    nodes = [node for file in FILES for node in ast.walk(ast.parse(file.read_text()))]
    used = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    used |= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    used |= {alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert LISTED - used == set()


def test_the_installed_versions_have_all_of_it() -> None:
    upstream.check()


def test_the_versions_are_those_that_are_installed_with_darkroom() -> None:
    pinned = dict(re.findall(r"^([\w-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    assert {package: pinned[package] for package in upstream.VERSIONS} == upstream.VERSIONS


@pytest.mark.parametrize(
    ("path", "name", "missing"),
    [
        ("aiokafka.consumer.fetcher:Fetcher", "_moved", "aiokafka.consumer.fetcher:Fetcher._moved"),
        ("aiokafka.consumer.fetcher:Moved", "_client", "aiokafka.consumer.fetcher:Moved"),
        ("aiokafka.moved:Fetcher", "_client", "aiokafka.moved:Fetcher"),
        ("aiokafka.consumer.fetcher", "_moved", "aiokafka.consumer.fetcher._moved"),
    ],
    ids=["attribute", "class", "module", "attribute of a module"],
)
def test_what_has_moved_is_named_with_what_to_install(path: str, name: str, missing: str) -> None:
    tried = upstream.VERSIONS["aiokafka"]
    with pytest.raises(FatalError, match=re.escape(f"has no {missing}, ")) as refused:
        upstream.check({path: (name,)})
    assert f"`pip install aiokafka=={tried}`" in str(refused.value)


def test_a_method_that_is_gone_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Fetcher, "_proc_fetch_request")
    with pytest.raises(FatalError, match=r"Fetcher\._proc_fetch_request"):
        upstream.check()


def test_what_instances_are_given_is_told_from_what_is_only_read() -> None:
    class Holder:
        def __init__(self, other: Any) -> None:
            self._given = other._read

    assert upstream.has(Holder, "_given")
    assert not upstream.has(Holder, "_read")
