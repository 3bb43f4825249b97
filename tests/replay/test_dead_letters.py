"""Dead letters of a real pipeline: what they say, trying them again, and what is remembered of decisions."""

import hashlib
import json
import uuid
from pathlib import Path
from typing import Any

from aiokafka import ConsumerRecord

from core.settings import Settings
from tests import pictures
from tests.api.service import Service, eventually, serving
from tests.pipeline import Pipeline, account
from tests.replay.conftest import Quiet, run_to_its_end


async def letters(service: Service, count: int, **filters: Any) -> list[dict[str, Any]]:
    """Return the letters that match, once there are so many."""

    async def enough() -> bool:
        return len((await service.get("dead-letters", **filters))["letters"]) >= count

    await eventually(enough)
    answer = await service.get("dead-letters", **filters)
    found: list[dict[str, Any]] = answer["letters"]
    assert (len(found), answer["total"]) == (count, count)
    if count > 1:
        first = await service.get("dead-letters", **filters, limit=1)
        assert (len(first["letters"]), first["total"]) == (1, count)
    return found


async def post(service: Service, path: str, **body: Any) -> dict[str, Any]:
    response = await service.http.post(path, json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def test_mended_files_run_again_and_complete_the_job(
    pipeline: Pipeline, service: Service, collection: str, tmp_path: Path
) -> None:
    pictures.write(tmp_path, range(7500, 7502))
    broken, gone = tmp_path / "broken.jpg", tmp_path / "gone.jpg"
    broken.write_bytes(pictures.jpeg(7510)[:2000])
    gone.symlink_to(tmp_path / "nowhere")
    job = await pipeline.run(tmp_path, collection=collection)
    job_id = job["job_id"]
    assert (job["status"], job["outcomes"]["failed"]) == ("completed_with_errors", 2)

    found = {letter["path"]: letter for letter in await letters(service, 2, job=job_id, state="open")}
    assert found.keys() == {str(broken), str(gone)}
    assert await letters(service, 1, job=job_id, stage="scan") == [found[str(gone)]]
    assert await letters(service, 1, job=job_id, error_class="ContentError") == [found[str(broken)]]
    letter = await service.get(f"dead-letters/{found[str(broken)]['id']}")
    assert (letter["restart_topic"], letter["attempt"], letter["stage"]) == ("raw-path", 1, "prepare")
    assert str(broken) in letter["payload"]
    assert "Traceback" in letter["stack_trace"]
    assert letter["headers"]["__connect.errors.topic"] == "hashed-file"

    broken.write_bytes(pictures.jpeg(7511))
    gone.unlink()
    gone.write_bytes(pictures.jpeg(7512))
    assert (await post(service, f"ingest/{job_id}/retry-failed"))["done"] == 2

    async def completed() -> dict[str, Any] | None:
        status = await service.get(f"ingest/status/{job_id}")
        return status if status["status"] == "completed" else None

    status = await eventually(completed)
    assert status["outcomes"]["stored"] == status["total_files"] == 4
    assert status["end_time"] is not None
    assert {str(broken), str(gone)} <= (await pipeline.points(collection)).keys()
    assert await letters(service, 0, job=job_id, state="open") == []
    assert len(await letters(service, 2, job=job_id, state="replayed")) == 2


async def test_a_file_of_a_bundle_is_tried_again_and_replayed_without_its_neighbours(
    pipeline: Pipeline, service: Service, quiet: Quiet, collection: str, tmp_path: Path
) -> None:
    bus, job_id = pipeline.bus, f"job-{uuid.uuid4().hex[:12]}"
    paths = pictures.write_new(tmp_path, 4)
    whole = paths[1].read_bytes()
    paths[1].write_bytes(whole[:2000])
    files = [{"path": str(path)} for path in paths]
    value = {"job_id": job_id, "collection": collection, "roots": [str(tmp_path)], "files": [*files, 17]}
    await bus.publish("raw-path", str(paths[0]), value, [("job_id", job_id.encode())])
    await bus.close_job(job_id)
    status = account(await bus.finished(job_id))
    assert (status["outcomes"]["stored"], status["outcomes"]["failed"]) == (3, 1)
    # Kafka has no file for the entry that names none: it is no file of the job.
    assert [letter["path"] for letter in await letters(service, 1, job=job_id, error_class="ContentError")] == [
        str(paths[1])
    ]
    paths[1].write_bytes(whole)
    before = len(bus.of_job("raw-path", job_id))
    answer = await post(service, f"ingest/{job_id}/retry-failed")
    assert answer["done"] >= 1

    async def completed() -> bool:
        status = await service.get(f"ingest/status/{job_id}")
        return bool(status["outcomes"]["stored"] == 4)

    await eventually(completed)
    await bus.until(lambda: len(bus.of_job("raw-path", job_id)) > before, "the file again")
    again = [record for record in bus.of_job("raw-path", job_id)[before:] if b"path" in (record.value or b"")]
    assert {json.loads(record.value)["path"] for record in again} == {str(paths[1])}

    # Of the whole topic each file is published by itself, and nothing changes.
    pipeline.forget_ml()
    run = await run_to_its_end(service, "replay", topic="raw-path", job_id=job_id)
    assert run["published"] == 5  # one of them twice: it was tried again
    await quiet()
    names = [dict(record.headers)["ce_id"] for record in bus.messages if dict(record.headers).get("replay-of")]
    assert len(set(names)) == len(names)
    assert pipeline.ml_batches() == []
    status = await service.get(f"ingest/status/{job_id}")
    assert (status["outcomes"]["stored"], status["total_files"]) == (4, 4)


async def test_a_job_whose_folder_was_missing_is_scanned_when_it_is_there(
    pipeline: Pipeline, service: Service, collection: str, tmp_path: Path
) -> None:
    folder = tmp_path / "later"
    job = await pipeline.run(folder, collection=collection)
    assert job["status"] == "failed"
    [letter] = await letters(service, 1, job=job["job_id"])
    assert letter["restart_topic"] == "scan-request"
    pictures.write(folder, range(7600, 7602))
    assert (await post(service, f"ingest/{job['job_id']}/retry-failed"))["done"] == 1

    async def completed() -> bool:
        status = await service.get(f"ingest/status/{job['job_id']}")
        return bool(status["status"] == "completed" and status["outcomes"]["stored"] == 2)

    await eventually(completed)


async def test_what_fails_again_counts_its_attempts_up_to_the_limit(
    pipeline: Pipeline, service: Service, quiet: Quiet, collection: str, tmp_path: Path
) -> None:
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_bytes(pictures.jpeg(7520)[:2500])
    job = await pipeline.run(tmp_path, collection=collection)
    only = {"job_id": job["job_id"]}
    assert await post(service, "dead-letters/replay", **only) == {"done": 3, "refused": 0, "refusals": [], "jobs": {}}
    await quiet()
    # One letter a file is to be acted on, also for files that waited for another one's content.
    again = await letters(service, 3, job=job["job_id"], state="open")
    assert [letter["attempt"] for letter in again] == [2, 2, 2]

    refused = await post(service, "dead-letters/replay", **only)
    assert (refused["done"], refused["refused"]) == (0, 3)
    assert "tried 2 times, the limit is 2" in refused["refusals"][0]["reason"]
    forced = await post(service, "dead-letters/replay", ids=[again[0]["id"], "0-999999"], force=True)
    assert (forced["done"], forced["refused"]) == (1, 1)
    assert forced["refusals"] == [{"id": "0-999999", "reason": "There is no such dead letter (any more)."}]
    await quiet()
    assert max(letter["attempt"] for letter in await letters(service, 3, job=job["job_id"], state="open")) == 3
    assert (await service.get(f"ingest/status/{job['job_id']}"))["outcomes"]["failed"] == 3


async def test_bytes_that_do_not_validate_go_back_to_their_topic(
    pipeline: Pipeline, service: Service, quiet: Quiet
) -> None:
    key = f"key-{uuid.uuid4().hex}"
    nonsense = f"{key} is {{ no JSON \udcff".encode("utf-8", "surrogateescape")
    # Other tests leave some.
    before = (await service.get("dead-letters", job="", error_class="InvalidMessageError", state="open"))["total"]
    await pipeline.bus.publish("hashed-file", key, nonsense)
    await quiet()
    [letter] = [
        letter
        for letter in await letters(service, before + 1, job="", error_class="InvalidMessageError", state="open")
        if letter["restart_topic"] == "hashed-file"
    ]
    assert (await service.get(f"dead-letters/{letter['id']}"))["payload"] == f"{key} is {{ no JSON \\xff"
    assert (await post(service, "dead-letters/replay", ids=[letter["id"]]))["done"] == 1
    await quiet()

    def copies() -> list[ConsumerRecord[bytes, bytes]]:
        return [r for r in pipeline.bus.records if r.topic == "hashed-file" and r.value == nonsense]

    await pipeline.bus.until(lambda: len(copies()) == 2, "the message and its replay")
    again = max(copies(), key=lambda record: record.offset)
    assert again.partition == copies()[0].partition
    assert (again.key, dict(again.headers)["replay"], dict(again.headers)["attempt"]) == (key.encode(), b"true", b"2")
    assert not [name for name, _ in again.headers if name.startswith("__connect")]


async def test_what_a_replay_would_not_do_is_refused_with_what_to_do(
    pipeline: Pipeline, service: Service, collection: str
) -> None:
    """It was said to be published again, and no stage did anything."""
    key, at = uuid.uuid4().hex, "2026-01-02T03:04:05+00:00"
    of = {"collection": collection, "at": 1.0, "sha256": hashlib.sha256(key.encode()).hexdigest()}
    leaving = {"job_id": key, "path": "/photos/a.jpg", **of, "sequence": 1, "reason": "gone"}
    forget, purge, sync = "darkroom forget", "each minute: drop it", "darkroom sync"
    asked: list[tuple[str, dict[str, Any] | None, str | None, str]] = [
        ("image-outcome", {"kind": "forget-picture", **of}, None, forget),
        ("image-outcome", {"kind": "unforget-picture", **of}, None, "`unforget`"),
        ("image-outcome", {"kind": "forget-collection", "collection": collection, "at": 1.0}, None, forget),
        ("image-outcome", {"kind": "purge", "gone_at": at, **of}, None, purge),
        ("db-write", {"kind": "erase", "why": "purge", "gone_at": at, **of}, None, purge),
        ("db-write", {"kind": "erase", "why": "forget", **of}, None, forget),
        ("db-write", {"kind": "left", **leaving}, None, sync),
        ("raw-path", None, "forget", forget),
        ("raw-path", None, "sweep", sync),
        ("raw-path", None, None, "close the job"),
    ]
    for topic, value, header, _ in asked:
        headers = [("restart-topic", topic.encode()), ("job_id", key.encode())]
        named = [(header, b"{}")] if header is not None else []
        await pipeline.bus.publish("dead-letter", key, value, [*headers, *named])
    found = await letters(service, len(asked), job=key)
    for force in (False, True):
        decided = await post(service, "dead-letters/replay", ids=[one["id"] for one in found], force=force)
        assert (decided["done"], decided["refused"]) == (0, len(asked))
        # The newest is first.
        for refusal, (*what, words) in zip(decided["refusals"], reversed(asked), strict=True):
            assert words in refusal["reason"], what
    assert (await post(service, "dead-letters/drop", job_id=key))["done"] == len(asked)


async def test_decisions_outlive_the_view_and_the_whole_service(
    pipeline: Pipeline, service: Service, api_settings: Settings, collection: str, tmp_path: Path
) -> None:
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_text(f"no picture {number}")
    job = await pipeline.run(tmp_path, collection=collection)
    first, second, third = await letters(service, 3, job=job["job_id"])
    assert (await post(service, "dead-letters/drop", ids=[first["id"]]))["done"] == 1
    assert (await post(service, "dead-letters/drop", ids=[first["id"]]))["refusals"][0]["reason"] == (
        "It was dropped already."
    )
    assert (await post(service, "dead-letters/replay", ids=[second["id"]]))["done"] == 1
    assert "Force it" in (await post(service, "dead-letters/replay", ids=[second["id"]]))["refusals"][0]["reason"]
    # Nothing but Kafka is left of what this service knew.
    fresh = api_settings.model_copy(update={"darkroom_data": tmp_path / "fresh"})
    async with serving(fresh) as other:
        states = {
            letter["id"]: letter["state"] for letter in (await other.get("dead-letters", job=job["job_id"]))["letters"]
        }
        assert (states[first["id"]], states[second["id"]], states[third["id"]]) == ("dropped", "replayed", "open")


async def test_lists_are_read_page_by_page(
    service: Service, pipeline: Pipeline, collection: str, tmp_path: Path
) -> None:
    for number in range(5):
        (tmp_path / f"{number}.jpg").write_text(f"no picture {number}")
    job = await pipeline.run(tmp_path, collection=collection)
    whole = [letter["id"] for letter in await letters(service, 5, job=job["job_id"])]
    found: list[str] = []
    cursor: dict[str, str] = {}
    while len(found) < 5:
        page = await service.get("dead-letters", job=job["job_id"], limit=2, **cursor)
        found += [letter["id"] for letter in page["letters"]]
        cursor = {"cursor": page["next"]} if page["next"] else {}
    assert found == whole
    assert not cursor


async def test_wrong_requests_are_refused(service: Service) -> None:
    get, http = service.http.get, service.http
    assert (await get("dead-letters", params={"cursor": "x"})).status_code == 422
    assert (await get("dead-letters", params={"state": "lost"})).status_code == 422
    assert (await get("dead-letters/nonsense")).status_code == 422
    assert (await get("dead-letters/0-999999")).status_code == 404
    assert (await http.post("ingest/no-such-job/retry-failed")).status_code == 404
    bodies: list[dict[str, Any]] = [{}, {"all": True, "ids": ["0-1"]}, {"all": True, "stage": "hash"}, {"ids": ["x"]}]
    for body in bodies:
        for action in ("replay", "drop"):
            assert (await http.post(f"dead-letters/{action}", json=body)).status_code == 422, body
