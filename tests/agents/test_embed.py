"""embed alone: ml-request → batches to ML → db-write. Batches linger long: tombstones send them."""

import base64
import hashlib
import json
from collections import Counter
from typing import Any

import httpx
import pytest

from gateways.qdrant import Qdrant
from rules.identity import point_id
from tests.agents.messages import Message, check_envelope, content, ml_request, sealed, unread_file
from tests.bus import Bus
from tests.ml.stub import vector_of
from tests.parts import Part
from topics.bundle import SHARED

STAGE = "embed"


@pytest.fixture(scope="module")
def worker_settings() -> dict[str, Any]:
    return {"ml_batch_linger_seconds": 600, "ml_inference_batch_size": 8}


def told(ml: Part, **behaviour: object) -> None:
    httpx.post(f"{ml.url}/control", json=behaviour).raise_for_status()


def asked(ml: Part) -> list[dict[str, Any]]:
    batches: list[dict[str, Any]] = httpx.get(f"{ml.url}/log").json()
    return batches


def requests(job: str, collection: str, count: int, **fields: object) -> list[Message]:
    return [ml_request(unread_file(job, collection, f"{job}-{number}.jpg")) | fields for number in range(count)]


async def send(bus: Bus, files: list[Message]) -> None:
    for file in files:
        await bus.publish("ml-request", file["sha256"], file)


async def embedded(bus: Bus, files: list[Message]) -> None:
    """Send the requests and the tombstones behind them, and wait for the end of it all."""
    await send(bus, files)
    await sealed(bus, "ml-request", "db-write", files[0]["job_id"])


def check_written(bus: Bus, files: list[Message]) -> None:
    """Check that exactly these were embedded, each with the answer to its own picture."""
    job = files[0]["job_id"]
    written = {value["path"]: value for value in bus.values("db-write", job_id=job)}
    assert set(written) == {file["path"] for file in files}
    for file in files:
        write = written[file["path"]]
        assert write["content"]["vector"] == pytest.approx(vector_of(base64.b64decode(file["rendition_base64"])))
        assert (write["outcome"], write["point_id"]) == ("stored", point_id(file["sha256"]))


async def test_answers_go_to_their_own_pictures(bus: Bus, ml: Part, job: str, collection: str) -> None:
    told(ml, reverse=True)
    files = requests(job, collection, 20, caption=True)
    await embedded(bus, files)
    check_written(bus, files)
    by_path = {file["path"]: file for file in files}
    last: dict[int, int] = {}
    for record in bus.of_job("db-write", job):
        if record.value is None:
            assert record.offset > last.get(record.partition, -1)
            continue
        value = json.loads(record.value)
        check_envelope(record, value["sha256"], by_path[value["path"]])
        assert value["content"]["caption"] == f"A picture called {value['path'].rpartition('/')[2]}"
        last[record.partition] = max(record.offset, last.get(record.partition, -1))
    assert max(len(batch["images"]) for batch in asked(ml)) <= 8
    assert sum(event["images"] for event in bus.events(job, "ml-sent")) == 20
    images = [image["sha256"] for batch in asked(ml) for image in batch["images"]]
    renditions = [hashlib.sha256(base64.b64decode(file["rendition_base64"])).hexdigest() for file in files]
    assert sorted(images) == sorted(renditions)


async def test_files_of_one_message_come_into_one_batch_and_fail_alone(
    bus: Bus, ml: Part, job: str, collection: str
) -> None:
    files = requests(job, collection, 6)
    bad, odd = files[2], {"path": 17}
    told(ml, fail_images=[bad["path"].rpartition("/")[2]])
    own = [{name: value for name, value in file.items() if name not in SHARED} for file in [*files, files[0]]]
    for some in ([*own[:3], odd, *own[3:]], [*own[:2], *own[3:]]):  # most come again, as after a kill
        message = {name: files[0][name] for name in files[0].keys() & set(SHARED)} | {"files": some}
        await bus.publish("ml-request", files[0]["sha256"], message, [("job_id", job.encode())])
    await sealed(bus, "ml-request", "db-write", job)
    check_written(bus, [file for file in files if file is not bad])
    assert bus.outcomes(job)[bad["path"]]["outcome"] == "failed"
    assert [len(batch["images"]) for batch in asked(ml)] == [6]
    assert "17" in str([letter.value for letter in bus.of_job("dead-letter", job)])


