"""Uploads by people who mean no good."""

import io
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pillow_heif
import pytest
from PIL import Image

from imaging.formats import HEAD_BYTES, is_listed, is_picture
from tests import pictures
from tests.api.service import Service
from tests.photos import PHOTOS

pytestmark = pytest.mark.asyncio(loop_scope="module")

JPEG = pictures.jpeg(9_100_000)


def on_disk(service: Service) -> set[Path]:
    return set(service.settings.darkroom_data.rglob("*"))


async def test_what_is_no_picture_is_left_out_and_named(service: Service, collection: str) -> None:
    files = [
        ("files", ("page.jpg", b"<html><script>alert(1)</script>")),
        ("files", ("good.jpg", JPEG)),
        ("files", ("program.png", b"\x7fELF" + bytes(60))),
        ("files", ("nothing.jpg", b"")),
        ("files", ("note.bmp", b"BMW is a maker of cars")),
    ]
    response = await service.http.post("ingest/upload", params={"collection": collection}, files=files)
    assert response.status_code == 202, response.text
    assert [refused["filename"] for refused in response.json()["refused"]] == [
        "page.jpg", "program.png", "nothing.jpg", "note.bmp",
    ]  # fmt: skip
    assert all(refused["reason"] for refused in response.json()["refused"])
    folder = service.settings.uploads_folder / response.json()["job_id"]
    assert [path.relative_to(folder) for path in on_disk(service) if folder in path.parents and path.is_file()] == [
        Path("1/good.jpg")
    ]


async def test_what_a_folder_would_leave_out_is_left_out_here_too(service: Service, collection: str) -> None:
    names = ["._good.jpg", "holiday/@eaDir/good.jpg", "holiday/good.jpg"]
    files = [("files", (name, JPEG)) for name in names]
    response = await service.http.post("ingest/upload", params={"collection": collection}, files=files)
    assert response.status_code == 202, response.text
    assert [refused["filename"] for refused in response.json()["refused"]] == names[:2]


async def test_an_upload_without_any_picture_is_refused_and_leaves_nothing(service: Service) -> None:
    before = on_disk(service)
    response = await service.http.post("ingest/upload", files=[("files", ("a.jpg", b"text"))])
    assert response.status_code == 422
    assert "a.jpg: no picture" in response.json()["detail"]
    assert on_disk(service) == before


@pytest.mark.parametrize(
    "name",
    [
        "../../../evil.jpg",
        "/etc/evil.jpg",
        "..\\..\\evil.jpg",
        "..",
        ".ssh",
        "a/../../evil.jpg",
        "C:\\evil.jpg",
        "\n.jpg",
    ],
)
async def test_a_name_never_becomes_a_path(service: Service, collection: str, name: str) -> None:
    before = on_disk(service)
    response = await service.http.post(
        "ingest/upload", params={"collection": collection}, files=[("files", (name, JPEG))]
    )
    assert response.status_code == 202, response.text
    folder = service.settings.uploads_folder / response.json()["job_id"] / "0"
    fresh = [path for path in on_disk(service) - before if path.suffix not in {".db", ".db-wal", ".db-shm"}]
    assert {path for path in fresh if path.is_file()} == {next(path for path in fresh if path.parent == folder)}


async def test_form_fields_without_end_are_cut_off(service: Service) -> None:
    before = on_disk(service)
    response = await service.http.post(
        "ingest/upload", files=[("files", ("a.jpg", JPEG))], data={"note": "x" * 100_000}
    )
    assert response.status_code == 413
    assert on_disk(service) == before


@pytest.fixture
def little_room(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the disk seem to have a megabyte beside the reserve."""

    def kept() -> int:
        return sum(path.stat().st_size for path in service.settings.uploads_folder.rglob("*") if path.is_file())

    before = kept()

    def usage(_: Path) -> SimpleNamespace:
        return SimpleNamespace(free=service.settings.disk_reserve_bytes + 1_000_000 - (kept() - before))

    monkeypatch.setattr(shutil, "disk_usage", usage)


@pytest.mark.usefixtures("little_room")
class TestRoom:
    async def test_what_would_take_the_reserve_is_refused_before_it_is_read(self, service: Service) -> None:
        async def body() -> AsyncIterator[bytes]:
            raise AssertionError("the body was read")
            yield b""

        for route in ("ingest/upload", "search/image"):
            headers = {"Content-Type": "multipart/form-data; boundary=B", "Content-Length": "2500000"}
            response = await service.http.post(route, content=body(), headers=headers)
            assert response.status_code == 507, response.text
            assert "DISK_RESERVE_BYTES" in response.json()["detail"]

    async def test_what_does_not_say_its_length_is_cut_off_there(self, service: Service) -> None:
        sent = 0

        async def body() -> AsyncIterator[bytes]:
            nonlocal sent
            yield b'--B\r\nContent-Disposition: form-data; name="f"; filename="a.jpg"\r\n\r\n' + JPEG
            for _ in range(25):
                sent += 100_000
                yield bytes(100_000)

        before = on_disk(service)
        headers = {"Content-Type": "multipart/form-data; boundary=B"}
        response = await service.http.post("ingest/upload", content=body(), headers=headers)
        assert (response.status_code, sent < 2_000_000) == (507, True), response.text
        assert on_disk(service) == before

    async def test_what_fits_passes_and_gives_its_room_back(self, service: Service, collection: str) -> None:
        for number in range(3):
            file = ("files", ("a.jpg", JPEG + bytes([number]) * 400_000))
            response = await service.http.post("ingest/upload", params={"collection": collection}, files=[file])
            assert response.status_code == (202 if number < 2 else 507), response.text


async def test_every_real_photograph_passes() -> None:
    found = [path for path in PHOTOS.rglob("*") if is_listed(path.name) and "broken" not in path.parts]
    assert len(found) > 20, f"{PHOTOS} lacks the photographs"
    assert [path for path in found if not is_picture(path.read_bytes()[:HEAD_BYTES])] == []


@pytest.mark.parametrize("written_as", ["PNG", "BMP", "GIF", "TIFF", "WEBP", "HEIF", "AVIF", "JPEG"])
async def test_every_format_that_is_decoded_passes(written_as: str) -> None:
    pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64)).save(buffer, written_as)
    assert is_picture(buffer.getvalue()[:HEAD_BYTES])


@pytest.mark.parametrize("route", ["ingest/upload", "search/image"])
@pytest.mark.parametrize("boundary", ["b" * 71, "b" * 10_000, "\xff", '"', ""])
async def test_a_boundary_that_is_none_is_refused(service: Service, route: str, boundary: str) -> None:
    content_type = f"multipart/form-data; boundary={boundary}".encode("latin-1")
    response = await service.http.post(route, content=b"--b\r\n\r\n", headers=[(b"content-type", content_type)])
    assert response.status_code in {400, 422}, response.text
    assert response.json()["detail"]
