"""Looking closer at one picture: previews of what no browser draws, zooming, moving, and the original to take along."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, Route, expect

from cli.samples.dng import encode_dng
from tests import parts
from tests.web import seeding
from tests.web.browser import PHONE, Visit
from tests.web.conftest import Open

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

SIZE = (2400, 1600)
KINDS = ("heic", "tiff", "dng")
LARGE = "large.jpg"
MANY = 6


@dataclass
class Closer:
    """A collection of pictures of all kinds; `of` opens one."""

    collection: str
    visit: Open

    def of(self, name: str, **options: object) -> tuple[Visit, Page, Locator]:
        opened = self.visit(f"gallery?collection={self.collection}&sort=filename", **options)
        opened.page.get_by_role("button", name=re.compile(f"^{name}")).click()
        return opened, opened.page, opened.page.get_by_role("dialog").get_by_role("img", name=name)


@pytest.fixture(scope="module")
def seeded(qdrant: parts.Part, photos: Path) -> str:
    folder = photos / "closer"
    folder.mkdir()
    scene = Image.linear_gradient("L").convert("RGB").resize(SIZE)
    pillow_heif.from_pillow(scene).save(folder / "a.heic")
    scene.save(folder / "a.tiff", compression="tiff_deflate")
    (folder / "a.dng").write_bytes(encode_dng(np.asarray(scene), preview=False))
    scene.resize((5200, 3467)).save(folder / LARGE, quality=95)
    for number in range(MANY):
        Image.new("RGB", SIZE, (40 * number, 90, 90)).save(folder / f"m{number}.tiff", compression="tiff_deflate")
    seeding.seed_files(qdrant.url, "closer", sorted(folder.iterdir()))
    return "closer"


@pytest.fixture
def closer(seeded: str, visit: Open) -> Closer:
    return Closer(seeded, visit)


@pytest.mark.parametrize("kind", KINDS)
def test_what_no_browser_draws_is_shown_at_2048_pixels(closer: Closer, kind: str) -> None:
    _, _, image = closer.of(f"a.{kind}")
    expect(image).to_have_js_property("naturalWidth", 2048)


def box(image: Locator) -> tuple[float, float, float, float]:
    found = image.bounding_box()
    assert found is not None
    return found["x"], found["y"], found["width"], found["height"]


def until_drawn(page: Page) -> None:
    page.evaluate("() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))")


def share(image: Locator, at: tuple[float, float]) -> tuple[float, float]:
    """Return which part of the picture lies at a point of the screen: 0, 0 is its upper left corner."""
    x, y, width, height = box(image)
    return (at[0] - x) / width, (at[1] - y) / height


def test_wheel_drag_double_click_and_keys(closer: Closer) -> None:
    opened, page, image = closer.of("a.tiff")
    expect(image).to_have_js_property("naturalWidth", 2048)
    x, y, width, height = box(image)
    at = (x + width / 4, y + height / 4)
    before = share(image, at)
    page.mouse.move(*at)
    page.mouse.wheel(0, -600)
    until_drawn(page)
    assert box(image)[2] > 2 * width
    assert share(image, at) == pytest.approx(before, abs=0.01)  # what lay under the pointer still does

    page.mouse.down()
    page.mouse.move(at[0] + 60, at[1] + 30)
    page.mouse.up()
    until_drawn(page)
    assert share(image, (at[0] + 60, at[1] + 30)) == pytest.approx(before, abs=0.01)
    page.mouse.down()
    page.mouse.move(at[0] + 5000, at[1])
    page.mouse.up()
    until_drawn(page)
    assert box(image)[0] <= x + 1  # it does not leave the window
    place = box(image)[0]
    page.keyboard.press("ArrowRight")
    until_drawn(page)
    assert box(image)[0] < place
    expect(page.get_by_role("dialog", name="a.tiff")).to_be_visible()  # the key moved it, and turned no page
    opened.check_look()

    page.keyboard.press("0")
    until_drawn(page)
    assert box(image) == pytest.approx((x, y, width, height), abs=1)
    page.mouse.dblclick(*at)
    until_drawn(page)
    assert box(image)[2] == pytest.approx(3 * width, rel=0.01)
    assert share(image, at) == pytest.approx(before, abs=0.01)
    page.mouse.dblclick(*at)
    until_drawn(page)
    assert box(image)[2] == pytest.approx(width, abs=1)
    page.keyboard.press("+")
    until_drawn(page)
    assert box(image)[2] == pytest.approx(1.5 * width, rel=0.01)
    opened.button("Next picture").click()
    following = page.get_by_role("dialog").get_by_role("img", name=LARGE)
    expect(following).to_have_js_property("naturalWidth", 2048)
    assert box(following)[2] <= width + 1
    expect(opened.button("Zoom out")).to_be_disabled()


def test_two_fingers_and_a_double_tap(closer: Closer) -> None:
    _, page, image = closer.of("a.tiff", viewport=PHONE, has_touch=True)
    expect(image).to_have_js_property("naturalWidth", 2048)
    x, y, width, height = box(image)
    middle = (x + width / 2, y + height / 2)
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        fingers = [{"x": px, "y": py, "id": number} for number, (px, py) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})

    touch("touchStart", (middle[0] - 20, middle[1]), (middle[0] + 20, middle[1]))
    for apart in (30, 40, 50, 60):
        touch("touchMove", (middle[0] - apart, middle[1]), (middle[0] + apart, middle[1]))
    touch("touchEnd")
    until_drawn(page)
    assert box(image)[2] == pytest.approx(3 * width, rel=0.05)
    assert share(image, middle) == pytest.approx((0.5, 0.5), abs=0.03)
    for _ in range(2):
        page.touchscreen.tap(*middle)
    until_drawn(page)
    assert box(image)[2] == pytest.approx(width, abs=1)
    for _ in range(2):
        page.touchscreen.tap(*middle)
    until_drawn(page)
    assert box(image)[2] == pytest.approx(3 * width, rel=0.01)


def test_of_a_large_original_a_preview_comes_first_and_all_of_it_for_who_looks_closer(closer: Closer) -> None:
    opened, page, image = closer.of(LARGE)
    expect(image).to_have_js_property("naturalWidth", 2048)
    assert [url for url in opened.requests if url.split("?")[0].endswith("/image")] == []
    page.keyboard.press("+")
    expect(image).to_have_js_property("naturalWidth", 5200)
    page.keyboard.press("ArrowDown")
    expect(image).to_have_count(1)


def test_the_original_can_be_taken_along(closer: Closer, photos: Path, tmp_path: Path) -> None:
    opened, page, _ = closer.of("a.heic")
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Download the original").click()
    assert downloading.value.suggested_filename == "a.heic"
    downloading.value.save_as(tmp_path / "taken.heic")
    assert (tmp_path / "taken.heic").read_bytes() == (photos / "closer/a.heic").read_bytes()
    opened.check_look()


def test_who_leafs_through_asks_for_no_preview_in_passing(closer: Closer) -> None:
    opened, page, _ = closer.of("m0.tiff")
    for _ in range(MANY - 1):
        page.keyboard.press("ArrowRight")
    expect(page.get_by_role("dialog").get_by_role("img", name=f"m{MANY - 1}.tiff")).to_have_js_property(
        "naturalWidth", 2048
    )
    assert len([url for url in opened.requests if "/preview?" in url]) <= 3


def once_busy() -> Callable[[Route], None]:
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) == 1:
            route.fulfill(status=503, headers={"Retry-After": "1"}, json={"detail": "Too many pictures wait."})
        else:
            route.continue_()

    return answer


def test_a_busy_service_is_asked_again_and_a_refusal_is_said(closer: Closer, photos: Path) -> None:
    opened = closer.visit("jobs")
    opened.expect_error("503")
    opened.expect_error("410")
    opened.page.route("**/preview?*", once_busy())
    opened.go(f"gallery?collection={closer.collection}")
    opened.page.get_by_role("button", name=re.compile("^m1.tiff")).click()
    image = opened.page.get_by_role("dialog").get_by_role("img", name="m1.tiff")
    expect(image).to_have_js_property("naturalWidth", 2048)
    opened.page.keyboard.press("Escape")

    Image.new("RGB", (60, 40)).save(photos / "closer/m2.tiff")
    opened.page.get_by_role("button", name=re.compile("^m2.tiff")).click()
    note = opened.page.get_by_role("dialog").get_by_text("The original cannot be shown")
    expect(note).to_contain_text("m2.tiff changed since")
