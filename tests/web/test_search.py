"""The search box: its language, why a picture was found, and where a query went wrong."""

import asyncio
import re
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from gateways.qdrant import Point, Qdrant
from tests import parts
from tests.ml.stub import vector_of
from tests.web.browser import PHONE
from tests.web.conftest import Open
from tests.web.seeding import _thumbnail

pytestmark = [pytest.mark.system]

COLLECTION = "searched"
PICTURES: list[dict[str, Any]] = [
    {"filename": "IMG_2612.jpg", "tags": ["raptors"], "taken_at": "2018-10-05T10:00:00", "iso": 100},
    {"filename": "IMG_2700.jpg", "caption": "a red roof in the sun", "camera_make": "Canon", "camera_model": "EOS R5"},
    {"filename": "zoe.jpg", "people": ["Zoë Müller"], "taken_at": "2024-06-01T10:00:00"},
]


@pytest.fixture(scope="module", autouse=True)
def album(qdrant: parts.Part) -> None:
    async def write() -> None:
        async with Qdrant(qdrant.url) as client:
            await client.ensure_collection(COLLECTION, model_id="stub-1", dimension=512, distance="Cosine")
            points = [
                Point(
                    str(uuid.uuid5(uuid.NAMESPACE_OID, payload["filename"])),
                    vector_of(payload.get("caption", payload["filename"]).encode()),
                    payload | {"thumbnail_base64": _thumbnail(number), "paths": [f"/photos/{payload['filename']}"]},
                )
                for number, payload in enumerate(PICTURES)
            ]
            await client.upsert(COLLECTION, points)

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, write()).result()


def search(page: Page, text: str) -> None:
    page.get_by_label("Search pictures").fill(text)
    page.keyboard.press("Enter")


def test_by_words_where_the_model_knows_no_text(visit: Open, ml_control: Callable[..., None]) -> None:
    ml_control(supports_text=False)
    opened = visit(f"gallery?collection={COLLECTION}")
    opened.expect_error("404")  # the pictures have no originals
    page = opened.page
    count = page.locator(".chips [role=status]")
    expect(count).to_have_text("3 pictures")
    search(page, "raptor -zoo")
    expect(count).to_have_text("1 picture")
    expect(page.locator(".cell .score")).to_have_text("tag: raptor")
    expect(page.get_by_text("Only words were looked up")).to_be_visible()
    page.locator(".cell .open").click()
    found = page.get_by_role("dialog").locator("section").filter(has_text="Why it was found")
    expect(found).to_contain_text("“raptor”")
    expect(found).to_contain_text("tag: raptors")
    page.keyboard.press("Escape")
    for text, name in {
        "zoe muller": "zoe.jpg",
        "camera:canon": "IMG_2700.jpg",
        "date:2024": "zoe.jpg",
        "iso 100 October 2018": "IMG_2612.jpg",
        '"red roof"': "IMG_2700.jpg",
    }.items():
        search(page, text)
        expect(page.get_by_role("button", name=re.compile(f"^{re.escape(name)}"))).to_be_visible()
        expect(count).to_have_text("1 picture")
    search(page, "kingfisher")
    expect(page.get_by_text("No picture has “kingfisher”")).to_be_visible()
    expect(page.get_by_text("The model knows no text")).to_be_visible()


def test_what_is_wrong_in_a_query_is_shown_where_it_is(visit: Open) -> None:
    opened = visit(f"gallery?collection={COLLECTION}", viewport=PHONE)
    opened.expect_error("422")
    page = opened.page
    search(page, "🐈 date:2024-13 sea")
    alert = page.locator("#content [role=alert]")
    expect(alert.locator("mark")).to_have_text("2024-13")
    expect(alert).to_contain_text("a year, month or day is expected, as in date:2024-05..2024-08")
    box = page.get_by_label("Search pictures")
    assert box.evaluate("(box) => box.value.slice(box.selectionStart, box.selectionEnd)") == "2024-13"
    opened.check_look()
    search(page, "date:2024")
    expect(alert).to_have_count(0)
    expect(page.locator(".chips [role=status]")).to_have_text("1 picture")
    page.get_by_role("button", name="How to search").click()
    expect(page.get_by_role("dialog").get_by_text("date:2024-05..2024-08")).to_be_visible()
    opened.check_look()


def test_a_model_with_a_trained_scale_says_how_many_it_is_sure_of(visit: Open, ml_control: Callable[..., None]) -> None:
    ml_control(logit_scale=4.7245, logit_bias=-16.772)
    page = visit(f"gallery?collection={COLLECTION}").page
    search(page, "a red roof in the sun")
    expect(page.get_by_text("1 sure, 0 maybe")).to_be_visible()
    expect(page.locator(".cell .score").first).to_have_text("caption: red")


def test_words_beside_a_picture(visit: Open, photos: Path) -> None:
    opened = visit(f"gallery?collection={COLLECTION}")
    opened.expect_error("404")  # the pictures have no originals
    opened.expect_error("422")
    page, box = opened.page, opened.page.get_by_label("Search pictures")
    page.get_by_role("button", name=re.compile("^zoe.jpg")).click()
    page.get_by_role("button", name="More like this").click()
    expect(page.get_by_text("More like one picture")).to_be_visible()
    expect(page.get_by_text("Most alike first")).to_be_visible()
    expect(box).to_have_attribute("placeholder", "Add words to the picture")
    search(page, "roof -has:people")
    expect(page.get_by_text("Best first")).to_be_visible()
    expect(page.locator(".cell .score").first).to_have_text("caption: roof")
    search(page, "roof date:x")
    expect(page.locator("#content [role=alert] mark")).to_have_text("x")
    page.get_by_role("button", name="Leave this picture").click()
    expect(page.get_by_text("More like one picture")).to_have_count(0)
    search(page, "roof")
    expect(page.get_by_role("button", name=re.compile("^IMG_2700.jpg"))).to_be_visible()

    file = photos / "searched-with.jpg"
    Image.new("RGB", (40, 30), "red").save(file)
    page.get_by_label("A picture to search with").set_input_files(file)
    expect(page.get_by_text("Looks like searched-with.jpg")).to_be_visible()
    search(page, "raptors")
    expect(page.locator(".cell .score").first).to_have_text("tag: raptors")
    expect(page.get_by_text("Looks like searched-with.jpg")).to_be_visible()
    page.reload()
    expect(page.locator(".cell .score").first).to_have_text("tag: raptors")
