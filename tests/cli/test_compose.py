"""What can be known of the compose file and the image without an engine."""

import importlib.util
import re
from typing import Any

import pytest
import typer
import yaml

from cli.app import app
from core.settings import STAGES, Settings
from embedded.kafka import KAFKA_VERSION
from tests.cli.command import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OF_THE_HUB = {"hf_endpoint", "hf_token"}  # read by its client
OURS = {name: service for name, service in SERVICES.items() if "build" in service}


def parse(command: list[str]) -> None:
    """Read a command as our image would. Raises where it has an unknown option or value."""
    program, *arguments = command
    if program == "darkroom":
        name, *options = arguments
        group = typer.main.get_command(app)
        assert hasattr(group, "commands")
        group.commands[name].make_context(name, options)
    elif arguments[0] == "-m":
        assert importlib.util.find_spec(f"{arguments[1]}.__main__")
    else:
        compile(arguments[1], "health check", "exec")
    assert program in {"darkroom", "python"}


def test_every_stage_is_a_service_of_its_own() -> None:
    assert set(SERVICES) == {"kafka", "qdrant", "ml", "api", *STAGES}
    for stage in STAGES:
        assert SERVICES[stage]["command"] == ["darkroom", "worker", "--stages", stage]
        assert SERVICES[stage]["healthcheck"]["test"] == ["CMD", "darkroom", "doctor", "--worker", stage]


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_watched_and_comes_back(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", OURS)
def test_our_services_have_commands_and_settings_that_exist(name: str) -> None:
    parse(OURS[name]["command"])
    parse(OURS[name]["healthcheck"]["test"][1:])
    assert {setting.lower() for setting in OURS[name]["environment"]} - OF_THE_HUB <= set(Settings.model_fields)


def test_the_values_of_the_environment_are_accepted() -> None:
    environment = OURS["api"]["environment"]
    defaults = {name: re.sub(r"\$\{\w+:-(.*)\}", r"\1", str(value)) for name, value in environment.items()}
    # It listens beyond its container, which it refuses without a key.
    assert defaults.pop("DARKROOM_API_KEY").startswith("${DARKROOM_API_KEY:?")
    defaults = {name: value for name, value in defaults.items() if value}
    settings = Settings.model_validate({name.lower(): value for name, value in defaults.items()})
    assert settings.kafka_brokers == "kafka:9092"
    for url, service in ((settings.qdrant_address, "qdrant"), (settings.ml_inference_service_url, "ml")):
        assert re.fullmatch(rf"http://{service}:\d+", url)


def test_what_a_service_waits_for_exists_and_has_a_health_check() -> None:
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in SERVICES, name
            assert how == {"condition": "service_healthy"}
    assert all({"kafka", "qdrant"} <= set(SERVICES[name]["depends_on"]) for name in ("api", *STAGES))


def test_volumes_are_declared_and_photographs_are_read_only() -> None:
    mounts = [
        volume.rsplit(":", 1) if volume.endswith(":ro") else [volume, "rw"]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
    ]
    named = {mount.split(":")[0] for mount, _ in mounts if not mount.startswith("${")}
    assert named == set(COMPOSE["volumes"])
    assert {mode for mount, mode in mounts if mount.endswith("/photos")} == {"ro"}
    readers = {name for name, service in SERVICES.items() if any("/photos:ro" in v for v in service.get("volumes", []))}
    assert readers == {"api", *STAGES}


def test_images_are_pinned_and_kafka_is_the_version_that_is_tested() -> None:
    for name, service in SERVICES.items():
        assert re.search(r":v?\d+\.\d+\.\d+$", service["image"]), name
    assert SERVICES["kafka"]["image"].endswith(f":{KAFKA_VERSION}")


def test_only_this_host_reaches_what_is_published() -> None:
    ports = {port for service in SERVICES.values() for port in service.get("ports", [])}
    assert ports == {"127.0.0.1:9094:9094", "${API_ADDRESS:-127.0.0.1}:8002:8002"}


def test_the_image_is_pinned_and_runs_without_root() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert re.fullmatch(r"FROM python:3\.1[1-4]\.\d+-slim-\w+", next(line for line in lines if line.startswith("FROM")))
    assert "USER darkroom" in lines
    assert lines.index("USER darkroom") < next(n for n, line in enumerate(lines) if line.startswith("CMD"))


def test_dependencies_are_pinned_exactly() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    pinned = {re.sub(r"[-_.]+", "-", line.split("==")[0]).lower() for line in lines}
    text = (ROOT / "pyproject.toml").read_text()
    asked = re.findall(r'^    "([a-zA-Z][\w-]*)",$', text.split("[tool.")[0], re.MULTILINE)
    assert asked
    assert {re.sub(r"[-_.]+", "-", name).lower() for name in asked} <= pinned
