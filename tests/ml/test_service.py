"""The reference ML service as its clients see it: a process, over HTTP."""

import asyncio
import base64
import contextlib
import io
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import httpx
import numpy as np
import pytest
from PIL import Image

from embedded.ml.choosing import Choice
from embedded.ml.descriptor import describe
from embedded.ml.model import VisualModel
from embedded.ml.service import MAX_BATCH, MAX_BODY, create_app
from embedded.models.shelf import Shelf
from gateways.ml import ML, Embedded, ImageInput, Refused
from gateways.ml.images import CONTROL
from tests.deadlines import HANG_SECONDS
from tests.ml import tiny_models
from tests.ml.pictures import series
from tests.models import tiny_families

ROOT = Path(__file__).resolve().parents[2]
BATCH = "/api/v1/batch_embed_and_caption"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "embedded.ml", *map(str, arguments)]


@contextlib.contextmanager
def service(*arguments: object) -> Iterator[str]:
    """Run the service; gives its URL once it is healthy."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    # A file takes whatever the service says: a pipe that nobody reads would hold it up once that is full.
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command("--port", port, *arguments), cwd=ROOT, stderr=log)
        try:
            deadline = time.monotonic() + HANG_SECONDS
            while not is_healthy(url):
                assert process.poll() is None, said(log)
                assert time.monotonic() < deadline, "not healthy"
                time.sleep(0.05)
            yield url
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(HANG_SECONDS)


def said(log: IO[str]) -> str:
    log.seek(0)
    return log.read()


def is_healthy(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{url}/health").is_success
    return False


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with service() as url:
        yield url


def jpeg(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=90)
    return stream.getvalue()


def post(url: str, images: dict[str, bytes], *, caption: bool = False) -> httpx.Response:
    body = [
        {"unique_id": unique_id, "image_base64": base64.b64encode(data).decode(), "filename": f"{unique_id}.jpg"}
        for unique_id, data in images.items()
    ]
    return httpx.post(f"{url}{BATCH}", params={"caption": caption}, json={"images": body}, timeout=HANG_SECONDS)


def embed(url: str, images: dict[str, bytes], *, caption: bool = False) -> dict[str, dict[str, Any]]:
    response = post(url, images, caption=caption)
    response.raise_for_status()
    return {result["unique_id"]: result for result in response.json()["results"]}


def test_capabilities_have_the_contract_and_our_additions(url: str) -> None:
    assert httpx.get(f"{url}/api/v1/capabilities").json() == {
        "safe_clip_batch": 32,
        "safe_blip_batch": 32,
        "clip_model_loaded": True,
        "blip_model_loaded": True,
        "device_type": "cpu",
        "cuda_available": False,
        "embedding_dim": 512,
        "model_id": "darkroom-visual-1",
        "supports_text": False,
        "colours_from": 0.2,
        "logit_scale": None,
        "logit_bias": None,
        "max_image_side": 4096,
        "chooses_models": True,
        "models": [{"name": "visual", "model_id": "darkroom-visual-1"}],
    }


async def test_a_request_may_name_a_model_of_the_shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that came to the shelf after the start: a collection is embedded anew while searches go on."""
    monkeypatch.setenv("DARKROOM_DATA", str(tmp_path))
    picture = ImageInput("a", jpeg(Image.new("RGB", (60, 40), "red")), "a.jpg")
    with service("--model", "visual") as url:
        ml = ML(url, timeout=HANG_SECONDS)
        assert [one.name for one in (await ml.capabilities()).models] == ["visual"]
        tiny_families.write(Shelf(tmp_path).at("tiny"), "siglip")
        first, (_, other) = await ml.capabilities(), (await ml.capabilities()).models
        assert (other.name, other.model_id[:7]) == ("tiny", "siglip-")
        told = await ml.capabilities(other.model_id)
        assert (told.model_id, told.embedding_dim) == (other.model_id, tiny_families.DIMENSION)
        assert (told.supports_text, told.logit_scale) == (True, 4.7245)
        vectors = {}
        for one in (first, told):
            answers = await ml.embed([picture], caption=True, dimension=one.embedding_dim, model_id=one.model_id)
            answer = answers["a"]
            assert isinstance(answer, Embedded)
            vectors[answer.model_id] = answer.vector
        assert {name: len(vector) for name, vector in vectors.items()} == {first.model_id: 512, told.model_id: 24}
        assert len(await ml.embed_text("red", dimension=24, model_id=told.model_id) or []) == 24
        # A model that nobody has is that of the service, as its answer says.
        assert (await ml.capabilities("nobody's")).model_id == first.model_id
        alone = (await ml.caption([picture]))["a"]
        assert isinstance(alone, Embedded)
        assert (alone.caption, alone.vector) == ("A landscape picture, mostly red.", [])
        await ml.close()


