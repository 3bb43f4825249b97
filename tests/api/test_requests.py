"""What holds for all routes: problems, conditional requests, other sites, and requests that are sent twice."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.settings import Settings
from gateways.qdrant import Point, Qdrant
from tests.api.service import Service, serving
from tests.photos import photo

pytestmark = pytest.mark.asyncio(loop_scope="module")

JPEG = photo("jpg/Canon_40D.jpg").read_bytes()


class TestProblems:
    async def test_wrong_values_are_named_one_by_one(self, service: Service) -> None:
        response = await service.http.post("search", json={"query": "x", "limit": 0, "offset": -1})
        problem = response.json()
        assert (response.status_code, response.headers["content-type"]) == (422, "application/problem+json")
        assert (problem["status"], problem["type"]) == (422, "urn:darkroom:problem:invalid-values")
        assert [one["at"] for one in problem["errors"]] == ["body.limit", "body.offset"]
        assert all(one["at"] in problem["detail"] for one in problem["errors"])

    async def test_what_the_framework_refuses_is_a_problem_too(self, service: Service) -> None:
        nowhere = await service.http.get("no-such-route")
        assert (nowhere.status_code, nowhere.json()["type"]) == (404, "urn:darkroom:problem:not-found")
        wrong_method = await service.http.put("search")
        assert (wrong_method.status_code, wrong_method.headers["allow"]) == (405, "POST")
        assert "PUT" in wrong_method.json()["detail"]

    async def test_a_part_that_is_away_is_named_for_programs(self, own: Settings) -> None:
        async with serving(own.model_copy(update={"qdrant_url": "http://127.0.0.1:1"})) as service:
            response = await service.http.get("collections")
            assert (response.status_code, response.json()["type"]) == (503, "urn:darkroom:problem:qdrant-unavailable")
            assert int(response.headers["retry-after"]) > 0


class TestOriginals:
    async def test_a_file_is_sent_again_only_after_a_change(
        self, service: Service, vectors: Qdrant, collection: str, photos: Path
    ) -> None:
        file = photos / f"{collection}.jpg"
        file.write_bytes(JPEG)
        await vectors.ensure_collection(collection, model_id="stub-1", dimension=512, distance="Cosine")
        stored = Point(str(uuid.uuid4()), [1.0] * 512, {"full_path": str(file), "paths": [str(file)]})
        await vectors.upsert(collection, [stored])
        url, where = f"images/{stored.id}/image", {"collection": collection}
        first = await service.http.get(url, params=where)
        assert first.headers["cache-control"] == "private, no-cache"
        known = {"If-None-Match": f'"other", {first.headers["etag"]}'}
        again = await service.http.get(url, params=where, headers=known)
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
        file.write_bytes(JPEG + b"edited")
        changed = await service.http.get(url, params=where, headers=known)
        assert (changed.status_code, changed.content) == (200, JPEG + b"edited")


class TestOtherSites:
    ALLOWED = "https://photos.example"

    async def test_only_pages_of_allowed_sites_may_use_the_api(self, own: Settings) -> None:
        async with serving(own.model_copy(update={"cors_origins": (self.ALLOWED,)})) as service:
            asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "idempotency-key"}
            preflight = await service.http.options("ingest/scan", headers=asked | {"Origin": self.ALLOWED})
            assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (200, self.ALLOWED)
            allowed = await service.http.get("collections", headers={"Origin": self.ALLOWED})
            assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, self.ALLOWED)
            foreign = await service.http.get("collections", headers={"Origin": "https://else.example"})
            assert (foreign.status_code, "access-control-allow-origin" in foreign.headers) == (403, False)

    async def test_a_page_of_an_allowed_site_needs_the_key_but_its_preflight_does_not(self, own: Settings) -> None:
        keyed = Settings(
            **(own.model_dump() | {"cors_origins": self.ALLOWED, "darkroom_api_key": "secret-of-this-test"})
        )
        async with serving(keyed) as service:
            nobody = {"Authorization": "", "Origin": self.ALLOWED}
            preflight = await service.http.options(
                "collections", headers=nobody | {"Access-Control-Request-Method": "GET"}
            )
            assert preflight.status_code == 200
            refused = await service.http.get("collections", headers=nobody)
            assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, self.ALLOWED)


class TestIdempotencyKey:
    async def test_a_scan_that_is_sent_twice_is_one_job(self, service: Service, photos: Path, collection: str) -> None:
        body = {"directory_path": str(photos), "collection": collection}
        key = {"Idempotency-Key": uuid.uuid4().hex}
        first = await service.http.post("ingest/scan", json=body, headers=key)
        again = await service.http.post("ingest/scan", json=body, headers=key)
        assert (first.status_code, again.status_code) == (202, 202)
        assert first.json()["job_id"] == again.json()["job_id"]
        assert len(await service.messages("scan-request", first.json()["job_id"])) == 1
        other = await service.http.post("ingest/scan?caption=true", json=body, headers=key)
        assert (other.status_code, "Idempotency-Key" in other.json()["detail"]) == (422, True)
        twofold = await service.http.post("ingest/scan", json=body | {"job_id": "mine"}, headers=key)
        assert twofold.status_code == 422

    async def test_an_upload_that_is_sent_twice_is_written_once(
        self, service: Service, collection: str, settings: Settings
    ) -> None:
        files = [("files", ("a.jpg", JPEG)), ("files", ("b.txt", b"no picture"))]
        key = {"Idempotency-Key": uuid.uuid4().hex}
        answers = [
            await service.http.post("ingest/upload", params={"collection": collection}, files=files, headers=key)
            for _ in range(2)
        ]
        assert [answer.status_code for answer in answers] == [202, 202]
        first, again = (answer.json() for answer in answers)
        assert (first["job_id"], first["refused"]) == (again["job_id"], again["refused"])
        assert [refused["filename"] for refused in again["refused"]] == ["b.txt"]
        folder = settings.uploads_folder / first["job_id"]
        assert [path.name for path in folder.rglob("*.*")] == ["a.jpg"]
        assert len(await service.messages("scan-request", first["job_id"])) == 1

    async def test_two_uploads_at_once_do_not_disturb_each_other(self, service: Service, collection: str) -> None:
        key = {"Idempotency-Key": uuid.uuid4().hex}

        async def send() -> httpx.Response:
            files = {"files": ("a.jpg", JPEG)}
            return await service.http.post("ingest/upload", params={"collection": collection}, files=files, headers=key)

        answers = await asyncio.gather(send(), send())
        assert sorted(answer.status_code for answer in answers) == [202, 409]
        assert (await send()).status_code == 202


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("images", "limit"),
        ("ingest/recent_jobs", "per_page"),
        ("random", "collections"),
        ("collections", "x"),
        ("system", "Limit"),
        ("images/9a6c1a52-0d1c-4a53-8a4d-1b7f0f6d2c11/thumbnail", "size"),
    ],
)
async def test_a_parameter_that_a_route_does_not_have_is_named(service: Service, path: str, parameter: str) -> None:
    response = await service.http.get(path, params={parameter: "200"})
    assert response.status_code == 422, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert f"has no parameter {parameter!r}" in response.json()["detail"]


@pytest.mark.parametrize("path", ["health", "ready", "metrics", "asyncapi.json"])
async def test_no_route_passes_over_a_parameter(service: Service, path: str) -> None:
    response = await service.http.get(f"http://127.0.0.1/{path}", params={"limit": 5})
    assert (response.status_code, "has no parameter 'limit'" in response.text) == (422, True)
    assert (await service.http.get(f"http://127.0.0.1/{path}")).status_code in {200, 503}


async def test_a_parameter_that_is_given_twice_is_refused(service: Service) -> None:
    response = await service.http.get("images?per_page=1&per_page=200")
    assert (response.status_code, "'per_page' is given more than once" in response.text) == (422, True)
    response = await service.http.post("search/image", files={"file": ("a.jpg", JPEG)}, data={"limit": ["1", "2"]})
    assert (response.status_code, "'limit' is given more than once" in response.text) == (422, True)


async def chunks() -> AsyncIterator[bytes]:
    """Give more than any route takes, without saying how much it is."""
    for _ in range(40):
        yield b" " * 50_000


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "ingest/nothing-here/close"),
        ("POST", "ingest/nothing-here/cancel"),
        ("POST", "collections/nothing-here/renew"),
        ("DELETE", "collections/nothing-here"),
        ("GET", "images"),
    ],
)
async def test_a_body_that_a_route_does_not_take_is_refused(service: Service, method: str, path: str) -> None:
    response = await service.http.request(method, path, json={"accept_missing": True})
    assert (response.status_code, "takes no body ('accept_missing')" in response.text) == (422, True)
    response = await service.http.request(method, path, content=b"accept_missing=1")
    assert (response.status_code, "takes no body:" in response.text) == (422, True)
    large = await service.http.request(method, path, content=chunks())
    assert large.status_code == 413
    without = await service.http.request(method, path, json={})
    assert without.status_code != 422, without.text


async def test_a_body_that_is_not_said_to_be_json_is_refused_with_what_to_do(service: Service) -> None:
    response = await service.http.post("search", content=b'{"query": "x"}', headers={"Content-Type": "text/plain"})
    assert (response.status_code, "Content-Type: application/json" in response.json()["detail"]) == (422, True)


async def test_all_parameters_that_are_described_are_known(service: Service) -> None:
    response = await service.http.get("images", params={"limit": 5, "sort": "filename", "colour": "red"})
    detail = response.json()["detail"]
    assert "has no parameter 'colour', 'limit'; it has: collection, cursor, filters, page, per_page, sort." in detail


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("search", {"json": {"query": "sea", "per_page": 5}}),
        ("ingest/scan", {"json": {"directory_path": "/photos", "per_page": 5}}),
        ("dead-letters/drop", {"json": {"all": True, "per_page": 5}}),
        ("search/image", {"files": {"file": ("a.jpg", JPEG)}, "data": {"per_page": "5"}}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_field_that_a_body_does_not_have_is_named(service: Service, path: str, sent: dict[str, Any]) -> None:
    response = await service.http.post(path, **sent)
    assert response.status_code == 422, response.text
    assert "per_page" in response.json()["detail"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("ingest/roots", '{"path": "/\\ud800"}'),
        ("dead-letters/replay", '{"job_id": "\\ud800"}'),
        ("search", '{"query": "x", "filters": {"camera_make": ["\\udfff"]}}'),
        ("session", '{"key": "' + "[" * 100 + '\\ud800"}'),
        ("search", '{"query": "x", "filters": {"tags": ' + "[" * 50_000 + "]" * 50_000 + "}}"),
    ],
)
async def test_what_is_no_text_or_has_no_end_is_refused(service: Service, path: str, body: str) -> None:
    response = await service.http.post(path, content=body, headers={"content-type": "application/json"})
    assert response.status_code in {400, 422}, response.text
    assert response.headers["content-type"] == "application/problem+json"
