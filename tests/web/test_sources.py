"""Folders that are kept in step: added, looked at, asked about and removed, in front of a whole pipeline."""

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

from rules.mounts import Mount
from tests import parts, pictures
from tests.deadlines import HANG_SECONDS
from tests.web.browser import PHONE, Visit
from tests.web.conftest import Open
from topics.source import SOURCE, Source
from topics.source_status import SOURCE_STATUS, SourceStatus

pytestmark = [pytest.mark.system, pytest.mark.timeout(300), pytest.mark.usefixtures("worker", "no_sources")]


LONG = "a-very-long-name-of-a-folder-" * 8
Add = Callable[..., dict[str, Any]]


@pytest.fixture
def api(site: parts.Part) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{site.url}/api/v1/", timeout=HANG_SECONDS) as client:
        yield client


@pytest.fixture
def no_sources(api: httpx.Client) -> Iterator[None]:
    """Take away the sources of a test behind it."""
    yield
    for one in api.get("sources").json()["sources"]:
        api.delete(f"sources/{one['name']}").raise_for_status()


@pytest.fixture
def add(api: httpx.Client, photos: Path) -> Add:
    """Add a folder of so many photographs, which is looked at at once."""

    def add_folder(name: str, count: int, start: int) -> dict[str, Any]:
        pictures.write(photos / name, range(start, start + count))
        answer = api.post("sources", json={"folder": str(photos / name), "name": name, "collection": name})
        added: dict[str, Any] = answer.raise_for_status().json()
        return added

    return add_folder


def publish(kafka: parts.Part, topic: str, messages: dict[str, bytes]) -> None:
    """Publish as any program may, by key."""

    async def publish_all() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=kafka.address)
        await producer.start()
        try:
            for key, value in messages.items():
                await producer.send_and_wait(topic, value, key=key.encode())
        finally:
            await producer.stop()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, publish_all()).result()


def state(page: Page) -> Locator:
    return page.get_by_role("region", name="How it stands")


def in_step(opened: Visit, name: str) -> Page:
    """Wait for the end of the first look."""
    page = opened.go(f"sources/{name}")
    expect(state(page).get_by_text("in step", exact=True)).to_be_visible()
    return page


def in_gallery(opened: Visit, collection: str) -> Locator:
    page = opened.go(f"gallery?collection={collection}")
    page.reload()
    return page.locator(".chips [role=status]")


def test_a_folder_is_kept_in_step_by_keyboard_alone_and_its_pictures_stay_behind_it(
    visit: Open, photos: Path, api: httpx.Client
) -> None:
    folder = photos / "holiday"
    pictures.write(folder, range(850, 855))
    opened = visit("gallery")
    page = opened.page
    page.keyboard.press("g")
    page.keyboard.press("o")
    expect(page.get_by_role("heading", name="No folder is kept in step yet")).to_be_visible()
    opened.button("Add a folder").first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Folder on the machine")).to_be_focused()
    page.keyboard.type(str(folder))
    page.keyboard.press("Tab")
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("holiday")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="holiday")).to_be_visible()
    expect(state(page).get_by_text("in step", exact=True)).to_be_visible()
    expect(page.get_by_text("every 6 hours")).to_be_visible()

    (folder / "photo-850.jpg").rename(folder / "renamed.jpg")
    (folder / "photo-851.jpg").unlink()
    opened.button("Look now").focus()
    page.keyboard.press("Enter")
    look = page.get_by_role("row").filter(has_text="Taken out")
    expect(look).to_be_visible()
    cells = look.get_by_role("cell").all_text_contents()
    assert cells[2:8] == ["4", "1", "1", "", "", "1"]  # files, new, moved, replaced, excluded, gone
    opened.check_look()

    left = page.get_by_role("region", name="What has left", exact=True)
    expect(left.get_by_text(f"now {folder / 'renamed.jpg'}")).to_be_visible()
    left.get_by_role("button", name="gone").click()
    expect(left.get_by_text(str(folder / "photo-851.jpg"))).to_be_visible()
    expect(left.get_by_text("now ")).to_have_count(0)

    opened.button("Pause").click()
    expect(state(page).get_by_text("paused", exact=True)).to_be_visible()
    expect(page.get_by_text("when you ask: it is paused")).to_be_visible()
    opened.button("Resume").click()
    expect(state(page).get_by_text("paused", exact=True)).to_have_count(0)
    opened.button("Remove").click()
    expect(page.get_by_role("dialog")).to_contain_text("Its pictures stay in “holiday”")
    opened.button("Remove the source").click()
    expect(page.get_by_role("heading", name="No folder is kept in step yet")).to_be_visible()
    assert api.get("sources").json()["sources"] == []
    expect(in_gallery(opened, "holiday")).to_have_text("4 pictures")