def test_a_result_has_all_fields_of_the_contract(url: str) -> None:
    (result,) = embed(url, {"a": jpeg(Image.new("RGB", (60, 40), "red"))}, caption=True).values()
    vector = result.pop("embedding")
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)
    assert result == {
        "unique_id": "a",
        "filename": "a.jpg",
        "embedding_shape": [512],
        "caption": "A landscape picture, mostly red.",
        "error": None,
        "model_name_clip": "darkroom-visual-1",
        "model_name_blip": "darkroom-plain-1",
        "device_used": "cpu",
    }


def test_captions_only_when_asked(url: str) -> None:
    assert embed(url, {"a": jpeg(Image.new("RGB", (60, 40)))})["a"]["caption"] is None


def test_each_image_gets_its_own_vector(url: str) -> None:
    images = {f"id-{n}": jpeg(picture) for n, picture in enumerate(series(4))}
    results = embed(url, images)
    for unique_id, data in images.items():
        assert results[unique_id]["embedding"] == describe(Image.open(io.BytesIO(data))).tolist()


def test_no_images_are_fine(url: str) -> None:
    assert embed(url, {}) == {}


@pytest.mark.parametrize(
    "bad",
    [b"", b"no image at all", jpeg(next(series(1)))[:3000], jpeg(Image.new("RGB", (4097, 1)))],
    ids=["empty", "text", "cut off", "too large"],
)
def test_a_bad_image_fails_alone(url: str, bad: bytes) -> None:
    good = jpeg(Image.new("RGB", (60, 40), "red"))
    results = embed(url, {"before": good, "bad": bad, "after": good}, caption=True)
    assert results["bad"]["error"]
    assert results["bad"]["embedding"] is None
    assert [results[name]["error"] for name in ("before", "after")] == [None, None]
    assert results["before"]["embedding"] == results["after"]["embedding"]


def test_an_image_is_taken_upright_and_transparent_is_white(url: str) -> None:
    upright = Image.new("RGB", (90, 60), "red")
    upright.paste("blue", (0, 0, 30, 60))
    turned, exif = upright.transpose(Image.Transpose.ROTATE_90), Image.Exif()
    exif[0x0112] = 6  # Orientation: to be turned by 90 degrees clockwise
    rotated, clear = io.BytesIO(), io.BytesIO()
    turned.save(rotated, "PNG", exif=exif)
    Image.new("RGBA", (90, 60), (255, 0, 0, 0)).save(clear, "PNG")
    results = embed(
        url, {"upright": jpeg(upright), "rotated": rotated.getvalue(), "clear": clear.getvalue()}, caption=True
    )
    assert (
        results["rotated"]["caption"]
        == results["upright"]["caption"]
        == "A dark landscape picture, mostly red and blue."
    )
    assert np.dot(results["rotated"]["embedding"], results["upright"]["embedding"]) > 0.98
    assert results["clear"]["caption"] == "A bright landscape picture, mostly white."


def test_a_body_that_is_not_the_contract_is_refused_with_the_reason(url: str) -> None:
    response = httpx.post(f"{url}{BATCH}", content=b'{"images": [{"filename": "a"}]}')
    assert response.status_code == 422
    assert "unique_id" in response.json()["detail"]


