"""Taking photographs in, watching it, and putting right what went wrong, in front of a whole pipeline."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests import parts, pictures
from tests.bus import PARTITIONS
from tests.web.browser import Visit
from tests.web.conftest import Open
from tests.worker import Worker

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("worker")]


def submit(page: Page, folder: Path, collection: str) -> None:
    page.get_by_label("Collection", exact=True).fill(collection)
    page.get_by_label("Folder on the machine").fill(str(folder))
    page.get_by_role("button", name="Take in this folder").click()


def run(opened: Visit, folder: Path, collection: str, ends: str) -> Page:
    """Submit a folder and watch it to its end, which is said to screen readers too."""
    page = opened.go("ingest")
    submit(page, folder, collection)
    expect(page.locator("[role=status]").filter(has_text=re.compile(f"^{ends}$"))).to_be_visible()
    return page


def test_a_folder_from_submit_to_gallery(visit: Open, photos: Path) -> None:
    pictures.write(photos / "walk", range(700, 712))
    pictures.write(photos / "walk" / "@eaDir", range(712, 714))
    opened = visit("ingest")
    page = run(opened, photos / "walk", "walk", "completed")
    panel = page.get_by_role("region", name="Progress of the job")
    expect(panel.get_by_text("12 of 12")).to_be_visible()
    expect(panel.get_by_text("12 stored", exact=True)).to_be_visible()
    expect(panel.get_by_text("left out: 2 files in 1 folder")).to_be_visible()
    opened.check_look()
    page.get_by_role("link", name="Show the pictures").click()
    expect(page.locator(".cell:not(.loading)")).to_have_count(12)
    assert page.evaluate("[...document.querySelectorAll('.cell img')].every((image) => image.naturalWidth > 0)")

    page.get_by_role("button", name="photo-705.jpg").click()
    viewer = page.get_by_role("dialog", name="photo-705.jpg")
    expect(viewer.get_by_role("img", name="photo-705.jpg")).to_have_js_property("naturalWidth", 320)
    viewer.get_by_role("link", name=re.compile("^[0-9a-f]{32}$")).click()
    expect(page.get_by_role("heading", name="walk")).to_be_visible()
    page.get_by_role("button", name="stored 12").click()
    expect(opened.in_table("photo-705.jpg").get_by_text("stored")).to_be_visible()

    page = opened.go("jobs")
    page.get_by_role("searchbox", name="Find a job").fill("no such folder")
    expect(page.get_by_text("No job matches")).to_be_visible()
    page.get_by_role("searchbox", name="Find a job").fill(str(photos / "walk"))
    expect(opened.in_table("walk").get_by_text("completed")).to_be_visible()


def test_files_that_are_chosen_or_dropped(visit: Open, tmp_path: Path) -> None:
    files = pictures.write(tmp_path, range(720, 723))
    (tmp_path / "letter.jpg").write_text("no picture")
    page = visit("ingest").page
    page.get_by_label("Collection", exact=True).fill("sent")
    page.get_by_label("Files to upload").set_input_files([*files, tmp_path / "letter.jpg"])
    expect(page.get_by_text("1 file left out")).to_be_visible()
    expect(page.get_by_text("letter.jpg")).to_be_visible()
    expect(page.get_by_text("3 stored", exact=True)).to_be_visible()

    drop(page, pictures.write(tmp_path, range(723, 724))[0])
    expect(page.get_by_text("1 stored", exact=True)).to_be_visible()

    page = visit("gallery?collection=sent").page
    expect(page.locator(".cell:not(.loading)")).to_have_count(4)
    drop(page, files[1])
    expect(page.get_by_text("Most alike first")).to_be_visible()
    expect(page.locator(".cell").first.get_by_text("100 %")).to_be_visible()
    expect(page.locator(".cell .name").first).to_have_text(files[1].name)


def drop(page: Page, file: Path) -> None:
    """Drop a file on the page, as a file manager does."""
    page.evaluate(
        """([bytes, name]) => {
            const dropped = new DataTransfer();
            dropped.items.add(new File([new Uint8Array(bytes)], name, { type: "image/jpeg" }));
            for (const kind of ["dragover", "drop"]) {
                document.querySelector("#content > *").dispatchEvent(
                    new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: dropped }));
            }
        }""",
        [list(file.read_bytes()), file.name],
    )


def test_who_can_read_the_token_can_allow_a_folder(visit: Open, tmp_path: Path) -> None:
    pictures.write(tmp_path / "elsewhere", range(730, 732))
    opened = visit("ingest")
    opened.expect_error("400")
    opened.expect_error("403")
    submit(opened.page, tmp_path / "elsewhere", "elsewhere")
    expect(opened.page.get_by_text("is outside the folders that may be read")).to_be_visible()
    opened.button("Allow this folder, and take it in").click()
    refusal = opened.page.get_by_text("Only a user of this machine can allow a folder")
    told = re.search(r"what is in (\S+) as", refusal.inner_text())
    assert told
    opened.page.get_by_label("What is in that file").fill(Path(told[1]).read_text())
    opened.button("Allow this folder, and take it in").click()
    expect(opened.page.get_by_text("2 stored", exact=True)).to_be_visible()


def test_what_failed_is_explained_mended_and_replayed(visit: Open, photos: Path) -> None:
    folder = photos / "damaged"
    good, cut = pictures.write(folder, range(740, 742))
    whole = cut.read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    opened = visit("ingest")
    page = run(opened, folder, "damaged", "completed with errors")
    page.get_by_role("link", name="All about this job").click()
    page.get_by_role("button", name="failed 1").click()
    expect(opened.in_table(cut.name).get_by_text("is damaged and cannot be decoded")).to_be_visible()
    expect(opened.in_table(good.name)).to_have_count(0)

    page.get_by_role("link", name="Dead letters").last.click()
    page.get_by_role("button", name=cut.name).click()
    letter = page.get_by_role("dialog", name="Dead letter")
    expect(letter.get_by_label("Stack trace")).to_contain_text("Traceback")
    expect(letter.get_by_role("img", name=f"The file {cut.name}")).to_have_js_property("naturalWidth", 320)
    opened.check_look()
    cut.write_bytes(whole)
    letter.get_by_role("button", name="Replay").click()
    expect(page.get_by_text("1 letter replayed.")).to_be_visible()
    expect(page.get_by_text("No such dead letter")).to_be_visible()

    page.go_back()
    page.get_by_role("button", name="All 2").click()
    expect(page.locator("[role=status]").filter(has_text=re.compile("^completed$"))).to_be_visible()


def test_failed_files_run_again_from_their_job(visit: Open, photos: Path) -> None:
    folder = photos / "again"
    (cut,) = pictures.write(folder, range(745, 746))
    whole = cut.read_bytes()
    cut.write_bytes(b"not yet")
    opened = visit("ingest")
    page = run(opened, folder, "again", "completed with errors")
    cut.write_bytes(whole)
    opened.button("Run failed again").click()
    expect(page.get_by_text("1 file begin")).to_be_visible()
    expect(page.get_by_text("1 stored", exact=True)).to_be_visible()


def test_a_job_that_waits_is_paused_resumed_and_cancelled(
    visit: Open, photos: Path, ml_control: Callable[..., None]
) -> None:
    pictures.write(photos / "slow", range(750, 790))
    opened = visit("collections")  # ML is needed to take the job, so it goes away after that
    opened.page.get_by_role("button", name="New collection").click()
    opened.page.get_by_label("Name").fill("slow")
    opened.button("Create").click()
    expect(opened.page.get_by_role("link", name="slow")).to_be_visible()
    page = opened.go("ingest")
    ml_control(hang=True)
    submit(page, photos / "slow", "slow")
    panel = page.get_by_role("region", name="Progress of the job")
    opened.button("Pause").click()
    expect(panel.get_by_text("paused", exact=True)).to_be_visible()
    opened.button("Resume").click()
    expect(panel.get_by_text(re.compile("^(scanning|running)$"))).to_be_visible()
    panel.get_by_role("button", name="Cancel").click()
    opened.button("Cancel the job").click()
    expect(page.get_by_text("The job is being cancelled.")).to_be_visible()
    ml_control()
    expect(panel.get_by_text("cancelled", exact=True)).to_be_visible()


def test_duplicates_are_archived_and_moved_back(visit: Open, photos: Path) -> None:
    folder = photos / "twice"
    (kept,) = pictures.write(folder, range(800, 801))
    copy = folder / "zz copy of it.jpg"
    copy.write_bytes(kept.read_bytes())
    opened = visit("ingest")
    run(opened, folder, "twice", "completed")
    page = opened.go("duplicates?collection=twice")
    opened.button("Look for duplicates").click()
    group = page.get_by_role("region", name=re.compile("^Copies of"))
    expect(group.get_by_text("2 identical files")).to_be_visible()
    opened.check_look()

    def on_disk() -> int:
        return sum(file.exists() for file in (kept, copy))

    group.get_by_role("button", name="Archive the copies").click()
    opened.button("Archive its copies").click()
    expect(page.get_by_text("1 file archived.")).to_be_visible()
    expect(group.get_by_text("one file is left")).to_be_visible()
    assert on_disk() == 1
    opened.button("Undo").click()
    expect(page.get_by_text("1 file moved back.")).to_be_visible()
    expect(group.get_by_text("2 identical files")).to_be_visible()
    assert on_disk() == 2

    page.get_by_role("button", name="Archived before").click()
    expect(opened.in_table("Identical files").first).to_be_visible()
    opened.button("Files").first.click()
    expect(page.get_by_role("dialog").get_by_text("restored")).to_be_visible()


def test_look_alikes_side_by_side_and_more_like_one(visit: Open, photos: Path) -> None:
    for name, quality in {"large.jpg": 95, "small.jpg": 60}.items():
        (photos / "alike").mkdir(exist_ok=True)
        Image.linear_gradient("L").convert("RGB").save(photos / "alike" / name, quality=quality)
    opened = visit("ingest")
    run(opened, photos / "alike", "alike", "completed")
    page = opened.go("gallery?collection=alike")
    page.get_by_role("button", name="large.jpg").click()
    opened.button("More like this").click()
    expect(page.get_by_text("Most alike first")).to_be_visible()
    expect(page.locator(".cell:not(.loading)")).to_have_count(1)
    expect(page.locator(".cell .open")).to_have_accessible_name("small.jpg")


def test_collections_are_made_chosen_merged_and_deleted_after_asking(visit: Open, photos: Path) -> None:
    pictures.write(photos / "choice", range(820, 823))
    opened = visit("ingest")
    run(opened, photos / "choice", "choice", "completed")
    page = opened.go("gallery?collection=choice")
    page.get_by_role("button", name="photo-821.jpg").focus()
    page.keyboard.press("x")
    opened.button("New collection").click()
    page.get_by_label("Name").fill("best")
    opened.button("Create").click()
    opened.button("Show it").click()
    expect(page.locator(".cell:not(.loading)")).to_have_count(1)
    expect(page.locator(".cell .open")).to_have_accessible_name("photo-821.jpg")

    page = opened.go("collections")
    opened.button("Merge").click()
    page.get_by_label("choice (3)").check()
    page.get_by_label("best (1)").check()
    page.get_by_label("Into").fill("together")
    page.get_by_role("dialog").get_by_role("button", name="Merge").click()
    card = page.get_by_role("region", name="Collection together")
    expect(card.get_by_text("3 pictures")).to_be_visible()

    card.get_by_role("button", name="Make together active").click()
    expect(card.get_by_text("active", exact=True)).to_be_visible()
    opened.check_look()
    card.get_by_role("button", name="Delete together").click()
    opened.button("Cancel").click()
    expect(card).to_be_visible()
    card.get_by_role("button", name="Delete together").click()
    opened.button("Delete the collection").click()
    expect(card).to_have_count(0)


def test_the_system_page_shows_parts_lag_and_throughput(visit: Open, worker: Worker, qdrant: parts.Part) -> None:
    opened = visit("system")
    page = opened.page
    for part in ("Kafka", "Qdrant", "ML service", "Stages"):
        expect(page.get_by_role("region", name=part, exact=True).get_by_text("works").first).to_be_visible()
    expect(page.get_by_text(qdrant.url)).to_be_visible()
    for stage in ("scan", "hash", "prepare", "embed", "store", "track"):
        expect(opened.in_table(f"darkroom-{stage}")).to_be_visible()
    expect(opened.in_table("darkroom-hash").locator(".lag")).to_have_count(PARTITIONS)
    chart = page.get_by_role("img", name=re.compile("^Messages a second, by stage, in the last half hour. Now: hash"))
    expect(chart).to_be_visible()
