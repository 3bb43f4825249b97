"""Looking at tens of thousands of pictures."""

import re

import httpx
import psutil
import pytest
from playwright.sync_api import expect

from tests import parts
from tests.web import seeding
from tests.web.browser import PHONE, Visit
from tests.web.conftest import Open

pytestmark = [pytest.mark.system]

MANY = 30_000
BIG = "thirty-thousand"
MOST_NODES = 1500
FAR = 2500  # pictures, of which no more are in the page at once than fill a few screens
PLACES = ("gallery", "ingest", "jobs", "dead-letters", "duplicates", "collections", "system")


@pytest.fixture(scope="module", autouse=True)
def big(qdrant: parts.Part, site: parts.Part) -> None:
    """Give the collection, as the active one."""
    seeding.seed(qdrant.url, BIG, MANY)
    httpx.post(f"{site.url}/api/v1/collections/select", json={"name": BIG}).raise_for_status()


# What is in sight: each picture's place in the list, and its name.
IN_SIGHT = """() => [...document.querySelectorAll('.cell:not(.loading)')]
    .map((cell) => [Number(cell.getAttribute('aria-posinset')), cell.querySelector('.name').textContent])"""


def test_scrolling_never_ends_is_quick_and_keeps_the_page_small(
    visit: Open, site: parts.Part, qdrant: parts.Part
) -> None:
    """Quick: a page costs little CPU. How long it takes, and how far one scroll gets, hangs on what else runs here."""
    opened = visit("gallery")
    page = opened.page
    expect(page.get_by_role("status").filter(has_text=f"{MANY:,} pictures")).to_be_visible()
    pages, before = asked_for_pages(opened), used(site) + used(qdrant)
    seen: dict[int, str] = {}
    most_nodes = 0
    while max(seen, default=0) <= FAR:
        page.evaluate("() => { const all = document.querySelector('#content'); all.scrollTop = all.scrollHeight; }")
        page.wait_for_function(f"(last) => ({IN_SIGHT})().some(([at]) => at > last)", arg=max(seen, default=0))
        seen |= dict(page.evaluate(IN_SIGHT))
        most_nodes = max(most_nodes, page.evaluate("document.querySelectorAll('*').length"))
    assert {at: name for at, name in seen.items() if name != seeding.filename(MANY - at)} == {}
    assert most_nodes < MOST_NODES
    pages = asked_for_pages(opened) - pages
    assert pages > 20
    assert (used(site) + used(qdrant) - before) / pages < 0.2


def asked_for_pages(opened: Visit) -> int:
    return sum("/images?" in url for url in opened.requests)


def used(part: parts.Part) -> float:
    """Return how many seconds of CPU a process has used."""
    times = psutil.Process(part.process.pid).cpu_times()
    return float(times.user + times.system)


def test_a_picture_with_all_that_is_known_of_it(visit: Open) -> None:
    opened = visit("gallery?sort=taken_at")
    opened.expect_error("404")  # the seeded pictures have no originals
    page = opened.page
    page.get_by_role("button", name=seeding.filename(0)).click()
    viewer = page.get_by_role("dialog", name=seeding.filename(0))
    expect(viewer.get_by_text("A lighthouse by the sea")).to_be_visible()
    expect(viewer.get_by_role("img", name="Map: 48.8582° N, 2.2945° E")).to_be_visible()
    expect(viewer.get_by_text("Friday, January 1, 2010 at 12:00 AM")).to_be_visible()
    expect(viewer.get_by_role("img", name="4 of 5 stars")).to_be_visible()
    expect(viewer.get_by_text("Ann, Bob")).to_be_visible()
    expect(viewer.get_by_text("/photos/IMG_000000.jpg")).to_be_visible()
    expect(viewer.get_by_text("The original cannot be shown")).to_be_visible()
    opened.check_look()

    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("dialog", name=seeding.filename(1))).to_be_visible()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name=seeding.filename(2))).to_be_focused()

    page.reload()
    expect(page.get_by_role("button", name=seeding.filename(0))).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.go_back()  # to the picture that the address named
    expect(page.get_by_role("dialog")).to_be_visible()