@pytest.mark.parametrize("when", ["answered", "asked"])
async def test_a_request_that_comes_again_costs_no_second_call(
    bus: Bus, ml: Part, job: str, collection: str, when: str
) -> None:
    """A killed stage sends again what it had not committed; all that follows is published again all the same."""
    files = requests(job, collection, 4)
    if when == "answered":
        await embedded(bus, files)
    else:
        await send(bus, files)
    await embedded(bus, files)
    check_written(bus, files)
    assert sum(len(batch["images"]) for batch in asked(ml)) == 4
    assert len(bus.values("db-write", job_id=job)) == 8
    assert sum(event["images"] for event in bus.events(job, "ml-sent")) == 4


@pytest.mark.parametrize("refusal", ["fail_images", "reject_batch_with", "nan_images"])
async def test_a_refused_picture_fails_alone(bus: Bus, ml: Part, job: str, collection: str, refusal: str) -> None:
    files = requests(job, collection, 8)
    bad = files[3]
    told(ml, **{refusal: [bad["path"].rpartition("/")[2]]})
    await embedded(bus, files)
    check_written(bus, [file for file in files if file is not bad])
    (failed,) = bus.values("image-outcome", job_id=job, kind="failed-content")
    assert (failed["path"], failed["stage"]) == (bad["path"], "embed")
    assert bus.outcomes(job)[bad["path"]]["outcome"] == "failed"
    assert len(bus.outcomes(job)) == 1
    (letter,) = bus.of_job("dead-letter", job)
    assert letter.key == bad["path"].encode()
    assert "rendition_base64" not in json.loads(letter.value)


async def test_ml_away_is_waited_for(bus: Bus, ml: Part, job: str, collection: str) -> None:
    told(ml, status=503)
    files = requests(job, collection, 3)
    await send(bus, files)
    await bus.close_job(job, "ml-request")
    await bus.until(lambda: bus.events(job, "waiting"), "a waiting event")
    # One for each batch in flight.
    assert {(event["stage"], event["target"]) for event in bus.events(job, "waiting")} == {("embed", "ml")}
    assert bus.values("db-write", job_id=job) == []
    told(ml)
    await bus.until(lambda: len(bus.values("db-write", job_id=job)) == 3, "three answers")
    check_written(bus, files)
    assert [event.get("target") for event in bus.events(job, "waiting")] in (["ml", None], ["ml", "ml", None, None])
    assert bus.of_job("dead-letter", job) == []


@pytest.mark.parametrize("noticed_by", ["its capabilities", "its answers"])
async def test_another_model_is_waited_out(bus: Bus, ml: Part, job: str, created: str, noticed_by: str) -> None:
    """ML that starts anew between two batches is not away for any of them: only its answers tell."""
    await embedded(bus, first := requests(job, created, 2))
    if noticed_by == "its capabilities":
        told(ml, status=503)
        await send(bus, second := requests(f"{job}-2", created, 2))
        await bus.close_job(f"{job}-2", "ml-request")
        await bus.until(lambda: bus.events(f"{job}-2", "waiting"), "ML away")
        told(ml, model_id="stub-2")
        await bus.quiet(2)
    else:
        told(ml, model_id="stub-2")
        await send(bus, second := requests(f"{job}-2", created, 2))
        await bus.close_job(f"{job}-2", "ml-request")
        await bus.until(lambda: bus.events(f"{job}-2", "waiting"), "a waiting event")
        await bus.quiet(1)
    assert bus.values("db-write", job_id=f"{job}-2") == []
    told(ml)
    await bus.until(lambda: len(bus.values("db-write", job_id=f"{job}-2")) == 2, "two answers")
    check_written(bus, first)
    check_written(bus, second)