def test_too_much_at_once_asks_for_less(url: str) -> None:
    response = post(url, {str(n): b"" for n in range(MAX_BATCH + 1)})
    assert (response.status_code, "at most 128" in response.json()["detail"]) == (413, True)
    response = httpx.post(f"{url}{BATCH}", content=bytes(MAX_BODY + 1), timeout=HANG_SECONDS)
    assert (response.status_code, "Send fewer images" in response.json()["detail"]) == (413, True)


def test_a_text_is_not_understood_by_colours_and_edges(url: str) -> None:
    assert httpx.post(f"{url}/api/v1/embed_text", json={"text": "a red roof"}).status_code == 501


async def test_health_answers_while_a_batch_is_in_work(url: str) -> None:
    batch = dict.fromkeys(map(str, range(64)), jpeg(next(series(1)).resize((3000, 2000))))
    working = asyncio.create_task(asyncio.to_thread(post, url, batch))
    answers_meanwhile = 0
    async with httpx.AsyncClient(base_url=url, timeout=HANG_SECONDS) as client:
        while not working.done():
            assert (await client.get("/health")).is_success
            answers_meanwhile += not working.done()
            await asyncio.sleep(0.02)
    assert (await working).status_code == 200
    assert answers_meanwhile >= 3


async def test_the_gateway_and_the_service_understand_each_other(url: str) -> None:
    ml = ML(url, timeout=HANG_SECONDS)
    told = await ml.capabilities()
    assert (told.model_id, told.embedding_dim, told.supports_text) == ("darkroom-visual-1", 512, False)
    assert told.colours_from is not None
    good, bad = ImageInput("good", jpeg(Image.new("RGB", (60, 40), "red")), "1.jpg"), ImageInput("bad", b"", "2.jpg")
    answers = await ml.embed([good, bad, CONTROL], caption=True, dimension=told.embedding_dim)
    assert isinstance(answers[CONTROL.unique_id], Embedded)
    assert isinstance(answers["good"], Embedded)
    assert answers["good"].caption == "A landscape picture, mostly red."
    assert answers["good"].model_id == told.model_id
    assert isinstance(answers["bad"], Refused)
    assert await ml.embed_text("red bird", dimension=512) is None
    (red, blue) = [await ml.embed_text(colour, dimension=512) for colour in ("red", "blue")]
    assert red is not None
    assert blue is not None
    assert np.dot(red, answers["good"].vector) > told.colours_from > np.dot(blue, answers["good"].vector)
    await ml.close()


async def test_before_the_models_are_loaded_it_is_not_healthy(tmp_path: Path) -> None:
    choice = Choice(Shelf(tmp_path), lambda folder, captioner: VisualModel(), reserve=0)
    transport = httpx.ASGITransport(create_app(choice))
    async with httpx.AsyncClient(transport=transport, base_url="http://ml") as client:
        assert (await client.get("/health")).status_code == 503
        assert (await client.get("/api/v1/capabilities")).status_code == 503
        assert (await client.post(BATCH, json={"images": []})).status_code == 503


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=HANG_SECONDS)


def test_a_port_in_use_is_said(url: str) -> None:
    port = url.rsplit(":", 1)[1]
    ended = run(*command("--port", port))
    assert ended.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in ended.stderr
    assert "Traceback" not in ended.stderr