def test_search_and_filters(visit: Open) -> None:
    page = visit("gallery").page
    count = page.locator(".chips [role=status]")
    expect(count).to_have_text(f"{MANY:,} pictures")
    page.keyboard.press("/")
    page.keyboard.type("lighthouse")
    page.keyboard.press("Enter")
    expect(count).to_have_text(f"{MANY // 50} pictures")
    expect(page.get_by_text("Only words were looked up")).to_be_visible()
    page.get_by_role("button", name="Leave this search").click()
    expect(count).to_have_text(f"{MANY:,} pictures")

    page.get_by_role("button", name="Filters").click()
    for label, values in {"Camera": seeding.CAMERAS, "Label": ["Red"], "Person": ["Ann", "Bob"]}.items():
        offered = page.locator(f"#{page.get_by_label(label).get_attribute('list')} option")
        expect(offered).to_have_count(len(values))
        assert sorted(offered.evaluate_all("all => all.map((one) => one.value)")) == sorted(values)
    page.get_by_label("Taken from").fill("2010-01-02")
    page.get_by_label("Taken until").fill("2010-01-03")
    expect(count).to_have_text("48 pictures")
    page.get_by_label("Camera").fill("NIKON D90")
    expect(count).to_have_text("16 pictures")
    page.get_by_role("button", name="Remove filter NIKON D90").click()
    page.get_by_label("Words in the caption").fill("sea")
    expect(count).to_have_text("1 picture")
    page.get_by_label("Words in the caption").fill("mountain")
    expect(count).to_have_text("0 pictures")
    expect(page.get_by_role("heading", name="Nothing was found")).to_be_visible()
    page.get_by_role("button", name="Show all pictures").click()
    page.get_by_role("button", name="Choose on a map").click()
    for side, degrees in {"North": "49", "South": "48", "West": "2", "East": "3"}.items():
        page.get_by_label(side).fill(degrees)
    page.get_by_role("button", name="Show pictures from there").click()
    expect(count).to_have_text(f"{MANY // 50} pictures")


def test_sorts(visit: Open) -> None:
    page = visit("gallery").page
    first = page.locator(".cell .open").first
    for sort, number in {
        "Oldest first": 0,
        "Name, Z to A": MANY - 1,
        "Name, A to Z": 0,
        "Newest first": MANY - 1,
    }.items():
        page.get_by_label("Sort").select_option(sort)
        expect(first).to_have_accessible_name(re.compile(seeding.filename(number)))


def test_the_keyboard_is_enough(visit: Open) -> None:
    page = visit("gallery?sort=taken_at").page
    expect(page.get_by_role("button", name=seeding.filename(0))).to_be_visible()
    page.locator(".cell .open").first.focus()
    for key, number in {"ArrowRight": 1, "End": 99, "Home": 0}.items():
        page.keyboard.press(key)
        expect(page.get_by_role("button", name=seeding.filename(number))).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("button", name=seeding.filename(0))).to_be_focused()
    page.keyboard.press("x")
    expect(page.get_by_text("1 selected")).to_be_visible()
    page.keyboard.press("x")
    expect(page.get_by_text("1 selected")).to_be_hidden()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("g")
    page.keyboard.press("j")
    expect(page.get_by_role("heading", name="Jobs", exact=True)).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_on_a_phone_in_light_and_dark(visit: Open, scheme: str) -> None:
    opened = visit("gallery", viewport=PHONE, color_scheme=scheme)
    for place in PLACES:
        page = opened.go(place)
        expect(page.locator("#content h1").first).to_be_attached()
        expect(page.locator(f'nav a[data-place="{place}"]')).to_have_attribute("aria-current", "page")
        page.wait_for_load_state("networkidle")
        opened.check_look()
    light = opened.page.evaluate("parseInt(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]) > 128")
    assert light is (scheme == "light")


def test_the_theme_can_be_chosen_and_is_kept(visit: Open) -> None:
    page = visit("gallery", color_scheme="light").page
    ground = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(ground)
    page.get_by_role("button", name="Theme: system").click()
    page.get_by_role("button", name="Theme: light").click()
    expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()
    assert page.evaluate(ground) != before
    page.reload()
    expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()
    assert page.evaluate(ground) != before
