"""Search before a model, the offer of one, how it comes, and search after it: with the ML service of our own."""

import asyncio
import re
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from embedded.ml.descriptor import MODEL_ID, describe
from gateways.qdrant import Point, Qdrant
from tests import parts
from tests.deadlines import HANG_SECONDS
from tests.ml.test_choosing import DEFAULT, FILES, table
from tests.ml.test_service import service
from tests.models.small_hub import Fault, SmallHub
from tests.web.browser import PHONE
from tests.web.conftest import Open
from tests.web.seeding import _thumbnail
from tests.web.test_search import search

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

ALBUM, MEANT = "coloured", "meant"
TEXT = "text/model.onnx"
COLOURS = {"rose.jpg": (200, 30, 30), "sky.jpg": (70, 120, 210), "moss.jpg": (50, 130, 50)}
Start = Callable[..., parts.Part]


@pytest.fixture(scope="module")
def hub() -> Iterator[SmallHub]:
    with SmallHub(dict(FILES)) as hub:
        yield hub


@pytest.fixture(scope="module", autouse=True)
def album(qdrant: parts.Part) -> Iterator[None]:
    vectors = {name: describe(Image.new("RGB", (60, 40), colour)).tolist() for name, colour in COLOURS.items()}
    write(qdrant, ALBUM, MODEL_ID, vectors)
    yield
    for name in (ALBUM, MEANT):
        httpx.delete(f"{qdrant.url}/collections/{name}", timeout=HANG_SECONDS)


def write(qdrant: parts.Part, collection: str, model_id: str, vectors: dict[str, list[float]]) -> None:
    async def write_all() -> None:
        dimension = len(next(iter(vectors.values())))
        async with Qdrant(qdrant.url) as client:
            await client.ensure_collection(collection, model_id=model_id, dimension=dimension, distance="Cosine")
            points = [
                Point(
                    str(uuid.uuid5(uuid.NAMESPACE_OID, name)),
                    vector,
                    {"filename": name, "paths": [f"/photos/{name}"], "thumbnail_base64": _thumbnail(number)},
                )
                for number, (name, vector) in enumerate(vectors.items())
            ]
            await client.upsert(collection, points)

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, write_all()).result()


@contextmanager
def site_of(
    start_api: Start, hub: SmallHub, data: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str
) -> Iterator[tuple[str, str]]:
    """Give the URLs of an API and of its ML service."""
    (data / "models").mkdir()
    (data / "models" / "table.toml").write_text(table(DEFAULT))
    monkeypatch.delenv("ML_MODEL", raising=False)
    for name, value in {"DARKROOM_DATA": data, "HF_HOME": data / "home", "HF_ENDPOINT": hub.url}.items():
        monkeypatch.setenv(name, str(value))
    with service(*arguments) as ml:
        yield start_api(ML_INFERENCE_SERVICE_URL=ml).url, ml


def offer_of(page: Page) -> Any:
    return page.get_by_role("region", name="Search by meaning")


