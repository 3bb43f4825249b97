"""Whether the service runs and can work; and the process as it is started for real."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from core.settings import Settings
from embedded.ports import free_port
from tests import parts
from tests.api.events import outcomes, queued, scanning, sealed, seen
from tests.api.service import Service, eventually, serving
from tests.bus import PARTITIONS
from tests.deadlines import HANG_SECONDS
from topics.job_status import JobStatus

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOWHERE = "http://127.0.0.1:1"


class TestReadiness:
    async def test_with_all_parts_there(self, service: Service) -> None:
        response = await service.http.get("http://127.0.0.1/ready")
        there = {"ready": True, "detail": None}
        assert response.status_code == 200
        assert response.json() == {
            "ready": True,
            "parts": {"kafka": there, "qdrant": there, "stages": there, "ml": there},
        }

    @pytest.mark.parametrize(
        ("part", "setting", "status"),
        [("qdrant", "qdrant_url", 503), ("ml", "ml_inference_service_url", 200)],
    )
    async def test_a_part_that_is_away_is_named_and_only_ml_can_be_done_without(
        self, own: Settings, part: str, setting: str, status: int
    ) -> None:
        async with serving(own.model_copy(update={setting: NOWHERE})) as service:
            response = await service.http.get("http://127.0.0.1/ready")
            assert (response.status_code, response.json()["ready"]) == (status, status == 200)
            states = response.json()["parts"]
            assert [name for name, state in states.items() if not state["ready"]] == [part]
            assert NOWHERE in states[part]["detail"]
            assert (await service.http.get("http://127.0.0.1/health")).json() == {"status": "ok"}


async def test_capabilities(own: Settings) -> None:
    async with serving(own) as service:
        answer = await service.get("capabilities")
        assert {"jpg", "heic", "dng"} <= set(answer["extensions"])
        assert answer["limits"] == {
            "max_file_bytes": 3_000_000,
            "max_image_pixels": own.max_image_pixels,
            "upload_max_files": 5,
        }
        assert (answer["ml"]["model_id"], answer["ml"]["embedding_dim"]) == ("stub-1", 512)
        assert (answer["text_search"], answer["partitions"]) == ("semantic", PARTITIONS)


async def test_capabilities_while_ml_was_never_there(own: Settings) -> None:
    async with serving(own.model_copy(update={"ml_inference_service_url": NOWHERE})) as service:
        answer = await service.get("capabilities")
        assert (answer["ml"], answer["text_search"]) == (None, "keywords")


async def test_every_route_is_described(service: Service) -> None:
    routes = (await service.http.get("http://127.0.0.1/openapi.json")).json()["paths"]
    described = {path: [route.get("description") for route in methods.values()] for path, methods in routes.items()}
    assert "/api/v1/ingest/scan" in described
    assert [path for path, texts in described.items() if not all(texts)] == []
    outside = {path for path in described if not path.startswith("/api/v1/")}
    assert outside == {"/health", "/metrics", "/ready", "/asyncapi.json"}


def environment(settings: Settings) -> dict[str, str]:
    return {
        "KAFKA_BROKERS": settings.kafka_brokers,
        "QDRANT_URL": settings.qdrant_url,
        "ML_INFERENCE_SERVICE_URL": settings.ml_inference_service_url,
        "DARKROOM_DATA": str(settings.darkroom_data),
    }


class TestProcess:
    async def test_it_streams_survives_a_kill_and_ends_on_request(
        self, service: Service, own: Settings, job_id: str, tmp_path: Path
    ) -> None:
        port = free_port()

        def start() -> parts.Part:
            return parts.start("API", ["-m", "api", "--port", str(port)], port, tmp_path / "log", environment(own))

        process = start()
        try:
            async with httpx.AsyncClient(base_url=process.url, timeout=15) as http:
                offset = await service.publish(queued(job_id), seen(job_id, ["a.jpg"]))

                async def known() -> bool:
                    response = await http.get(f"/api/v1/ingest/status/{job_id}")
                    return response.status_code == 200 and response.json()["offset"] >= offset

                await eventually(known)
                shown = []
                async with http.stream("GET", f"/api/v1/ingest/{job_id}/events") as stream:
                    async for line in stream.aiter_lines():
                        if not line.startswith("data: "):
                            continue
                        shown.append(JobStatus.model_validate_json(line.removeprefix("data: ")).status)
                        if len(shown) == 1:  # While the stream is open.
                            await service.publish(scanning(job_id))
                        elif shown[-1] == "scanning":
                            await service.publish(*sealed(job_id, 8), outcomes(job_id, {"a.jpg": "stored"}))
                assert shown[:2] == ["running", "scanning"]
                assert shown[-1] == "completed"

            process.kill()
            process = start()
            async with httpx.AsyncClient(base_url=process.url, timeout=15) as http:
                assert (await http.get(f"/api/v1/ingest/status/{job_id}")).json()["status"] == "completed"
            process.kill(signal.SIGTERM)
            assert process.process.returncode in (0, -signal.SIGTERM)
            assert "Traceback" not in (tmp_path / "log").read_text()
        finally:
            process.kill()

    async def test_a_port_in_use_is_one_clear_line(self, settings: Settings) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            ended = _run("-m", "api", "--port", str(port), **environment(settings))
        assert ended.returncode == 1
        assert ended.stderr.count("\n") == 1
        assert f"cannot listen on 127.0.0.1:{port}" in ended.stderr

    @pytest.mark.parametrize(
        ("variable", "value", "reason"),
        [
            ("QDRANT_URL", "", "QDRANT_URL not set"),
            ("KAFKA_PARTITIONS", "many", "KAFKA_PARTITIONS"),
            ("KAFKA_PARTITIONS", "9", f"has {PARTITIONS} partitions, KAFKA_PARTITIONS says 9"),
        ],
    )
    async def test_settings_that_cannot_be_used_are_one_clear_line(
        self, settings: Settings, variable: str, value: str, reason: str, service: Service
    ) -> None:
        ended = _run("-m", "api", "--port", str(free_port()), **(environment(settings) | {variable: value}))
        assert ended.returncode == 1
        assert ended.stderr.count("\n") == 1, ended.stderr
        assert reason in ended.stderr

    async def test_a_broker_that_never_comes_is_one_clear_line(self, settings: Settings) -> None:
        nowhere = f"127.0.0.1:{free_port()}"
        impatient = "import api.__main__ as service; service.BROKER_SECONDS = 0.5; service.main()"
        variables = environment(settings) | {"KAFKA_BROKERS": nowhere}
        ended = _run("-c", impatient, "--port", str(free_port()), **variables)
        assert ended.returncode == 1
        assert ended.stderr.count("\n") == 1, ended.stderr
        assert f"No Kafka broker answers at {nowhere}" in ended.stderr


def _run(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=parts.ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
