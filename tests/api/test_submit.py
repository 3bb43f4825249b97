"""Asking for a job over HTTP, while no worker runs."""

import asyncio
import stat
import time
from pathlib import Path

import httpx
import pytest

from core.settings import Settings
from gateways.qdrant import Qdrant
from rules.local_token import FILE, HEADER
from tests.api.service import Service, serving
from topics.job_event import JOB_EVENT, Queued, Scanning
from topics.record import Headers
from topics.scan_request import SCAN_REQUEST

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("route", ["ingest/", "ingest/scan"])
async def test_a_submitted_job_is_visible_at_once_and_its_scan_is_requested(
    service: Service, photos: Path, collection: str, route: str
) -> None:
    response = await service.http.post(
        route, params={"caption": True}, json={"directory_path": str(photos), "collection": collection}
    )
    assert response.status_code == 202, response.text
    job_id = response.json()["job_id"]
    assert response.json() == {"job_id": job_id, "status": "queued", "message": "Queued."}

    status = await service.get(f"ingest/status/{job_id}")
    assert (status["status"], status["collection"], status["sources"]) == ("queued", collection, [str(photos)])
    assert status["total_files"] == 0
    assert set(status["outcomes"]) == {"stored", "cached", "duplicate", "unchanged", "skipped", "failed"}

    [scan] = await service.messages(SCAN_REQUEST.name, job_id)
    request = SCAN_REQUEST.decode(scan.value or b"")
    assert (request.collection, request.sources, request.caption) == (collection, [str(photos)], True)
    assert request.model_id == "stub-1"
    [event] = await service.messages(JOB_EVENT.name, job_id)
    assert isinstance(JOB_EVENT.decode(event.value or b""), Queued)
    assert {Headers.decode(message.headers).job_id for message in (scan, event)} == {job_id}


async def test_the_collection_is_created_for_the_model_that_ml_runs(
    service: Service, photos: Path, collection: str, vectors: Qdrant
) -> None:
    await service.http.post("ingest/", json={"directory_path": str(photos), "collection": collection})
    created = await vectors.collection(collection)
    assert created is not None
    assert (created.model_id, created.dimension, created.points) == ("stub-1", 512, 0)


async def test_several_folders_and_single_files_are_one_job(service: Service, photos: Path, collection: str) -> None:
    file = str(photos / "one.jpg")
    response = await service.http.post(
        "ingest/scan", json={"directory_paths": [str(photos), file], "collection": collection}
    )
    assert response.status_code == 202, response.text
    assert (await service.status(response.json()["job_id"]))["sources"] == [str(photos), file]