def test_a_source_is_changed_and_what_is_left_out_then_leaves(visit: Open, add: Add) -> None:
    add("changed", 3, 830)
    opened = visit("sources")
    page = in_step(opened, "changed")
    left = page.get_by_role("region", name="What has left", exact=True)
    expect(left).to_be_hidden()
    opened.button("Change").click()
    page.get_by_label("Look at it").select_option("Every day")
    page.get_by_label("Leave out").fill("photo-831.jpg\n")
    opened.button("Change it").click()
    expect(page.get_by_text("every day")).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text="photo-831.jpg")).to_be_visible()
    expect(left.get_by_text("1 file excluded")).to_be_visible()
    opened.button("Change").click()
    expect(page.get_by_label("Look at it")).to_have_value("86400")
    expect(page.get_by_label("Leave out")).to_have_value("photo-831.jpg")
    opened.check_look()
    page.get_by_label("Leave out").fill("")
    opened.button("Change it").click()
    expect(page.get_by_role("listitem").filter(has_text="photo-831.jpg")).to_have_count(0)
    expect(page.get_by_role("region", name="The last looks", exact=True).first.get_by_role("row")).to_have_count(4)
    expect(state(page).get_by_text("in step", exact=True)).to_be_visible()
    expect(in_gallery(opened, "changed")).to_have_text("3 pictures")


def test_a_folder_that_is_watched_shows_what_comes_by_itself(visit: Open, photos: Path) -> None:
    folder = photos / "watched"
    pictures.write(folder, range(890, 892))
    opened = visit("sources")
    page = opened.page
    opened.button("Add a folder").first.click()
    page.get_by_label("Folder on the machine").fill(str(folder))
    page.get_by_label("Collection", exact=True).fill("watched")
    page.get_by_label("Look at it").select_option("When I ask")
    page.get_by_label("Watch it, too").check()
    opened.button("Keep it in step").click()
    expect(state(page).get_by_text("watched", exact=True)).to_be_visible()
    expect(page.get_by_text("1 folder", exact=True)).to_be_visible()
    expect(page.get_by_text("as it changes", exact=True)).to_be_visible()
    pictures.write(folder, range(892, 893))
    looks = page.get_by_role("region", name="The last looks", exact=True).first.get_by_role("row")
    expect(looks).to_have_count(3)  # with the names of the columns
    expect(state(page).get_by_text("watched", exact=True)).to_be_visible()
    expect(looks.nth(1).get_by_role("cell").nth(3)).to_have_text("1")
    opened.check_look()


def test_a_source_is_removed_and_its_pictures_are_forgotten_where_a_person_says_so(visit: Open, add: Add) -> None:
    add("forgotten", 3, 895)
    opened = visit("sources")
    page = in_step(opened, "forgotten")
    opened.button("Remove").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Its pictures stay in “forgotten”")
    dialog.get_by_label("Forget its pictures, too").check()
    expect(dialog).to_contain_text("This cannot be undone")
    opened.button("Remove it, and forget its pictures").click()
    expect(page.get_by_text("“forgotten” is removed, and its pictures are being forgotten.")).to_be_visible()
    heading = page.get_by_role("heading", name="No pictures here yet")
    page = opened.go("gallery?collection=forgotten")
    while True:
        page.reload()
        expect(heading.or_(page.locator(".cell:not(.loading)")).first).to_be_visible()
        if heading.count():
            return


