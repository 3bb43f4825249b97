"""Imports point one way: the shell → tables → streams → topics, gateways → imaging, rules → core."""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

CORE = {"core", "imaging", "rules"}
EDGES = {"gateways", "streams", "tables", "topics"} | CORE
# What each package may import beside itself.
MAY_IMPORT: dict[str, set[str]] = {
    "core": set(),
    "rules": {"core"},
    # A reason that names a path is written in one way: rules.paths.
    "imaging": {"core", "rules"},
    # A record holds what imaging found out, and identities that rules compute. They are created by a client of Kafka.
    "topics": {"gateways"} | CORE,
    "gateways": CORE,
    # It sends and takes records of the topics, as a Kafka client does.
    "streams": {"gateways", "topics"} | CORE,
    # The jobs table is the fold of a topic; a waiter's row is a record of one.
    "tables": {"streams", "topics"} | CORE,
    "agents": EDGES,
    "api": EDGES,
    # It stands in for servers that know nothing of Darkroom, and asks Kafka as an administrator does.
    "embedded": {"gateways"} | CORE,
    # The one place that starts all the others.
    "cli": {"agents", "api", "embedded"} | EDGES,
}
TOP_LEVEL = sorted(MAY_IMPORT)


@cache
def modules() -> dict[str, Path]:
    """Return every module of ours, by its dotted name."""
    found = {}
    for top in TOP_LEVEL:
        files = sorted((ROOT / top).rglob("*.py"))
        assert files, f"{top} is no package"
        for file in files:
            parts = file.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


@cache
def imports(module: str) -> frozenset[str]:
    """Return the modules of ours that a module imports, wherever in it the import stands."""
    return frozenset(_imports(module))


def _imports(module: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(modules()[module].read_text(), module)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports by a relative path, which hides where it points"
            source = node.module or ""
            names = [f"{source}.{a.name}" if f"{source}.{a.name}" in modules() else source for a in node.names]
        yield from (name for name in names if name in modules())


def top(module: str) -> str:
    return module.partition(".")[0]


def test_every_package_has_its_place() -> None:
    packages = {file.parent.name for file in ROOT.glob("*/__init__.py")} | {file.stem for file in ROOT.glob("*.py")}
    assert packages - {"tests", "benchmarks"} == set(MAY_IMPORT)


@pytest.mark.parametrize("package", TOP_LEVEL)
def test_imports_point_one_way(package: str) -> None:
    wrong = {
        f"{module} imports {other}"
        for module in modules()
        if top(module) == package
        for other in imports(module)
        if top(other) not in MAY_IMPORT[package] | {package}
    }
    assert wrong == set()


def test_no_packages_import_each_other() -> None:
    graph = {
        package: {top(other) for module in modules() if top(module) == package for other in imports(module)} - {package}
        for package in TOP_LEVEL
    }
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the cycle


def part_of_api(module: str) -> str:
    """Return the package of api that a module is in; of one at its top, the module."""
    return ".".join(module.split(".")[:2])


def test_no_parts_of_api_import_each_other() -> None:
    found = [module for module in modules() if top(module) == "api" and module != "api"]
    graph: dict[str, set[str]] = {part_of_api(module): set() for module in found}
    assert len(graph) < 20, "api shows its parts in about a dozen names"
    for module in found:
        others = {part_of_api(other) for other in imports(module) if top(other) == "api"}
        graph[part_of_api(module)] |= others - {part_of_api(module)}
    TopologicalSorter(graph).prepare()


def test_no_modules_import_each_other() -> None:
    TopologicalSorter({module: imports(module) for module in modules()}).prepare()


def test_routes_do_not_import_the_application_they_are_part_of() -> None:
    routes = [module for module in modules() if module.startswith("api.routes.")]
    assert len(routes) > 3
    assert [module for module in routes if "api.main" in imports(module)] == []


def test_routes_get_the_services_that_they_use() -> None:
    takers = {module for module in modules() if "api.services" in imports(module)}
    assert takers == {"api.main", "api.routes.deps"}


def test_collections_are_made_in_one_way() -> None:
    makers = {
        module
        for module, file in modules().items()
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("ensure_collection")
    }
    assert makers == {"gateways.targets"}


# Network and disk belong to the shell.
OUTSIDE = {"aiokafka", "faust", "fastapi", "httpx", "metrics", "qdrant_client", "sqlite3", "structlog", "uvicorn"}


@pytest.mark.parametrize("module", sorted(name for name in modules() if top(name) in {"rules", "imaging"}))
def test_the_functional_core_knows_no_network(module: str) -> None:
    nodes = list(ast.walk(ast.parse(modules()[module].read_text())))
    used = {alias.name.partition(".")[0] for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    used |= {(node.module or "").partition(".")[0] for node in nodes if isinstance(node, ast.ImportFrom)}
    assert used & OUTSIDE == set()


def test_only_settings_read_the_environment() -> None:
    readers = {
        module
        for module, file in modules().items()
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv"}
    }
    # Two hand it on to the processes that they start; one asks what the terminal is.
    assert readers == {"cli.pictures", "embedded.stack", "embedded.supervisor"}


CLIENTS = {
    "AIOKafkaAdminClient": "gateways.kafka.client",
    "AIOKafkaClient": "gateways.kafka.client",
    "AIOKafkaConsumer": "gateways.kafka.consumer",
    "AIOKafkaProducer": "gateways.kafka.producer",
}


@pytest.mark.parametrize("client", CLIENTS)
def test_each_client_of_kafka_is_made_in_one_place(client: str) -> None:
    """So every consumer passes what cannot be read, and no producer loses anything. Stages get theirs from Faust."""
    makers = {
        module
        for module, file in modules().items()
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == client
    }
    assert makers == {CLIENTS[client]}


def test_only_streams_know_faust() -> None:
    users = {
        module
        for module, file in modules().items()
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""])
        if name.partition(".")[0] in {"faust", "mode"}
    }
    assert {top(module) for module in users} == {"streams"}
