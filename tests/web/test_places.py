"""What a page shows follows from its address alone: after Back, Forward, a reload, and in another tab."""

import asyncio
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaProducer
from playwright.sync_api import Locator, Page, expect

from tests import parts, pictures
from tests.web import seeding
from tests.web.browser import PHONE
from tests.web.conftest import Open
from topics.dead_letter import DEAD_LETTER, Failure

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

WALKS = "walks"
PICTURES = 700
TRIPS = "trips"
LETTERS = 1234
SHORT = {"width": 1200, "height": 520}

Api = Callable[[str, str, dict[str, Any] | None], Any]


@pytest.fixture(scope="module", autouse=True)
def seeded(qdrant: parts.Part, site: parts.Part) -> None:
    """Give two collections of the model that the ML stub runs, and some that are empty."""
    seeding.seed(qdrant.url, WALKS, PICTURES, dimension=512, model_id="stub-1")
    seeding.seed(qdrant.url, TRIPS, 30, dimension=512, model_id="stub-1")
    for name in ("photos", "empty"):
        seeding.seed(qdrant.url, name, 0, dimension=512, model_id="stub-1")


@pytest.fixture
def api(site: parts.Part) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{site.url}/api/v1/") as client:
        yield client


def nothing_selected(api: httpx.Client) -> None:
    """Select a collection and delete it: there is no other way back."""
    api.post("collections", json={"name": "passing"}).raise_for_status()
    api.post("collections/select", json={"name": "passing"}).raise_for_status()
    api.delete("collections/passing").raise_for_status()


def fullest(api: httpx.Client) -> str:
    found = api.get("collections").json()["collections"]
    name: str = max(found, key=lambda one: one["points"])["name"]
    return name


def cells(page: Page) -> Locator:
    return page.locator(".cell:not(.loading)")


def names(page: Page) -> list[str]:
    """Return the names of the pictures in sight, once they are there."""
    expect(cells(page).first).to_be_visible()
    found: list[str] = page.locator(".cell .name").all_text_contents()
    return found


def collection(page: Page) -> Locator:
    return page.locator("#content").get_by_label("Collection", exact=True)


def test_each_view_opens_what_was_used_last_else_the_fullest(visit: Open, api: httpx.Client) -> None:
    nothing_selected(api)
    most = fullest(api)
    for place in ("gallery", "duplicates", "ingest"):
        opened = visit(place)
        expect(collection(opened.page)).to_have_value(most)
    opened = visit("gallery")
    page = opened.page
    expect(page.locator(".chips [role=status]")).to_have_text(re.compile("pictures$"))
    collection(page).select_option(TRIPS)
    expect(cells(page)).to_have_count(30)
    for place in ("duplicates", "ingest", "gallery"):
        page.locator(f'nav a[data-place="{place}"]').click()
        expect(collection(page)).to_have_value(TRIPS)
    other = page.context.new_page()
    other.goto(f"{opened.url}/")
    expect(collection(other)).to_have_value(TRIPS)
    other.close()


def test_going_back_leads_to_the_collection_that_was_shown(visit: Open, api: httpx.Client) -> None:
    nothing_selected(api)
    page = visit("gallery").page
    expect(collection(page)).to_have_value(fullest(api))
    collection(page).select_option(TRIPS)
    expect(cells(page)).to_have_count(30)
    page.go_back()
    expect(collection(page)).to_have_value(fullest(api))
    page.go_forward()
    expect(collection(page)).to_have_value(TRIPS)
    page.reload()
    expect(collection(page)).to_have_value(TRIPS)


def test_a_collection_that_is_gone_is_said_to_be_gone_and_not_opened_again(
    visit: Open, api: httpx.Client, qdrant: parts.Part
) -> None:
    seeding.seed(qdrant.url, "for-now", 3, dimension=512, model_id="stub-1")
    opened = visit("gallery?collection=for-now")
    page = opened.page
    expect(cells(page)).to_have_count(3)
    api.post("collections/select", json={"name": "for-now"}).raise_for_status()
    api.delete("collections/for-now").raise_for_status()
    page.reload()
    expect(page.get_by_role("heading", name="There is no collection “for-now”")).to_be_visible()
    page.get_by_role("link", name="Show").first.click()
    expect(collection(page)).to_have_value(fullest(api))
    page.locator('nav a[data-place="duplicates"]').click()
    expect(collection(page)).to_have_value(fullest(api))
    opened.go("duplicates?collection=for-now")
    expect(page.get_by_role("heading", name="There is no collection “for-now”")).to_be_visible()