def test_many_removals_wait_for_a_person_who_may_say_no_and_yes(visit: Open, photos: Path, add: Add) -> None:
    add("held", 15, 860)
    opened = visit("sources")
    page = in_step(opened, "held")
    for number in range(860, 872):
        (photos / "held" / f"photo-{number}.jpg").unlink()
    opened.button("Look now").click()
    question = state(page).get_by_text("Are these 12 pictures to go?").locator("..")
    expect(question).to_contain_text("12 of 15 pictures of the collection would leave it")
    expect(question).to_contain_text("gone 12")
    left = page.get_by_role("region", name="What has left", exact=True)
    expect(left.get_by_role("link", name=re.compile("^photo-86"))).to_have_count(10)
    expect(left.get_by_role("row")).to_have_count(13)  # with the names of the columns
    page.wait_for_function(
        "[...document.querySelectorAll('.gone-picture img')].slice(0, 2).every((one) => one.naturalWidth)"
    )
    opened.check_look()
    page = opened.go("sources")
    expect(page.locator('nav a[data-place="sources"] .count')).to_contain_text("1")
    page.locator("#content").get_by_text("1 source needs you:").get_by_role("link", name="held").click()
    opened.button("No, keep them").click()
    expect(page.get_by_role("row").filter(has_text="Kept, as you said")).to_be_visible()
    expect(question).to_have_count(0)

    opened.button("Look now").click()
    expect(question).to_be_visible()
    state(page).get_by_role("link", name="All about the last look").click()  # it is asked there, too
    expect(page.get_by_role("heading", name="A look at “held”")).to_be_visible()
    opened.button("Yes, take them out").click()
    opened.button("Take them out").click()
    expect(page.get_by_text("Left: gone 12.")).to_be_visible()
    expect(in_gallery(opened, "held")).to_have_text("3 pictures")


def test_what_hinders_a_look_is_said_in_words_and_another_mount_can_be_accepted(
    visit: Open, photos: Path, add: Add, kafka: parts.Part
) -> None:
    add("away", 3, 880)
    opened = visit("sources")
    page = in_step(opened, "away")
    other = Mount("/photos", "ext4", "/dev/other", "/")
    key = "away/mounts"
    publish(kafka, SOURCE_STATUS.name, {key: SOURCE_STATUS.encode(SourceStatus(name="away", mounts=(other,)))})
    opened.button("Look now").click()
    guard = state(page).get_by_text("Nothing was removed", exact=True).locator("..")
    expect(guard).to_contain_text("was on /dev/other (ext4) at /photos")
    guard.get_by_role("button", name="Accept this mount").click()
    page.get_by_role("dialog").get_by_role("button", name="Accept this mount").click()
    expect(state(page).get_by_text("in step", exact=True)).to_be_visible()
    expect(guard).to_have_count(0)

    for path in (photos / "away").iterdir():
        path.unlink()
    opened.button("Look now").click()
    expect(guard).to_contain_text("is empty")
    expect(guard.get_by_role("button")).to_have_count(0)
    (photos / "away").rmdir()
    opened.button("Look now").click()
    expect(state(page)).to_contain_text("does not exist")
    expect(state(page).get_by_text("last look failed", exact=True)).to_be_visible()
    opened.check_look()


@pytest.mark.parametrize("options", [{}, {"viewport": PHONE, "color_scheme": "dark"}], ids=["wide", "phone"])
def test_many_sources_with_long_names_are_found_and_fit(
    visit: Open, photos: Path, kafka: parts.Part, options: dict[str, Any]
) -> None:
    named = {f"trip-{number:02}": photos / f"{number:02}" for number in range(59)} | {"x" * 64: photos / LONG / LONG}
    sources = [
        Source(name=name, folder=str(folder), collection="c" * 60, paused=True) for name, folder in named.items()
    ]
    publish(kafka, SOURCE.name, {one.name: SOURCE.encode(one) for one in sources})
    opened = visit("sources", **options)
    page = opened.page
    expect(page.get_by_role("button", name=re.compile("^Look at .* now$"))).to_have_count(60)
    opened.check_look()
    find = page.get_by_role("searchbox", name="Find a source")
    find.fill("trip-4")
    expect(page.get_by_role("button", name=re.compile("^Look at .* now$"))).to_have_count(10)
    find.fill("very-long")
    page.get_by_role("link", name="x" * 64).click()
    expect(state(page).get_by_text("paused", exact=True)).to_be_visible()
    expect(page.get_by_text("Nobody has looked at it yet.")).to_be_visible()