async def test_pictures_of_two_models_go_in_batches_of_their_own(
    bus: Bus, ml: Part, job: str, created: str, store: Qdrant
) -> None:
    told(ml, models={"stub-2": 24})
    await store.ensure_collection(f"{created}-2", model_id="stub-2", dimension=24, distance="Cosine")
    files = requests(job, created, 3)
    others = requests(f"{job}-2", f"{created}-2", 3, model_id="stub-2")
    await embedded(bus, [file for pair in zip(files, others, strict=True) for file in pair])
    written = {value["path"]: value for name in (job, f"{job}-2") for value in bus.values("db-write", job_id=name)}
    vectors = {value["model_id"]: len(value["content"]["vector"]) for value in written.values()}
    assert vectors == {"stub-1": 512, "stub-2": 24}
    seen = Counter(dict.fromkeys((None, "stub-2"), 0))
    for batch in asked(ml):
        seen[batch["model_id"]] += len(batch["images"])
    assert seen == {None: 3, "stub-2": 3}
    for file in others:
        vector = vector_of(base64.b64decode(file["rendition_base64"]), 24, "stub-2")
        assert written[file["path"]]["content"]["vector"] == pytest.approx(vector)


async def test_a_caption_alone_costs_no_vector_and_is_asked_for_once(
    bus: Bus, ml: Part, job: str, collection: str
) -> None:
    told(ml, models={"stub-2": 24})
    known = content(7) | {"rendition_sha256": "ab" * 32, "read_at": 5.0}
    files = requests(job, collection, 2, caption=True, known=known)
    files.append(files[0] | {"path": "/elsewhere/copy.jpg", "collection": f"{collection}-other"})
    await embedded(bus, files)
    written = {value["path"]: value["content"] for value in bus.values("db-write", job_id=job)}
    assert len(written) == 3
    for got in written.values():
        assert got["caption"].startswith("A picture called")
        assert {name: got[name] for name in known} == known
    # In one batch, or in two where the machine is slow.
    assert sum(len(batch["images"]) for batch in asked(ml)) == 2
    assert all(batch["caption"] for batch in asked(ml))


async def test_a_picture_for_a_model_that_its_collection_is_not_of_fails_alone(
    bus: Bus, job: str, created: str, collection: str
) -> None:
    """No ML will ever come for it, and its neighbours would wait behind it."""
    files = requests(job, created, 4)
    odd, nowhere = requests(job, created, 2)
    odd |= {"model_id": "nobody's", "path": "/elsewhere/odd.jpg"}
    nowhere |= {"model_id": "nobody's", "collection": f"{collection}-gone", "path": "/elsewhere/nowhere.jpg"}
    await embedded(bus, [*files[:2], odd, nowhere, *files[2:]])
    check_written(bus, files)
    failed = {value["path"] for value in bus.values("image-outcome", job_id=job, kind="failed-file")}
    assert failed == {odd["path"], nowhere["path"]}
    assert "asks for model nobody's" in bus.outcomes(job)[odd["path"]]["reason"]


async def test_a_message_that_does_not_validate_leaves(bus: Bus, job: str, collection: str) -> None:
    odd = json.dumps({"job_id": job, "collection": collection, "path": "/a.jpg"}).encode()
    await bus.publish("ml-request", "key", odd, [("job_id", job.encode())])
    await embedded(bus, files := requests(job, collection, 1))
    check_written(bus, files)
    (letter,) = bus.of_job("dead-letter", job)
    assert (letter.key, letter.value) == (b"key", odd)


async def test_batches_are_halved_when_ml_runs_out_of_memory(bus: Bus, ml: Part, job: str, collection: str) -> None:
    told(ml, oom_above=3)
    files = requests(job, collection, 24)
    await embedded(bus, files)
    check_written(bus, files)
    sizes = [(len(batch["images"]), batch["status"]) for batch in asked(ml)]
    assert {status for size, status in sizes if size <= 3} == {200}
    assert {status for size, status in sizes if size > 3} == {500}
    # What was learned holds: the next batches are small from the start.
    httpx.delete(f"{ml.url}/log").raise_for_status()
    await embedded(bus, requests(f"{job}-2", collection, 8))
    assert {batch["status"] for batch in asked(ml)} == {200}
