"""Promise 7: every log line about a file says which job it belongs to."""

import uuid
from pathlib import Path

import httpx
import pytest

from tests import pictures
from tests.pipeline import Pipeline, account
from tests.worker import Worker


@pytest.fixture(scope="module")
def worker_settings() -> dict[str, object]:
    return {"log_level": "DEBUG", "log_format": "json"}


async def test_each_line_about_a_file_carries_its_job(
    pipeline: Pipeline, collection: str, tmp_path: Path, worker: Worker
) -> None:
    mark = uuid.uuid4().hex
    folder = tmp_path / mark
    pictures.write(folder, range(9100, 9106), prefix=mark)
    (folder / f"{mark}-copy.jpg").write_bytes(pictures.jpeg(9100))
    (folder / f"{mark}-text.jpg").write_text("no picture")
    (folder / f"{mark}-cut.jpg").write_bytes(pictures.jpeg(9107)[:2000])
    (folder / f"{mark}-link.jpg").symlink_to(folder / "gone")
    (folder / f"{mark}.txt").touch()
    httpx.post(f"{pipeline.ml.url}/control", json={"fail_images": [f"{mark}-9105.jpg"]}).raise_for_status()
    first = await pipeline.scan(folder, collection=collection)
    second = await pipeline.scan(folder, collection=f"{collection}-2")
    for job in (first, second):
        outcomes = account(await pipeline.bus.finished(job))["outcomes"]
        assert (outcomes["failed"], outcomes["skipped"], sum(outcomes.values())) == (4, 1, 11)
    odd = f"{mark} is no JSON".encode()
    await pipeline.bus.publish("raw-path", mark, odd, [("job_id", first.encode())])
    await pipeline.bus.until(
        lambda: any(record.value == odd for record in pipeline.bus.of_job("dead-letter", first)), "the dead letter"
    )

    about = [line for line in worker.lines() if mark in str(line)]
    assert {line["event"] for line in about} >= {"outcome", "failed"}
    without = [line for line in about if not {first, second} & {line.get("job_id"), *line.get("job_ids", [])}]
    assert without == []
    told = {"rejected", "scan-begun", "scan-done"}
    lines = [line for line in worker.lines() if line["event"] in told]
    assert {line["event"] for line in lines} == told
    assert [line for line in lines if line.get("job_id") not in {first, second}] == []