class TestJobIds:
    async def test_the_same_request_again_is_the_same_job_queued_once(
        self, service: Service, photos: Path, collection: str, job_id: str
    ) -> None:
        body = {"directory_path": str(photos), "collection": collection, "job_id": job_id}
        responses = await asyncio.gather(*(service.http.post("ingest/scan", json=body) for _ in range(3)))
        assert [(response.status_code, response.json()["job_id"]) for response in responses] == [(202, job_id)] * 3
        assert len(await service.messages(SCAN_REQUEST.name, job_id)) == 1

    async def test_another_request_under_the_same_id_is_refused(
        self, service: Service, photos: Path, collection: str, job_id: str
    ) -> None:
        body = {"directory_path": str(photos), "collection": collection, "job_id": job_id}
        assert (await service.http.post("ingest/scan", json=body)).status_code == 202
        other = await service.http.post("ingest/scan", json=body, params={"caption": True})
        assert other.status_code == 409
        assert job_id in other.json()["detail"]
        assert len(await service.messages(SCAN_REQUEST.name, job_id)) == 1

    async def test_what_is_left_out_is_part_of_the_request(
        self, service: Service, photos: Path, collection: str, job_id: str
    ) -> None:
        body = {"directory_path": str(photos), "collection": collection, "job_id": job_id, "exclude": ["*.tif"]}
        for _ in range(2):
            assert (await service.http.post("ingest/scan", json=body)).status_code == 202
        assert (await service.http.post("ingest/scan", json=body | {"exclude": ["*.png"]})).status_code == 409
        [message] = await service.messages(SCAN_REQUEST.name, job_id)
        assert SCAN_REQUEST.decode(message.value or b"").exclude == ["*.tif"]
        wrong = await service.http.post("ingest/scan", json=body | {"exclude": ["bad\\"]})
        assert (wrong.status_code, "bad" in wrong.json()["detail"]) == (422, True)

    async def test_a_submit_that_broke_off_halfway_can_be_repeated(
        self, service: Service, photos: Path, collection: str, job_id: str
    ) -> None:
        """The scan request was delivered and taken up; that the job is queued was not."""
        offset = await service.publish(Scanning(job_id=job_id, at=time.time(), collection=collection, walk_id="w"))
        await service.status(job_id, offset=offset)
        body = {"directory_path": str(photos), "collection": collection, "job_id": job_id}
        response = await service.http.post("ingest/scan", json=body)
        assert response.status_code == 202, response.text
        assert (await service.status(job_id))["sources"] == [str(photos)]

    @pytest.mark.parametrize("bad", ["../x", "", "a b", "x" * 200])
    async def test_an_id_that_cannot_be_one_is_refused(self, service: Service, photos: Path, bad: str) -> None:
        response = await service.http.post("ingest/scan", json={"directory_path": str(photos), "job_id": bad})
        assert response.status_code == 422
        assert "job_id" in response.json()["detail"]


@pytest.fixture(scope="module", autouse=True)
def traps(photos: Path) -> None:
    """Put folders beside the allowed one, and links that lead out of it or nowhere."""
    (photos.parent / "outside").mkdir()
    (photos.parent / "photos2").mkdir()
    (photos / "link-out").symlink_to(photos.parent / "outside")
    (photos / "loop").symlink_to(photos / "loop")


class TestPaths:
    @pytest.mark.parametrize(
        ("path", "reason"),
        [
            ("{photos}/missing", "does not exist"),
            ("{photos}/one.jpg/below", "does not exist"),
            ("{photos}/one.jpg", "is a file, not a folder"),
            ("{photos}/../outside", "outside the folders"),
            ("{photos}/link-out", "outside the folders"),
            ("/etc", "outside the folders"),
            ("/", "outside the folders"),
            ("{photos}2", "outside the folders"),
            ("photos", "not an absolute path"),
            ("{photos}/loop", "cannot be used as a path|does not exist"),
            ("{photos}/\0", "cannot be used as a path"),
            ("{photos}/" + "x" * 5000, "cannot be"),
        ],
    )
    async def test_a_path_that_cannot_be_used_is_refused_with_the_reason(
        self, service: Service, photos: Path, path: str, reason: str
    ) -> None:
        response = await service.http.post("ingest/scan", json={"directory_path": path.format(photos=photos)})
        assert response.status_code == 400, response.text
        assert any(part in response.json()["detail"] for part in reason.split("|")), response.json()

    async def test_a_link_inside_the_root_is_followed_to_the_real_folder(
        self, service: Service, photos: Path, collection: str
    ) -> None:
        (photos / "real").mkdir()
        (photos / "link").symlink_to(photos / "real")
        response = await service.http.post(
            "ingest/scan", json={"directory_path": str(photos / "link"), "collection": collection}
        )
        assert response.status_code == 202
        assert (await service.status(response.json()["job_id"]))["sources"] == [str(photos / "real")]

    async def test_no_path_at_all_is_refused(self, service: Service) -> None:
        response = await service.http.post("ingest/scan", json={})
        assert response.status_code == 422
        assert "directory_path is missing" in response.json()["detail"]

    async def test_without_roots_nothing_may_be_read_until_this_machine_allows_it(
        self, own: Settings, photos: Path, collection: str
    ) -> None:
        settings = own.model_copy(update={"ingest_roots": ()})
        body = {"directory_path": str(photos), "collection": collection}
        async with serving(settings) as service:
            refused = await service.http.post("ingest/scan", json=body)
            assert refused.status_code == 400
            assert "INGEST_ROOTS" in refused.json()["detail"]
            allowed = await service.allow(photos)
            assert allowed.json() == {"roots": [str(photos)]}
        async with serving(settings) as service:  # It is remembered.
            assert (await service.http.post("ingest/scan", json=body)).status_code == 202

    async def test_only_who_can_read_the_token_can_allow_a_folder(self, own: Settings, photos: Path) -> None:
        """A plain proxy on this machine looks like a person at it: the address tells nothing."""
        async with serving(own) as service:
            file = own.darkroom_data / "api" / FILE
            token = file.read_text()
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            for sent in ({}, {HEADER: ""}, {HEADER: token[:-1]}, {HEADER: f"{token}x"}, {"Authorization": token}):
                refused = await service.http.post("ingest/roots", json={"path": str(photos.parent)}, headers=sent)
                assert (refused.status_code, refused.json()["token_file"]) == (403, str(file)), sent
                scan = await service.http.post("ingest/scan", json={"directory_path": str(photos.parent)})
                assert scan.status_code == 400
            assert (await service.allow(photos.parent)).status_code == 200
        async with serving(own) as service:
            former = await service.http.post("ingest/roots", json={"path": "/"}, headers={HEADER: token})
            assert former.status_code == 403


