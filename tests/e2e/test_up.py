"""`darkroom up`, used as a person uses it: start, ingest, look, kill things, restart, stop."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from embedded.stack import WORKERS
from tests import pictures
from tests.cli.command import darkroom
from tests.deadlines import HANG_SECONDS
from tests.models import colours
from tests.models.small_hub import SmallHub
from tests.up import DARKROOM, Up, eventually


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    running = Up(tmp_path_factory.mktemp("up"))
    yield running
    running.stop()


def summed(status: dict[str, Any]) -> int:
    return sum(status["outcomes"].values())


def test_ingest_and_look(up: Up, tmp_path: Path) -> None:
    pictures.write(tmp_path, range(6000, 6010))
    (tmp_path / "broken.jpg").write_text("no picture")
    done = up.darkroom("ingest", str(tmp_path), "--collection", "holiday", "--caption", "--wait", "--json")
    status = json.loads(done.stdout)
    assert (status["status"], done.returncode) == ("completed_with_errors", 1)
    assert status["outcomes"]["stored"] == 10
    assert summed(status) == status["total_files"] == 11

    files = up.darkroom("files", status["job_id"], "--outcome", "failed").stdout
    assert "broken.jpg" in files.replace("\n", "")
    assert status["job_id"] in up.darkroom("jobs").stdout
    assert json.loads(up.darkroom("status", status["job_id"], "--json").stdout)["status"] == "completed_with_errors"
    assert up.darkroom("status", "no-such-job").returncode == 1

    found = up.post("/search", json={"query": "picture", "collection": "holiday"}).json()
    assert found["mode"] == "keywords"
    assert found["total"] == 10
    original = (tmp_path / "photo-6003.jpg").read_bytes()
    hits = up.post("/search/image", files={"file": ("query.jpg", original)}, data={"collection": "holiday"}).json()[
        "results"
    ]
    assert hits[0]["filename"] == "photo-6003.jpg"
    assert hits[0]["score"] == pytest.approx(1.0, abs=1e-3)
    image = up.get(f"/images/{hits[0]['id']}/image", params={"collection": "holiday"})
    assert image.content == original


def test_a_cancelled_job_ends_with_an_exact_account(up: Up, tmp_path: Path) -> None:
    pictures.write(tmp_path, range(6100, 6400))
    begun = json.loads(up.darkroom("ingest", str(tmp_path), "--collection", "cancelled", "--json").stdout)
    assert up.post(f"/ingest/{begun['job_id']}/cancel").status_code < 300

    def ended() -> dict[str, Any] | None:
        status: dict[str, Any] = up.get(f"/ingest/status/{begun['job_id']}").json()
        return status if status["status"] == "cancelled" else None

    status = eventually(ended, "the cancelled job's end")
    assert summed(status) == status["total_files"]
    assert status["outcomes"]["skipped"] + status["outcomes"]["stored"] == status["total_files"]


def fetch_model(data: Path) -> None:
    """Have `darkroom models get` bring a model from a hub."""
    (data / "models").mkdir(parents=True)
    (data / "models/table.toml").write_text(colours.ENTRY)
    with SmallHub({("me/colours", path): content for path, content in colours.files().items()}) as hub:
        settings = {"DARKROOM_DATA": str(data), "HF_HOME": str(data / "home"), "HF_ENDPOINT": hub.url}
        got = darkroom("models", "get", "colours", cwd=data, **settings)
    assert got.returncode == 0, got.stderr


def find_by_meaning(other: Up, photos: Path) -> None:
    """Take in pictures that have no words, and search for what they show."""
    photos.mkdir()
    for name, parts in {"a": [("blue", 70), ("yellow", 30)], "b": [("lime", 100)], "c": [("red", 100)]}.items():
        (photos / f"{name}.jpg").write_bytes(pictures.painted(*parts))
    done = other.darkroom("ingest", str(photos), "--collection", "drawn", "--wait", "--json")
    assert json.loads(done.stdout)["outcomes"]["stored"] == 3

    told = httpx.get(f"{other.addresses['ML_INFERENCE_SERVICE_URL']}/api/v1/capabilities").json()
    assert (told["logit_scale"], told["logit_bias"]) == (colours.SCALE, colours.BIAS)
    found = other.post("/search", json={"query": "the sea", "collection": "drawn"}).json()
    assert (found["mode"], found["results"][0]["filename"]) == ("semantic", "a.jpg")
    assert found["results"][0]["probability"] > 0.99
    assert found["likely"] == {"sure": 1, "maybe": 0}
    shown = other.darkroom("search", "the", "sea", "--collection", "drawn", "--min-score", "0.5").stdout
    assert "1 of 1 picture. 1 sure, 0 maybe." in shown
    assert "a.jpg" in shown


def test_two_run_side_by_side_and_one_that_would_collide_says_so(up: Up, tmp_path: Path) -> None:
    fetch_model(tmp_path / "other")
    other = Up(tmp_path / "other", model="colours")
    try:
        assert other.is_ready()
        assert up.is_ready()
        assert other.darkroom("doctor").returncode == 0, other.darkroom("doctor").stdout
        find_by_meaning(other, tmp_path / "drawn")
        clash = subprocess.run(
            [DARKROOM, "up", "--data", str(tmp_path / "third"), "--port", str(up.port)],
            capture_output=True, text=True, timeout=HANG_SECONDS, check=False,
        )  # fmt: skip
        assert clash.returncode != 0
        assert str(up.port) in clash.stderr
    finally:
        assert other.stop() == 0


def test_parts_that_die_are_restarted_and_a_job_survives_it(up: Up, tmp_path: Path) -> None:
    pictures.write(tmp_path, range(6500, 6650))
    begun = json.loads(up.darkroom("ingest", str(tmp_path), "--collection", "killed", "--json").stdout)
    before = {part: up.pid(part) for part in (*WORKERS, "api", "qdrant")}
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    for part, pid in before.items():
        eventually(partial(up.was_restarted, part, pid), f"{part} to be restarted")
        assert part in up.said

    def ended() -> dict[str, Any] | None:
        try:
            status: dict[str, Any] = up.get(f"/ingest/status/{begun['job_id']}").json()
        except httpx.TransportError:
            return None
        return status if status["status"].startswith("completed") else None

    status = eventually(ended, "the job's end")
    assert status["outcomes"]["stored"] == 150
    assert summed(status) == status["total_files"] == 150


def test_jobs_are_there_after_a_restart(up: Up) -> None:
    before = httpx.get(f"{up.url}/api/v1/ingest/recent_jobs").json()["jobs"]
    assert up.stop() == 0
    order = [up.said.rindex(f"{part:8} stopped") for part in ("api", *reversed(WORKERS), "qdrant", "kafka")]
    assert order == sorted(order)
    up.start()
    after = httpx.get(f"{up.url}/api/v1/ingest/recent_jobs").json()["jobs"]
    assert {job["job_id"]: job["outcomes"] for job in after} == {job["job_id"]: job["outcomes"] for job in before}
