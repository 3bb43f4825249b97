"""The worked examples of docs/extending.md: each applies to a copy of the sources, and does there what it says."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import pictures
from tests.deadlines import HANG_SECONDS
from tests.parts import ROOT, Part

GUIDE = (ROOT / "docs" / "extending.md").read_text()
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "docs", "deploy", "build")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of the sources."""
    return Path(shutil.copytree(ROOT, tmp_path / "darkroom", ignore=LEFT_OUT))


def change(heading: str) -> str:
    """Return the diff below a heading."""
    _, _, section = GUIDE.partition(f"\n## {heading}\n")
    (diff,) = re.findall(r"```diff\n(.*?)```", section.partition("\n## ")[0], re.DOTALL)
    return str(diff)


def apply(copy: Path, heading: str) -> None:
    run = subprocess.run(
        ["git", "apply", "--recount", "-"],
        cwd=copy,
        env=os.environ | {"GIT_CEILING_DIRECTORIES": str(copy.parent)},
        input=change(heading),
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert run.returncode == 0, run.stderr


def python(copy: Path, script: str, *arguments: str) -> str:
    """Run a script with the modules of the copy; return what it printed."""
    run = subprocess.run(
        [sys.executable, "-P", "-c", script, *arguments],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-4000:]
    return run.stdout


def test_a_field_of_the_metadata(copy: Path) -> None:
    apply(copy, "A field of the metadata")
    flashed, plain = copy / "flash.jpg", copy / "plain.jpg"
    plain.write_bytes(pictures.jpeg(1))
    script = """
import os, sys
from PIL import Image
from imaging.decoding import prepare
from imaging.hashing import stamp
plain, flashed = sys.argv[1:]
with Image.open(plain) as image:
    exif = image.getexif()
    exif.get_ifd(0x8769)[37385] = 25
    image.save(flashed, exif=exif)
for path in (os.fsencode(flashed), os.fsencode(plain)):
    print(prepare(path, stamp(path), None, max_pixels=10**8, max_bytes=10**8).metadata.flash)
"""
    assert python(copy, script, str(plain), str(flashed)).split() == ["True", "None"]


def test_a_route(copy: Path, kafka: Part, qdrant: Part, ml: Part) -> None:
    apply(copy, "A route")
    script = """
import asyncio, sys, time, uuid
from pathlib import Path
from core.settings import Settings
from tests.api.service import serving
from topics.job_event import Queued
async def main():
    kafka, qdrant, ml = sys.argv[1:]
    settings = Settings(
        kafka_brokers=kafka, qdrant_url=qdrant, ml_inference_service_url=ml, darkroom_data=Path("data")
    )
    job_id = f"job-{uuid.uuid4().hex}"
    async with serving(settings) as service:
        offset = await service.publish(Queued(job_id=job_id, at=time.time(), collection="photos", sources=["/photos"]))
        await service.status(job_id, offset=offset)
        shown = (await service.http.get(f"ingest/{job_id}/summary")).text
        print("shown:", shown.strip(), (await service.http.get("ingest/nobody/summary")).status_code)
asyncio.run(main())
"""
    shown = python(copy, script, kafka.address, qdrant.url, ml.url)
    # Among lines of the log.
    assert "shown: queued: 0 of 0 files 404" in shown.splitlines()


def test_a_stage(copy: Path, kafka: Part, qdrant: Part, ml: Part) -> None:
    apply(copy, "A stage")
    script = """
import asyncio, sys, time, uuid
from pathlib import Path
from types import SimpleNamespace
from core.settings import Settings
from tests.bus import Bus
from tests.worker import Worker
from topics.admin import create_topics
async def main():
    kafka, qdrant, ml = (SimpleNamespace(address=each, url=each) for each in sys.argv[1:])
    settings = {"kafka_group_prefix": uuid.uuid4().hex[:8]}
    await create_topics(Settings(kafka_brokers=kafka.address, **settings), kafka.address)
    job_id = f"job-{uuid.uuid4().hex}"
    file = {"job_id": job_id, "collection": "c", "path": "/p.jpg", "model_id": "m", "sha256": "0" * 64}
    file |= {"size": 1, "mtime_ns": 1}
    async with Bus(kafka.address, "photo-stored") as bus:
        await bus.publish("image-outcome", "0" * 64, file | {"kind": "failed-file", "reason": "gone"})
        await bus.publish("image-outcome", "0" * 64, file | {"kind": "stored", "incarnation": "i"})
        with Worker(kafka, qdrant, ml, Path("data"), stages="announce", **settings):
            await bus.until(lambda: bus.values("photo-stored", job_id=job_id), "the message")
        print(*bus.values("photo-stored", job_id=job_id))
asyncio.run(main())
"""
    shown = python(copy, script, kafka.address, qdrant.url, ml.url)
    assert shown.count("'path': '/p.jpg'") == 1
    assert "'sha256': '" + "0" * 64 + "'" in shown
    # What follows from the one entry in the topology.
    script = """
from topics.asyncapi import document
from topics.topology import INPUTS, topics_read, topics_written
print(document()["channels"]["photo-stored"]["description"])
print(topics_read("announce"), sorted(topics_written("announce")), "photo-stored" in INPUTS)
"""
    assert python(copy, script).splitlines() == [
        "a photograph that is in its collection now, for programs that want to know.",
        "['image-outcome'] ['dead-letter', 'job-event', 'photo-stored'] False",
    ]
