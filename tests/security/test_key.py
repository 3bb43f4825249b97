"""With a key: nothing without it. Without a key: programs on this machine only, and no page of another site."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from core.errors import FatalError
from core.settings import Settings
from embedded.ports import free_port
from rules.listening import require_key, why_foreign
from tests import parts
from tests.api.service import Service, serving
from tests.cli.command import darkroom

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = "k3y-of-this-test"
PROXIED = ("X-Real-IP", "X-Forwarded-Port", "X-Forwarded-Server", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP")
# The page itself, which holds nothing, and the way in.
WITHOUT_KEY = {("get", "/"), ("post", "/api/v1/session")}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def locked(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """Give a service that asks for a key."""
    update = {"darkroom_api_key": SecretStr(KEY), "darkroom_data": tmp_path_factory.mktemp("locked")}
    async with serving(settings.model_copy(update=update)) as running:
        yield running


def root_url(path: str) -> str:
    return f"http://127.0.0.1{path}"


class TestWithAKey:
    async def test_every_route_but_health_asks_for_it(self, locked: Service) -> None:
        paths = (await locked.http.get(root_url("/openapi.json"))).json()["paths"]
        routes = [(method, path) for path, methods in paths.items() for method in methods]
        assert len(routes) > 20
        routes += [
            ("get", path) for path in ("/docs", "/redoc", "/openapi.json", "/nowhere", "/", "/health/", "//health")
        ]
        for method, path in routes:
            url = root_url(path.replace("{job_id}", "x").replace("{name}", "x").replace("{image_id}", "x"))
            response = await locked.http.request(method, url, headers={"Authorization": ""})
            if path == "/health":
                assert response.json() == {"status": "ok"}
                continue
            if (method, path) in WITHOUT_KEY:
                assert response.status_code in {200, 422}
                continue
            assert response.status_code == 401, (method, path)
            assert "DARKROOM_API_KEY" in response.json()["detail"]
            assert response.headers["www-authenticate"].startswith("Bearer")

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Authorization": KEY},
            {"Authorization": f"Basic {KEY}"},
            {"Authorization": f"Bearer {KEY}x"},
            {"Authorization": f"Bearer {KEY[:-1]}"},
            {"Authorization": f"Bearer {KEY.upper()}"},
            {"Authorization": "Bearer "},
            {"X-API-Key": ""},
            {"X-API-Key": f"Bearer {KEY}"},
            {"Cookie": f"X-API-Key={KEY}"},
            {b"X-API-Key": b"\xff\xfe"},
        ],
    )
    async def test_what_is_not_the_key_does_not_pass(self, locked: Service, headers: dict[str, str]) -> None:
        async with httpx.AsyncClient(transport=locked.http._transport, headers=headers) as other:
            assert (await other.get(root_url("/api/v1/collections"))).status_code == 401
            assert (await other.get(root_url(f"/api/v1/collections?X-API-Key={KEY}&key={KEY}"))).status_code == 401

    @pytest.mark.parametrize(
        "headers", [{"Authorization": f"Bearer {KEY}"}, {"authorization": f"bearer {KEY}"}, {"X-API-Key": KEY}]
    )
    async def test_the_key_passes_in_either_header(self, locked: Service, headers: dict[str, str]) -> None:
        async with httpx.AsyncClient(transport=locked.http._transport, headers=headers) as other:
            assert (await other.get(root_url("/api/v1/collections"))).status_code == 200
            # A key cannot be had by a page of another site, so neither name nor origin matter.
            elsewhere = "http://photos.example/api/v1/collections"
            assert (await other.get(elsewhere, headers={"Origin": "http://other.example"})).status_code == 200

    async def test_a_body_without_the_key_is_not_read(self, locked: Service) -> None:
        async def body() -> AsyncIterator[bytes]:
            raise AssertionError("the body was read")
            yield b""

        headers = {"Authorization": "", "Content-Type": "multipart/form-data; boundary=B"}
        response = await locked.http.post("ingest/upload", content=body(), headers=headers)
        assert response.status_code == 401

    async def test_who_has_the_key_alone_cannot_allow_a_folder(self, locked: Service, tmp_path: Path) -> None:
        without = await locked.http.post("ingest/roots", json={"path": "/"}, headers={"Authorization": ""})
        assert without.status_code == 401
        assert (await locked.http.post("ingest/roots", json={"path": "/"})).status_code == 403
        assert (await locked.allow(tmp_path)).status_code == 200


class TestWithoutAKey:
    @pytest.mark.parametrize(
        ("host", "origin"),
        [
            ("photos.example", None),  # DNS rebinding: the page's own name leads here now
            ("photos.example:8002", "http://photos.example:8002"),
            ("127.0.0.1.photos.example:8002", None),
            ("192.168.0.7:8002", None),
            ("0.0.0.0:8002", None),
            ("127.0.0.1:8003", None),
            ("127.0.0.1", None),
            ("user@127.0.0.1:8002", None),
            ("127.0.0.1:8002/x", None),
            ("127.0.0.1:x", None),
            ("[::1", None),
            ("", None),
            ("127.0.0.1:8002", "http://photos.example"),
            ("127.0.0.1:8002", "http://127.0.0.1:3000"),
            ("127.0.0.1:8002", "http://localhost:8002"),
            ("127.0.0.1:8002", "https://127.0.0.1:8002"),
            ("127.0.0.1:8002", "null"),
            ("127.0.0.1:8002", ""),
        ],
    )
    async def test_a_request_from_elsewhere_is_foreign(self, host: str, origin: str | None) -> None:
        assert why_foreign([host], [] if origin is None else [origin], 8002)

    @pytest.mark.parametrize(
        "host", ["127.0.0.1:8002", "localhost:8002", "LOCALHOST:8002", "127.8.0.1:8002", "[::1]:8002"]
    )
    async def test_a_program_here_and_our_own_page_are_not(self, host: str) -> None:
        assert why_foreign([host], [], 8002) is None
        assert why_foreign([host], [f"http://{host}"], 8002) is None
        assert why_foreign([host, host], [], 8002)
        assert why_foreign([], [], 8002)
        assert why_foreign([host.rpartition(":")[0]], [], 80) is None

    async def test_the_process_refuses_what_comes_from_elsewhere_and_changes_nothing(
        self, alone: parts.Part, collection: str
    ) -> None:
        def post(**headers: str) -> httpx.Response:
            return httpx.post(f"{alone.url}/api/v1/collections", json={"name": collection}, headers=headers)

        for response in (
            post(Host="photos.example"),
            post(Host=f"photos.example:{alone.port}"),
            post(Host="127.0.0.1:1"),
            post(Origin="http://photos.example"),
            post(Origin="null"),
            post(Forwarded="for=203.0.113.5"),
            post(**{"X-Forwarded-For": "203.0.113.5"}),
            post(Via="1.1 proxy"),
            *(post(**{name: "203.0.113.5"}) for name in PROXIED),
            httpx.get(f"{alone.url}/health", headers={"Host": "photos.example"}),
            httpx.get(f"{alone.url}/openapi.json", headers={"Host": "photos.example"}),
        ):
            assert (response.status_code, "refused" in response.json()["detail"]) == (403, True)
        assert httpx.get(f"{alone.url}/api/v1/collections/{collection}/info").status_code == 404
        assert post(Origin=alone.url).status_code == 201
        assert httpx.get(f"http://localhost:{alone.port}/health").status_code == 200

    async def test_it_says_at_its_start_whom_it_serves(self, alone: parts.Part) -> None:
        assert "DARKROOM_API_KEY is not set: only programs on this machine are served" in alone.log.read_text()

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "photos.example", ""])
    async def test_it_does_not_listen_beyond_this_machine(self, host: str) -> None:
        with pytest.raises(FatalError, match="DARKROOM_API_KEY"):
            require_key(host, has_key=False)
        require_key(host, has_key=True)

    async def test_a_start_beyond_this_machine_is_one_clear_line(self, settings: Settings, tmp_path: Path) -> None:
        arguments = [sys.executable, "-m", "api", "--host", "0.0.0.0", "--port", str(free_port())]
        ended = await asyncio.to_thread(
            subprocess.run, arguments, cwd=parts.ROOT, env=environment(settings), capture_output=True, text=True
        )
        assert (ended.returncode, ended.stderr.count("\n")) == (1, 1), ended.stderr
        assert "Set DARKROOM_API_KEY" in ended.stderr
        up = darkroom("up", "--host", "0.0.0.0", "--data", str(tmp_path / "data"), cwd=tmp_path)
        assert up.returncode == 1
        assert "DARKROOM_API_KEY" in up.stderr
        assert not (tmp_path / "data").exists(), "parts were started"


def environment(settings: Settings) -> dict[str, str]:
    return os.environ | {
        "KAFKA_BROKERS": settings.kafka_brokers,
        "QDRANT_URL": settings.qdrant_url,
        "ML_INFERENCE_SERVICE_URL": settings.ml_inference_service_url,
        "DARKROOM_DATA": str(settings.darkroom_data / "process"),
    }


@pytest.fixture(scope="module")
def alone(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[parts.Part]:
    """Give a keyless API process."""
    port = free_port()
    log = tmp_path_factory.mktemp("alone") / "log"
    part = parts.start("API", ["-m", "api", "--port", str(port)], port, log, environment(settings))
    yield part
    part.kill()
