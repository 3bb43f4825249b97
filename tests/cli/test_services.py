import importlib.metadata
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from embedded import ports, state
from tests.cli.command import ROOT, darkroom
from tests.cli.scripted_api import Answer, ScriptedApi


def test_up_refuses_a_port_in_use_before_it_starts_anything(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = darkroom("up", "--data", "data", "--port", str(port), cwd=tmp_path)
    assert run.returncode == 1
    assert run.stderr == (
        f"darkroom: Port {port} on 127.0.0.1 is in use. "
        "Choose another with --port, or end the program that listens there.\n"
    )
    assert not (tmp_path / "data").exists()


def test_up_refuses_a_data_folder_that_another_one_uses(tmp_path: Path) -> None:
    with state.lock(tmp_path / "data"):
        run = darkroom("up", "--data", "data", "--port", str(ports.free_port()), cwd=tmp_path)
    assert run.returncode == 1
    assert f"{tmp_path / 'data'} is in use by process" in run.stderr
    assert not (tmp_path / "data" / "logs").exists()


def test_up_says_that_a_named_broker_does_not_answer(tmp_path: Path) -> None:
    brokers = f"127.0.0.1:{ports.free_port()}"
    run = darkroom("up", "--data", "data", "--port", str(ports.free_port()), cwd=tmp_path, KAFKA_BROKERS=brokers)
    assert run.returncode == 3
    assert run.stderr.startswith(f"darkroom: No Kafka broker answers at {brokers}.")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["worker"], 1, "Set KAFKA_BROKERS, QDRANT_URL, ML_INFERENCE_SERVICE_URL, or use `darkroom up`"),
        (["worker", "--stages", "hash,wash"], 2, "wash is no stage"),
        (["up", "--port", "99999"], 2, "less than or equal to 65535"),
        (["demo", "--photos", "nowhere"], 1, "There is no folder nowhere"),
        (["ingest"], 2, "PATH"),
    ],
)
def test_a_command_that_cannot_run_says_why(arguments: list[str], code: int, words: str, tmp_path: Path) -> None:
    run = darkroom(*arguments, cwd=tmp_path)
    assert run.returncode == code
    assert words in " ".join(run.stderr.split())


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    run = darkroom("jobs", cwd=tmp_path, KAFKA_PARTITIONS="many")
    assert run.returncode == 1
    assert "KAFKA_PARTITIONS" in run.stderr


def test_doctor_with_nothing_running_says_how_to_start(tmp_path: Path) -> None:
    run = darkroom("doctor", cwd=tmp_path, DARKROOM_URL=f"http://127.0.0.1:{ports.free_port()}")
    assert run.returncode == 1
    lines = run.stdout.splitlines()
    level = {line[8:22].strip(): line[:8].strip() for line in lines if line[:8].strip()}
    assert {name: level[name] for name in ("Python", "Packages", "Java", "Data folder", "Disk")} == dict.fromkeys(
        ("Python", "Packages", "Java", "Data folder", "Disk"), "ok"
    )
    assert {name: level[name] for name in ("Kafka", "Qdrant", "ML", "API")} == dict.fromkeys(
        ("Kafka", "Qdrant", "ML", "API"), "problem"
    )
    assert sum("`darkroom up`" in line for line in lines) == 4
    assert list(tmp_path.iterdir()) == [], "looking changes nothing"


def test_doctor_finds_the_parts_of_an_up_by_its_data_folder(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{ports.free_port()}"
    with state.lock(tmp_path):
        parts = {"api": state.PartState(address=url, pid=1), "ml": state.PartState(address=url)}
        state.write(tmp_path, state.RunState(pid=1, addresses={"QDRANT_URL": url}, parts=parts))
        run = darkroom("doctor", "--data", str(tmp_path), cwd=tmp_path, KAFKA_BROKERS="127.0.0.1:1")
    assert run.returncode == 1
    assert "problem ml             is down, and will be started again" in run.stdout
    assert f"problem Qdrant         {url}: " in run.stdout
    assert "Java" not in run.stdout, "a named cluster needs none"


def test_a_wrong_key_is_told_from_none(tmp_path: Path) -> None:
    refused: list[Answer] = [(401, {"detail": "It asks for a key."})]
    routes = {f"GET {path}": refused for path in ("/ready", "/system", "/dead-letters", "/ingest/recent_jobs")}
    with ScriptedApi(routes | {"GET /health": [(200, {})]}) as api:
        without = darkroom("jobs", cwd=tmp_path, DARKROOM_URL=api.url)
        assert (without.returncode, without.stderr) == (1, "darkroom: It asks for a key.\n")
        wrong = darkroom("jobs", cwd=tmp_path, DARKROOM_URL=api.url, DARKROOM_API_KEY="w" * 16)
        assert wrong.stderr == ("darkroom: It asks for a key. What is set as DARKROOM_API_KEY here is not its key.\n")
        said = darkroom("doctor", cwd=tmp_path, DARKROOM_URL=api.url).stdout
        assert f"problem API ready      {api.url}/ready answers 401: It asks for a key.\n" in said
        assert "Set DARKROOM_API_KEY to its key." in said
        assert "note    Trust          which messages were refused is not known: It asks for a key.\n" in said


def test_doctor_says_which_jobs_were_refused_as_their_messages_name_no_roots(tmp_path: Path) -> None:
    letters = [{"job_id": "one"}, {"job_id": "one"}, {"job_id": "other"}]
    routes: dict[str, list[Answer]] = {"GET /health": [(200, {})], "GET /dead-letters": [(200, {"letters": letters})]}
    with ScriptedApi(routes) as api:
        run = darkroom("doctor", cwd=tmp_path, DARKROOM_URL=api.url)
        assert ("GET /dead-letters", "error_class=UntrustedError&state=open&limit=1000", None) in api.asked
    assert run.returncode == 1
    assert "3 messages were refused, as they name no roots that are allowed: 2 of job one, 1 of job other" in run.stdout
    assert "TRUST_KAFKA=1" in run.stdout


def test_the_entry_point_stays_light_for_worker_processes() -> None:
    (script,) = importlib.metadata.entry_points(group="console_scripts", name="darkroom")
    assert script.value == "cli.main:main"
    loaded = subprocess.run(
        [sys.executable, "-c", "import cli.main, sys, json; print(json.dumps(sorted(sys.modules)))"],
        capture_output=True,
        cwd=ROOT,
        check=True,
    )
    assert not {"typer", "rich", "httpx", "faust", "aiokafka"} & set(json.loads(loaded.stdout))