def test_a_collection_that_was_made_active_is_opened_though_it_is_empty(visit: Open, api: httpx.Client) -> None:
    opened = visit("collections")
    page = opened.page
    page.get_by_role("button", name="Make empty active").click()
    expect(page.get_by_role("region", name="Collection empty").get_by_text("active", exact=True)).to_be_visible()
    page.locator('nav a[data-place="gallery"]').click()
    expect(page.get_by_role("heading", name="No pictures here yet")).to_be_visible()
    expect(collection(page)).to_have_value("empty")
    nothing_selected(api)


def test_a_selection_ends_with_the_list_it_was_made_in(visit: Open) -> None:
    opened = visit(f"gallery?collection={WALKS}")
    page = opened.page
    page.get_by_label("Search pictures").fill("lighthouse")
    page.keyboard.press("Enter")
    expect(page.get_by_text("“lighthouse”")).to_be_visible()
    expect(cells(page).first).to_be_visible()
    page.locator(".cell .open").first.focus()
    page.keyboard.press("x")
    selected = page.get_by_role("region", name="Selected pictures")
    expect(selected).to_contain_text("1 selected")
    page.go_back()
    expect(page.get_by_text(f"{PICTURES} pictures")).to_be_visible()
    expect(selected).to_be_hidden()
    page.locator(".cell .open").first.focus()
    page.keyboard.press("x")
    expect(selected).to_contain_text("1 selected")
    opened.button("Archive").click()
    expect(page.get_by_role("dialog", name="Archive 1 picture?")).to_be_visible()
    page.go_forward()  # what was asked belongs to the page that was left
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(selected).to_be_hidden()
    expect(page.locator(".cell.picked")).to_have_count(0)


def test_filter_fields_show_what_is_filtered_by(visit: Open) -> None:
    page = visit(f"gallery?collection={WALKS}").page
    page.get_by_role("button", name="Filters").click()
    camera, caption = page.get_by_label("Camera"), page.get_by_label("Words in the caption")
    camera.fill("NIKON D90")
    expect(page.get_by_role("button", name="Remove filter NIKON D90")).to_be_visible()
    caption.fill("sea")
    expect(page.get_by_role("button", name="Remove filter Caption: sea")).to_be_visible()
    page.get_by_label("Taken from").fill("2010-01-02")
    page.get_by_role("button", name="Remove filter From 2010-01-02").click()
    expect(page.get_by_label("Taken from")).to_have_value("")
    page.get_by_role("button", name="Remove filter NIKON D90").click()
    expect(camera).to_have_value("")
    expect(caption).to_have_value("sea")
    page.go_back()
    expect(camera).to_have_value("NIKON D90")
    page.get_by_label("Collection", exact=True).select_option(TRIPS)
    page.go_back()
    page.reload()
    expect(page.get_by_role("button", name="Remove filter NIKON D90")).to_be_visible()
    caption.fill("boat")
    page.locator('nav a[data-place="jobs"]').click()  # before what was typed is looked for
    expect(page.get_by_role("heading", name="Jobs", exact=True)).to_be_visible()
    page.wait_for_timeout(700)
    assert "#/jobs" in page.url


def test_a_link_opens_a_picture_wherever_it_stands_in_the_list(visit: Open) -> None:
    number = 12
    opened = visit(f"gallery?collection={WALKS}&image={seeding.identity(number)}")
    opened.expect_error("404")  # the seeded pictures have no originals
    page = opened.page
    viewer = page.get_by_role("dialog", name=seeding.filename(number))
    expect(viewer.get_by_text(f"/photos/{seeding.filename(number)}")).to_be_visible()
    expect(viewer.get_by_text("The original cannot be shown")).to_be_visible()
    page.reload()
    expect(viewer).to_be_visible()
    page.get_by_role("button", name="Next picture").click()
    expect(page.get_by_role("dialog", name=seeding.filename(number - 1))).to_be_visible()
    page.go_back()

    page = opened.go(f"gallery?collection={WALKS}&camera=X-T4&image={seeding.identity(0)}")
    expect(page.get_by_role("dialog", name=seeding.filename(0))).to_be_visible()  # though it is filtered away
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page).not_to_have_url(re.compile("image="))

    page = opened.go(f"gallery?collection={WALKS}&image=5c7f6f2e-0000-4000-8000-000000000000")
    expect(page.get_by_role("dialog").get_by_text("There is no picture")).to_be_visible()