class TestTarget:
    @pytest.mark.parametrize("name", ["a/b", "-x", "x" * 65, "ä"])
    async def test_a_wrong_collection_name_is_refused(self, service: Service, photos: Path, name: str) -> None:
        response = await service.http.post("ingest/scan", json={"directory_path": str(photos), "collection": name})
        assert response.status_code == 422
        assert "cannot name a collection" in response.json()["detail"]

    async def test_a_collection_of_another_model_is_a_conflict(
        self, service: Service, photos: Path, collection: str, vectors: Qdrant
    ) -> None:
        await vectors.ensure_collection(collection, model_id="other", dimension=512, distance="Cosine")
        response = await service.http.post(
            "ingest/scan", json={"directory_path": str(photos), "collection": collection}
        )
        assert response.status_code == 409
        assert "other" in response.json()["detail"]

    async def test_while_ml_is_away_the_model_that_it_ran_last_counts(
        self, own: Settings, photos: Path, collection: str, job_id: str, ml_control: httpx.AsyncClient
    ) -> None:
        async with serving(own) as service:
            await service.get("capabilities")
        await ml_control.post("/control", json={"status": 503})
        async with serving(own) as service:
            body = {"directory_path": str(photos), "collection": collection, "job_id": job_id}
            assert (await service.http.post("ingest/scan", json=body)).status_code == 202
            assert (await service.status(job_id))["model_id"] == "stub-1"

    async def test_with_ml_never_seen_the_settings_name_the_model_or_the_submit_says_what_is_missing(
        self, own: Settings, photos: Path, collection: str, ml_control: httpx.AsyncClient
    ) -> None:
        await ml_control.post("/control", json={"status": 503})
        body = {"directory_path": str(photos), "collection": collection}
        async with serving(own) as service:
            refused = await service.http.post("ingest/scan", json=body)
            assert refused.status_code == 503
            assert "ML_MODEL_ID" in refused.json()["detail"]
        async with serving(own.model_copy(update={"ml_model_id": "set", "qdrant_vector_size": 7})) as service:
            accepted = await service.http.post("ingest/scan", json=body)
            assert (await service.status(accepted.json()["job_id"]))["model_id"] == "set"
            assert (await service.get(f"collections/{collection}/info"))["dimension"] == 7

    async def test_with_qdrant_away_nothing_is_queued(self, own: Settings, photos: Path, job_id: str) -> None:
        async with serving(own.model_copy(update={"qdrant_url": "http://127.0.0.1:1"})) as service:
            response = await service.http.post("ingest/scan", json={"directory_path": str(photos), "job_id": job_id})
            assert response.status_code == 503
            assert "Qdrant" in response.json()["detail"]
            assert await service.messages(SCAN_REQUEST.name, job_id) == []
