"""Pictures whose files have all left: seen page by page, kept longer, forgotten. They were put there by the test."""

import asyncio
import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from gateways.qdrant import Point, Qdrant
from rules.identity import point_id
from tests import parts
from tests.web.conftest import Open
from tests.web.seeding import _thumbnail

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


LOST = "lost"
GONE = 250
NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(scope="module", autouse=True)
def lost(qdrant: parts.Part) -> None:
    """Fill a collection with pictures that are gone, the last ones first, and one that is not."""

    async def write() -> None:
        points = [_point(number, gone_at=(NOW - timedelta(minutes=number)).isoformat()) for number in range(GONE)]
        async with Qdrant(qdrant.url) as client:
            await client.ensure_collection(LOST, model_id="stub-1", dimension=512, distance="Cosine")
            await client.upsert(LOST, [*points, _point(GONE, paths=["/photos/here.jpg"])])

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, write()).result()


def _point(number: int, **fields: object) -> Point:
    name = f"gone-{number:04}.jpg"
    sha256 = hashlib.sha256(name.encode()).hexdigest()
    payload = {
        "filename": name,
        "full_path": f"/photos/{'folder/' * (number % 12)}{name}",
        "paths": [],
        "file_hash": sha256,
        "thumbnail_base64": _thumbnail(number % 12),
    }
    return Point(point_id(sha256), [0.5] * 512, payload | fields)


def test_many_gone_pictures_are_seen_page_by_page_and_some_kept_longer(visit: Open) -> None:
    opened = visit("collections")
    page = opened.page
    page.get_by_role("region", name=f"Collection {LOST}").get_by_role("link", name=f"{GONE} pictures gone").click()
    expect(page.get_by_text(f"100 of {GONE} pictures")).to_be_visible()
    opened.button("Show more").click()
    expect(page.get_by_text(f"200 of {GONE} pictures")).to_be_visible()
    opened.button("Show more").click()
    expect(page.get_by_role("checkbox", name=re.compile("^Select gone-"))).to_have_count(GONE)
    expect(opened.button("Show more")).to_have_count(0)
    expect(opened.in_table("gone-0250.jpg")).to_have_count(0)
    opened.check_look()

    until = opened.in_table("gone-0249.jpg").get_by_role("cell").nth(3)
    planned = until.text_content() or ""
    page.get_by_label("Select gone-0001.jpg").check()
    page.get_by_label("Select gone-0249.jpg").check()
    page.get_by_role("region", name="Selected pictures").get_by_role("button", name="Keep longer").click()
    opened.button("Keep").click()
    expect(page.get_by_text("2 pictures kept longer.")).to_be_visible()
    expect(until).to_contain_text("longer, as you said")
    page.get_by_role("button", name="Keep gone-0249.jpg longer").click()
    page.get_by_label("How long").select_option("For good")
    opened.button("Keep").click()
    expect(until).to_contain_text("for good")
    page.get_by_role("button", name="Keep gone-0249.jpg longer").click()
    page.get_by_label("How long").select_option("As planned, no longer")
    opened.button("Keep").click()
    expect(until).to_have_text(planned)


@pytest.mark.usefixtures("worker")
def test_gone_pictures_are_forgotten_for_good(visit: Open) -> None:
    opened = visit(f"gone?collection={LOST}")
    page = opened.page
    page.get_by_role("button", name="Forget gone-0001.jpg").click()
    asked = page.get_by_role("dialog", name="Forget “gone-0001.jpg”?")
    expect(asked).to_contain_text("Kafka holds messages about it until")
    opened.button("Cancel").click()
    for number in (2, 3):
        page.get_by_label(f"Select gone-000{number}.jpg").check()
    selected = page.get_by_role("region", name="Selected pictures")
    selected.get_by_role("button", name="Forget").click()
    page.get_by_role("dialog").get_by_role("button", name="Forget", exact=True).click()
    expect(page.get_by_text("2 pictures forgotten.")).to_be_visible()
    expect(opened.in_table("gone-0002.jpg")).to_have_count(0)
    expect(opened.in_table("gone-0001.jpg")).to_have_count(1)
    expect(selected).to_be_hidden()
    opened.check_look()
    # The stages have done it, too.
    while page.get_by_text(f"100 of {GONE - 2} pictures").count() == 0:
        page.reload()
        expect(page.get_by_text(re.compile("100 of [0-9,]+ pictures"))).to_be_visible()

    page.get_by_label("Select gone-0001.jpg").check()
    selected.get_by_role("button", name="Select all 100 shown").click()
    selected.get_by_role("button", name=f"Select all {GONE - 2} of “lost”").click()
    selected.get_by_role("button", name="Keep longer").click()
    page.get_by_label("How long").select_option("For good")
    expect(page.get_by_role("dialog")).to_contain_text(f"Keep all {GONE - 2} gone pictures of “lost”?")
    opened.button("Keep").click()
    expect(page.get_by_text(f"{GONE - 2} pictures kept longer.")).to_be_visible()
    expect(page.get_by_text("for good", exact=True)).to_have_count(100)