class TestClip:
    def test_models_from_a_folder(self, tmp_path: Path) -> None:
        with service("--clip-models", tiny_models.write(tmp_path)) as url:
            told = httpx.get(f"{url}/api/v1/capabilities").json()
            assert (told["supports_text"], told["embedding_dim"], told["blip_model_loaded"]) == (True, 3, True)
            assert told["model_id"].startswith("clip-")
            result = embed(url, {"a": jpeg(Image.new("RGB", (60, 40), "blue"))}, caption=True)["a"]
            assert (result["caption"], result["model_name_clip"]) == ("a blue picture", told["model_id"])
            text = httpx.post(f"{url}/api/v1/embed_text", json={"text": "blue"}).json()["embedding"]
            assert np.dot(text, result["embedding"]) > 0.99

    def test_what_there_is_memory_for_is_learned_and_told(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tiny_models.write_hungry_vision(tmp_path / "vision")
        monkeypatch.setenv("DARKROOM_DATA", str(tmp_path / "data"))
        image = jpeg(Image.new("RGB", (60, 40), "blue"))
        with service("--clip-models", tmp_path) as url:
            assert post(url, {"a": image, "b": image}).status_code == 200
            assert httpx.get(f"{url}/api/v1/capabilities").json()["safe_clip_batch"] == 1
        with service("--clip-models", tmp_path) as url:
            assert httpx.get(f"{url}/api/v1/capabilities").json()["safe_clip_batch"] == 1

    def test_a_folder_without_models_stops_the_start(self, tmp_path: Path) -> None:
        ended = run(*command("--port", free_port(), "--clip-models", tmp_path))
        assert ended.returncode == 1
        assert "vision/model.onnx" in ended.stderr
        assert "Traceback" not in ended.stderr

    def test_a_missing_extra_is_named(self, tmp_path: Path) -> None:
        """As on a machine without the extra: the first package of it cannot be imported."""
        (tmp_path / "onnxruntime.py").write_text("raise ModuleNotFoundError(name='onnxruntime')")
        main = (
            f"import runpy, sys; sys.path.insert(0, {str(tmp_path)!r}); "
            "runpy.run_module('embedded.ml', run_name='__main__')"
        )
        ended = run(sys.executable, "-c", main, "--port", str(free_port()), "--clip-models", str(tmp_path))
        assert ended.returncode == 1
        assert "the extra `models`, and onnxruntime is missing: pip install" in ended.stderr
        assert "Traceback" not in ended.stderr


def test_the_extra_is_not_imported_without_the_option() -> None:
    load = "main._model(main.environment.load(), None, None, None)"
    code = f"import sys, embedded.ml.__main__ as main; {load}; print(*sys.modules)"
    modules = run(sys.executable, "-c", code).stdout.split()
    assert "embedded.ml.model" in modules
    assert not {"huggingface_hub", "onnxruntime", "tokenizers"} & set(modules)


def test_a_model_of_the_data_folder_is_served_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_families.write(tmp_path / "models" / "tiny", "siglip")
    monkeypatch.setenv("DARKROOM_DATA", str(tmp_path))
    monkeypatch.setenv("ML_MODEL", "tiny")
    with service() as url:
        told = httpx.get(f"{url}/api/v1/capabilities").json()
        assert told["model_id"].startswith("siglip-")
        assert (told["embedding_dim"], told["supports_text"], told["device_type"]) == (24, True, "cpu")
        assert (told["logit_scale"], told["logit_bias"]) == (4.7245, -16.772)
        text = httpx.post(f"{url}/api/v1/embed_text", json={"text": "a bird"}).json()["embedding"]
        assert np.linalg.norm(text) == pytest.approx(1)
    with service("--model", "visual") as url:
        assert httpx.get(f"{url}/api/v1/capabilities").json()["model_id"] == "darkroom-visual-1"


def test_a_model_that_is_not_there_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_DATA", str(tmp_path))
    ended = run(*command("--port", free_port(), "--model", "tiny"))
    assert ended.returncode == 1
    assert "'tiny' is not here" in ended.stderr
    assert "darkroom models get" in ended.stderr


def test_a_captioner_of_the_data_folder_describes_what_another_model_compares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(tmp_path)
    tiny_families.write(shelf.at("tiny"), "siglip")
    tiny_models.write(shelf.at("words"))
    said = json.loads((shelf.at("tiny") / "model.json").read_text())
    (shelf.at("words") / "model.json").write_text(json.dumps(said | {"name": "words", "family": "captioner"}))
    monkeypatch.setenv("DARKROOM_DATA", str(tmp_path))
    shelf.choose("words")
    blue = {"a": jpeg(Image.new("RGB", (60, 40), "blue"))}
    for model, dimension in (("visual", 512), ("tiny", 24)):
        with service("--model", model) as url:
            result = embed(url, blue, caption=True)["a"]
            assert (result["caption"], len(result["embedding"])) == ("a blue picture", dimension)
            assert result["model_name_blip"].startswith("captioner-")
    shelf.unchoose("words")
    with service("--model", "tiny") as url:
        assert embed(url, blue, caption=True)["a"]["model_name_blip"] == "darkroom-plain-1"