def test_search_before_a_model_the_offer_its_way_and_search_after_it(
    visit: Open, qdrant: parts.Part, start_api: Start, hub: SmallHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.faults.clear()
    hub.misbehave(TEXT, Fault(delay=3.0, times=2))
    with site_of(start_api, hub, tmp_path, monkeypatch) as (url, ml):
        opened = visit(f"gallery?collection={ALBUM}", url=url)
        page, count = opened.page, opened.page.locator(".chips [role=status]")
        search(page, "red")
        expect(count).to_have_text("1 picture")
        expect(page.locator(".cell .score")).to_have_text("red (colour)")
        expect(page.get_by_role("button", name="rose.jpg")).to_be_visible()
        expect(offer_of(page)).to_be_hidden()

        search(page, "bird in flight")
        expect(page.get_by_text("The model knows no text, so only words were looked up.")).to_be_visible()
        offer = offer_of(page)
        for text in (DEFAULT, "Apache-2.0", "From"):
            expect(offer).to_contain_text(text)
        opened.check_look()
        offer.get_by_role("button", name="Get this model").click()
        bar = offer.get_by_role("progressbar", name=f"How much of {DEFAULT} is here")
        # The text encoder takes its time.
        expect(bar).to_have_attribute("aria-valuenow", re.compile("^[1-9]"))
        page.reload()
        expect(offer.get_by_role("heading", name=f"{DEFAULT} is on its way")).to_be_visible()
        expect(offer.get_by_role("heading", name=f"{DEFAULT} is here")).to_be_visible()
        expect(offer).to_contain_text("A collection stays with the model that it was made with")

        offer.get_by_role("button", name="Use it now").click()
        expect(offer).to_contain_text(f"darkroom reembed {ALBUM} --model {DEFAULT}")
        search(page, "rose")
        expect(count).to_have_text("1 picture")
        expect(page.get_by_text("The model knows no text, so only words were looked up.")).to_be_visible()
        expect(offer.get_by_role("button", name=f"Embed “{ALBUM}” anew")).to_be_visible()
        opened.check_look()
        search(page, "red")  # its own model is there, too
        expect(page.get_by_text("red (colour)")).to_be_visible()

        model_id = httpx.get(f"{ml}/api/v1/capabilities").json()["model_id"]
        flying = embedded(ml, "a bird in flight")
        write(qdrant, MEANT, model_id, {"flying.jpg": flying, "other.jpg": [-value for value in flying]})
        page = opened.go(f"gallery?collection={MEANT}")
        page.reload()
        search(page, "a bird in flight")
        expect(page.get_by_text("1 sure, 0 maybe")).to_be_visible()
        expect(page.locator(".cell .score")).to_have_text(["100 %"])
        expect(offer_of(page)).to_be_hidden()
        expect(page.get_by_text("That is all that is likely: 1 picture.")).to_be_visible()
        page.get_by_role("button", name="Show less likely ones, too").click()
        expect(count).to_have_text("2 pictures")


def test_a_failure_says_what_to_do_and_the_next_try_goes_on(
    visit: Open, start_api: Start, hub: SmallHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.faults.clear()
    hub.misbehave(TEXT, Fault(status=403))
    with site_of(start_api, hub, tmp_path, monkeypatch) as (url, _):
        opened = visit(f"gallery?collection={ALBUM}&q=bird", url=url, viewport=PHONE, color_scheme="dark")
        offer = offer_of(opened.page)
        offer.get_by_role("button", name="Not now").click()
        expect(offer).to_be_hidden()
        opened.page.reload()
        expect(opened.page.get_by_role("heading", name="Nothing was found")).to_be_visible()
        expect(offer).to_be_hidden()
        opened.page.evaluate("localStorage.clear()")
        opened.page.reload()
        offer.get_by_role("button", name="Get this model").click()
        expect(offer).to_contain_text("Set HF_TOKEN to a token that may read it")
        opened.check_look()
        opened.go("system")
        models = opened.page.get_by_role("region", name="Models", exact=True)
        expect(models).to_contain_text("Set HF_TOKEN")
        opened.check_look()
        hub.misbehave(TEXT, Fault(delay=3.0))
        opened.expect_error("503")
        opened.page.route(
            "**/api/v1/models", lambda asked: asked.fulfill(status=503, json={"detail": "away for a moment"}), times=1
        )
        models.get_by_role("button", name=f"Go on {DEFAULT}").click()
        expect(models.get_by_role("alert")).to_contain_text("away for a moment")
        models.get_by_role("button", name=f"Use {DEFAULT}").click()
        expect(opened.in_table(DEFAULT)).to_contain_text("in use")


def test_where_the_model_is_said_at_the_start_nothing_is_offered(
    visit: Open, start_api: Start, hub: SmallHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site_of(start_api, hub, tmp_path, monkeypatch, "--model", "visual") as (url, _):
        opened = visit(f"gallery?collection={ALBUM}&q=bird", url=url)
        expect(opened.page.get_by_text("darkroom models get")).to_be_visible()
        expect(offer_of(opened.page)).to_be_hidden()
        opened.go("system")
        expect(opened.page.get_by_text("visual was chosen at the start")).to_be_visible()


def embedded(ml: str, text: str) -> list[float]:
    answer = httpx.post(f"{ml}/api/v1/embed_text", json={"text": text}, timeout=HANG_SECONDS)
    vector: list[float] = answer.raise_for_status().json()["embedding"]
    return vector
