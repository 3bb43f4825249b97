"""The commands of the README's "Use it", as they stand there, against a running Darkroom; and what they print."""

import asyncio
import re
import shlex
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cli.console import results
from cli.demo_sync import show_sync
from cli.samples import album
from cli.source_client import SourceClient
from embedded.ports import free_port
from tests import parts, pictures
from tests.cli.command import darkroom
from tests.deadlines import HANG_SECONDS
from tests.models import tiny_families
from tests.parts import ROOT, Part
from tests.pipeline import Pipeline

README = (ROOT / "README.md").read_text()
_, _, USE_IT = README.partition("\n## Use it\n")
SECTION = USE_IT.partition("\n## ")[0]

# The words after `darkroom`, and what the output must show. `up` runs until it is stopped: tests/e2e/test_up.py.
EXPECTED = {
    "models get": r"^siglip2-base-patch16-224 is here already",
    "ingest": r"^Job [0-9a-f]{32}\.",
    "sources add": r"^Source Pictures: .* is kept in collection home, and looked at every 6h\.",
    "sync": r"^Pictures: job sync-Pictures-",
    "jobs": r"{job}",
    "status": r"Status +completed",
    "files": r"failed +.*broken\.jpg",
    "search": r"of \d+ pictures",
    "reread": r"^Job [0-9a-f]{32}\.",
    "collections list": r"home.*stub-1",
    "reembed": r"^Job [0-9a-f]{32}\.",
    "caption": r"^Job [0-9a-f]{32}\.",
    "doctor --collection": r"pictures have (no )?vectors? of",
    "doctor": r"ok +Kafka",
    "doctor JOB": r"(?s){job}.*1 file failed",
    "topics": r"raw-path +[\d,]+ +darkroom-hash \d+",
    "tail": r"job_id: {job}",
}
CURL = {
    "ingest/scan": r'"status":"(queued|scanning|running|completed)"',
    "ingest/status": r'"status":"completed',
    "ingest/upload": r'"refused":\[\]',
    "search -H": r'"results":\[',
    "search/image": r'"results":\[\{',
    "v1/images": r'"images":\[',
}


def commands(program: str) -> list[str]:
    """Return the commands of a program that the section shows, without their comments."""
    found = re.findall(rf"^    ({program} (?:.*\\\n)*.*)", SECTION, re.MULTILINE)
    return [re.sub(r"\s{2,}#.*|\\\n", "", command) for command in found]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "Pictures"
    pictures.write(folder, range(5200, 5203))
    (folder / "broken.jpg").write_bytes(b"no picture")
    return folder


@pytest.fixture
def api(kafka: Part, qdrant: Part, ml: Part, tmp_path: Path, photos: Path) -> Iterator[Part]:
    port = free_port()
    environment = {
        "KAFKA_BROKERS": kafka.address,
        "QDRANT_URL": qdrant.url,
        "ML_INFERENCE_SERVICE_URL": ml.url,
        "DARKROOM_DATA": str(tmp_path / "api"),
        "INGEST_ROOTS": str(photos),
    }
    part = parts.start("API", ["-m", "api", "--port", str(port)], port, tmp_path / "api.log", environment)
    yield part
    part.kill()


def expectation(table: dict[str, str], command: str) -> tuple[str, str]:
    """Return the longest entry of a table that a command shows in it."""
    name = max((name for name in table if name in command), key=len)
    return name, table[name]


async def job_of(pipeline: Pipeline, photos: Path, api: Part, tmp_path: Path, collection: str) -> str:
    # The model that the collection is embedded anew with.
    behaviour = {"models": {"siglip2-base-patch16-224": 24}}
    httpx.post(f"{pipeline.ml.url}/control", json=behaviour).raise_for_status()
    run = darkroom("ingest", str(photos), "--collection", collection, cwd=tmp_path, DARKROOM_URL=api.url)
    (job,) = re.findall(r"Job ([0-9a-f]{32})", run.stdout)
    await pipeline.bus.finished(job)
    return str(job)


async def test_the_commands_do_what_the_readme_says(
    pipeline: Pipeline, photos: Path, api: Part, kafka: Part, qdrant: Part, ml: Part, tmp_path: Path
) -> None:
    job = await job_of(pipeline, photos, api, tmp_path, "home")
    tiny_families.write(tmp_path / ".darkroom/models/siglip2-base-patch16-224", "siglip")
    settings = {
        "HF_HUB_OFFLINE": "1",
        "DARKROOM_URL": api.url,
        "KAFKA_BROKERS": kafka.address,
        "QDRANT_URL": qdrant.url,
        "ML_INFERENCE_SERVICE_URL": ml.url,
        "DEFAULT_COLLECTION": "home",
    }
    seen = set()
    for command in commands("darkroom"):
        words = [
            {"JOB": job, "~/Pictures": str(photos)}.get(word, word)
            for word in shlex.split(command.removeprefix("darkroom "))
        ]
        if words[0] == "up":
            continue
        name, expected = expectation(EXPECTED, command)
        seen.add(name)
        if words[0] == "search":
            words += ["--collection", "home"]
        run = darkroom(*words, cwd=tmp_path, **settings)
        assert run.returncode in {0, 1}, f"{command}: {run.stderr}"
        assert re.search(expected.replace("{job}", job), run.stdout, re.MULTILINE), (
            f"{command}: {run.stdout}{run.stderr}"
        )
    assert seen == EXPECTED.keys()


async def test_the_demo_shows_what_has_left_a_folder_each_time_it_runs(
    pipeline: Pipeline, api: Part, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Pictures that no other test has had seen by ML.
    monkeypatch.setattr(album, "_FIRST_HOLIDAY", uuid.uuid4().int % 10**8)
    [shown] = re.findall(r"^    (moved .*)", README, re.MULTILINE)
    pipeline.forget_ml()
    with SourceClient(api.url) as client:
        for sent_to_ml in (5, 0):
            with results.capture() as printed:
                await show_sync(client, tmp_path / "source")
            assert printed.get().splitlines()[1:] == [shown]
            # What was edited, and then all that was there before.
            assert sum(map(len, pipeline.ml_batches())) == sent_to_ml
            pipeline.forget_ml()


@pytest.mark.system
async def test_the_same_over_http(pipeline: Pipeline, photos: Path, api: Part, tmp_path: Path) -> None:
    job = await job_of(pipeline, photos, api, tmp_path, "home")
    (tmp_path / "a.jpg").write_bytes(pictures.jpeg(5200))
    (tmp_path / "b.heic").write_bytes(pictures.jpeg(5201))
    seen = set()
    for command in commands("curl"):
        name, expected = expectation(CURL, command)
        seen.add(name)
        here = command.replace("localhost:8002", api.address).replace("/photos/2024", str(photos)).replace("JOB", job)
        run = await asyncio.to_thread(
            subprocess.run,
            ["sh", "-c", here],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
            check=True,
        )
        assert re.search(expected, run.stdout), f"{here}: {run.stdout}{run.stderr}"
    assert seen == CURL.keys()
