"""Chromium as a person uses it, and what a person would not forgive: errors, calls to other hosts, a page too wide."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Locator, Page, Request, expect, sync_playwright

from tests.deadlines import HANG_SECONDS

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
WAIT_MS = 1000 * HANG_SECONDS
expect.set_options(timeout=WAIT_MS)  # of all that a test of these pages expects, whichever run beside it
PHONE = {"width": 360, "height": 740}
# A control, in a snapshot of what screen readers are told, that has no name: `- button` in place of `- button "Save"`.
NAMELESS = re.compile(r"^\s*- (button|link|textbox|searchbox|checkbox|combobox|spinbutton|img)(?! \")", re.MULTILINE)


@contextmanager
def running_browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield browser
        browser.close()


class Visit:
    """A page of Darkroom's; `check` fails when something was wrong with it."""

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        self.url = url
        self._context = browser.new_context(**{"viewport": {"width": 1200, "height": 800}, **options})
        self._context.set_default_timeout(WAIT_MS)
        self.page: Page = self._context.new_page()
        self.requests: list[str] = []
        self._errors: list[str] = []
        self._expected: list[str] = []
        self.page.on("request", self._requested)
        self.page.on("pageerror", lambda error: self._errors.append(str(error)))
        self.page.on(
            "console",
            lambda message: (
                self._errors.append(f"{message.type}: {message.text} {message.location.get('url', '')}")
                if message.type in {"error", "warning"}
                else None
            ),
        )

    def expect_error(self, part: str) -> None:
        """The browser logs every refused request; this one is meant."""
        self._expected.append(part)

    def go(self, place: str) -> Page:
        """Open a place such as `gallery?q=sea`."""
        self.page.goto(f"{self.url}/#/{place}")
        return self.page

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def in_table(self, text: str) -> Locator:
        return self.page.get_by_role("row").filter(has_text=text)

    def check(self) -> None:
        """Fail for errors, calls to other hosts, nameless controls and a page that is wider than its window."""
        errors = [error for error in self._errors if not any(part in error for part in self._expected)]
        assert not errors, errors
        foreign = [url for url in self.requests if not url.startswith((f"{self.url}/", "blob:"))]
        assert not foreign, foreign
        self.check_look()

    def check_look(self) -> None:
        """Look at what is shown now."""
        assert NAMELESS.findall(self.page.locator("body").aria_snapshot()) == []
        width = self.page.evaluate("[document.documentElement, document.querySelector('#content')].map("
                                   "(one) => one.scrollWidth - one.clientWidth)")  # fmt: skip
        assert width == [0, 0], f"{self.page.url} scrolls sideways"

    def close(self) -> None:
        self._context.close()

    def _requested(self, request: Request) -> None:
        self.requests.append(request.url)
