"""A Darkroom that asks for its key."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests import parts
from tests.web import seeding
from tests.web.conftest import Open

pytestmark = [pytest.mark.system]

KEY = "open-sesame-and-more"


def test_the_page_asks_once_and_shows_thumbnails(
    visit: Open, qdrant: parts.Part, start_api: Callable[..., parts.Part]
) -> None:
    locked = start_api(DARKROOM_API_KEY=KEY)
    seeding.seed(qdrant.url, "locked", 5)
    opened = visit("gallery?collection=locked", url=locked.url)
    opened.expect_error("401")
    page = opened.page
    asked = page.get_by_role("dialog", name="This Darkroom asks for its key")
    asked.get_by_label("Key").fill("not this one")
    page.keyboard.press("Enter")
    expect(asked.get_by_text("This is not the key")).to_be_visible()
    page.keyboard.press("Escape")
    asked.get_by_label("Key").fill(KEY)
    asked.get_by_role("button", name="Sign in").click()
    expect(page.locator(".cell:not(.loading)")).to_have_count(5)
    assert page.evaluate("[...document.querySelectorAll('.cell img')].every((image) => image.naturalWidth > 0)")
    assert KEY not in page.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie])")
    assert [url for url in opened.requests if KEY in url] == []

    page.reload()
    expect(page.locator(".cell:not(.loading)")).to_have_count(5)
    page.get_by_role("button", name="Sign out").click()
    expect(asked).to_be_visible()