def test_a_search_by_picture_can_be_loaded_again(visit: Open, tmp_path: Path) -> None:
    one, other = pictures.write(tmp_path, range(900, 902))
    opened = visit(f"gallery?collection={WALKS}")
    page = opened.page
    expect(cells(page).first).to_be_visible()
    chooser = page.get_by_label("A picture to search with")
    chooser.set_input_files(one)
    expect(page.get_by_text(f"Looks like {one.name}")).to_be_visible()
    expect(page.locator(".cell .score").first).to_be_visible()
    found = names(page)
    chooser.set_input_files(other)
    expect(page.get_by_text(f"Looks like {other.name}")).to_be_visible()
    page.go_back()
    expect(page.get_by_text(f"Looks like {one.name}")).to_be_visible()
    assert names(page) == found
    page.reload()
    expect(page.get_by_text(f"Looks like {one.name}")).to_be_visible()
    expect(page.locator(".cell .score").first).to_be_visible()
    assert names(page) == found
    tab = page.context.new_page()
    tab.goto(page.url)
    expect(tab.locator(".cell .score").first).to_be_visible()
    assert names(tab) == found
    address = page.url
    tab.close()

    elsewhere = visit(address.split("#/")[1]).page  # another browser, which has no such file
    expect(elsewhere.get_by_role("heading", name="The picture is not kept here")).to_be_visible()
    expect(elsewhere.locator(".cell")).to_have_count(0)


def test_a_report_of_duplicates_is_found_again(visit: Open, qdrant: parts.Part) -> None:
    opened = visit(f"duplicates?collection={TRIPS}")
    page = opened.page
    opened.button("Look for duplicates").click()
    groups = page.locator("#content [role=status]").filter(has_text=re.compile("^[0-9]+ group"))
    expect(groups).to_be_visible()
    said = groups.text_content() or ""
    page.locator('nav a[data-place="jobs"]').click()
    expect(page.get_by_role("heading", name="Jobs", exact=True)).to_be_visible()
    page.locator('nav a[data-place="duplicates"]').click()
    expect(groups).to_have_text(said)
    collection(page).select_option("empty")
    expect(page.get_by_role("heading", name="Not looked for yet")).to_be_visible()
    collection(page).select_option(TRIPS)
    expect(groups).to_have_text(said)
    elsewhere = visit(f"duplicates?collection={TRIPS}").page
    expect(elsewhere.locator("#content [role=status]").filter(has_text=said)).to_be_visible()


@pytest.fixture(scope="module")
def letters(kafka: parts.Part, site: parts.Part) -> None:
    """Give so many dead letters that wait."""

    async def publish() -> None:
        failure = Failure(
            "raw-path", 0, 7, "prepare", "ContentError", "/photos/a.jpg is cut.", "Traceback\n" * 60, "raw-path"
        )
        producer = AIOKafkaProducer(bootstrap_servers=kafka.address)
        await producer.start()
        try:
            sent = [
                await producer.send(
                    DEAD_LETTER,
                    f'{{"path": "/photos/letter-{number}.jpg", "job_id": "letters"}}'.encode(),
                    headers=failure.headers([("job_id", b"letters"), ("file_id", f"{number}".encode())]),
                )
                for number in range(LETTERS)
            ]
            await asyncio.gather(*sent)
        finally:
            await producer.stop()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, publish()).result()


@pytest.mark.usefixtures("letters")
@pytest.mark.parametrize("size", [SHORT, PHONE])
def test_dead_letters_are_counted_within_the_edge(visit: Open, size: dict[str, int]) -> None:
    page = visit("system", viewport=size).page
    badge = page.locator('nav a[data-place="dead-letters"] .count')
    expect(badge).to_contain_text("1,234")
    fits = page.evaluate(
        """() => {
            const place = document.querySelector('nav a[data-place="dead-letters"]').getBoundingClientRect();
            const badge = document.querySelector('nav .count').getBoundingClientRect();
            return badge.left >= place.left && badge.right <= place.right && badge.top >= place.top;
        }"""
    )
    assert fits


@pytest.mark.usefixtures("letters")
@pytest.mark.parametrize("size", [SHORT, PHONE])
def test_what_can_be_done_about_a_letter_is_in_sight(visit: Open, size: dict[str, int]) -> None:
    opened = visit("dead-letters?job=letters", viewport=size)
    opened.expect_error("404")  # there is no such file
    page = opened.page
    page.get_by_role("button", name="letter-").first.click()
    dialog = page.get_by_role("dialog", name="Dead letter")
    for action in ("Replay", "Drop"):
        expect(dialog.get_by_role("button", name=action)).to_be_in_viewport(ratio=1)
    opened.check_look()
    page.reload()
    expect(dialog.get_by_role("button", name="Replay")).to_be_visible()
    dialog.get_by_role("link", name="letters").click()
    expect(dialog).to_have_count(0)
