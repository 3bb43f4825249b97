"""Files sent over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from core.settings import Settings
from tests.api.service import Service, serving
from topics.scan_request import SCAN_REQUEST

pytestmark = pytest.mark.asyncio(loop_scope="module")


JPEG = b"\xff\xd8\xff"


def kept_files(settings: Settings) -> list[Path]:
    return [path for path in settings.uploads_folder.rglob("*") if path.is_file()]


async def test_files_are_kept_and_their_folder_is_scanned(service: Service, collection: str) -> None:
    files = [
        ("files", ("one.jpg", JPEG + b"first", "image/jpeg")),
        ("files", ("one.jpg", JPEG + b"second" * 100_000, "image/jpeg")),
        ("other", ("Überall mit Leerzeichen.HEIC", JPEG + b"third", "image/heic")),
    ]
    response = await service.http.post(
        "ingest/upload", params={"collection": collection, "caption": True}, files=files, data={"note": "no file"}
    )
    assert response.status_code == 202, response.text
    job_id = response.json()["job_id"]
    folder = service.settings.uploads_folder / job_id
    contents = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert contents == {
        "0/one.jpg": JPEG + b"first",
        "1/one.jpg": JPEG + b"second" * 100_000,
        "2/Überall mit Leerzeichen.HEIC": JPEG + b"third",
    }
    [message] = await service.messages(SCAN_REQUEST.name, job_id)
    request = SCAN_REQUEST.decode(message.value or b"")
    assert (request.sources, request.collection, request.caption) == ([str(folder)], collection, True)
    assert (await service.status(job_id))["status"] == "queued"


class TestRefused:
    @pytest.mark.parametrize(
        ("files", "status", "reason"),
        [
            ([(f"{number}.jpg", JPEG) for number in range(6)], 413, "UPLOAD_MAX_FILES"),
            (
                [("small.jpg", JPEG), ("large.jpg", JPEG + b"x" * 3_000_000)],
                413,
                "large.jpg has more than 3,000,000",
            ),
        ],
    )
    async def test_too_much_is_refused_and_nothing_is_left(
        self, service: Service, files: list[tuple[str, bytes]], status: int, reason: str
    ) -> None:
        before = kept_files(service.settings)
        response = await service.http.post("ingest/upload", files=[("files", file) for file in files])
        assert response.status_code == status
        assert reason in response.json()["detail"]
        assert kept_files(service.settings) == before
        assert not list(service.settings.uploads_folder.glob(".*"))

    @pytest.mark.parametrize(
        ("content_type", "body", "reason"),
        [
            ("application/json", b"{}", "multipart/form-data"),
            ("multipart/form-data", b"", "multipart/form-data"),
            ("multipart/form-data; boundary=B", b"rubbish", "not valid"),
            (
                "multipart/form-data; boundary=B",
                b'--B\r\nContent-Disposition: form-data; name="f"; filename="a.jpg"\r\n\r\nhalf a fi',
                "ends too early",
            ),
            (
                "multipart/form-data; boundary=B",
                b'--B\r\nContent-Disposition: form-data; name="f"\r\n\r\nvalue\r\n--B--\r\n',
                "has no file",
            ),
        ],
    )
    async def test_a_body_that_is_no_upload(
        self, service: Service, content_type: str, body: bytes, reason: str
    ) -> None:
        before = kept_files(service.settings)
        response = await service.http.post("ingest/upload", content=body, headers={"Content-Type": content_type})
        assert response.status_code == 400, response.text
        assert reason in response.json()["detail"]
        assert kept_files(service.settings) == before

    async def test_a_wrong_collection_name_is_told_before_the_files_are_read(self, service: Service) -> None:
        async def body() -> AsyncIterator[bytes]:
            raise AssertionError("the body was read")
            yield b""

        response = await service.http.post(
            "ingest/upload",
            params={"collection": "a/b"},
            content=body(),
            headers={"Content-Type": "multipart/form-data; boundary=B"},
        )
        assert response.status_code == 422


async def test_what_a_killed_service_left_half_written_is_removed_at_the_next_start(own: Settings) -> None:
    half = own.uploads_folder / ".job" / "0" / "a.jpg"
    whole = own.uploads_folder / "job" / "0" / "a.jpg"
    archived = own.uploads_folder / ".darkroom-archive" / "id" / "a.jpg"
    for path in (half, whole, archived):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x")
    async with serving(own):
        assert not half.exists()
        assert whole.exists()
        assert archived.exists()


async def test_uploads_at_the_same_time_do_not_mix(service: Service, collection: str) -> None:
    async def upload(number: int) -> httpx.Response:
        files = [("files", ("same.jpg", JPEG + f"{number}".encode()))]
        return await service.http.post("ingest/upload", params={"collection": collection}, files=files)

    responses = await asyncio.gather(*(upload(number) for number in range(4)))
    kept = {
        (service.settings.uploads_folder / response.json()["job_id"] / "0" / "same.jpg").read_bytes()
        for response in responses
    }
    assert kept == {JPEG + b"0", JPEG + b"1", JPEG + b"2", JPEG + b"3"}
