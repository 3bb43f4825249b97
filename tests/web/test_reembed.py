"""A collection is embedded anew while pictures come in, in front of a pipeline with the ML service of our own."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests import parts, pictures
from tests.ml.test_choosing import DEFAULT, FILES, ask, row
from tests.models.small_hub import SmallHub
from tests.up import eventually
from tests.web.conftest import Open
from tests.web.test_jobs import submit
from tests.web.test_models import Start, site_of
from tests.worker import Worker

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


ALBUM = "album"


@pytest.fixture
def whole(
    start_api: Start, qdrant: parts.Part, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, str]]:
    """Give the URLs of an API and of its ML service; with a broker of their own: the workers of others ask a stub."""
    (tmp_path / "ml").mkdir()
    with ExitStack() as stack:
        kafka = stack.enter_context(parts.running_kafka(tmp_path / "kafka"))
        hub = stack.enter_context(SmallHub(dict(FILES)))

        def start(**settings: Any) -> parts.Part:
            return start_api(KAFKA_BROKERS=kafka.address, **settings)

        url, ml = stack.enter_context(site_of(start, hub, tmp_path / "ml", monkeypatch))
        service = cast(parts.Part, SimpleNamespace(url=ml))
        stack.enter_context(Worker(kafka, qdrant, service, tmp_path / "worker", scan_outstanding_files=8))
        yield url, ml


def take_in(page: Page, folder: Path) -> None:
    submit(page, folder, ALBUM)
    expect(page.locator("[role=status]").filter(has_text=re.compile("^completed$"))).to_be_visible()


def test_pictures_come_in_while_a_collection_is_embedded_anew(
    visit: Open, whole: tuple[str, str], photos: Path
) -> None:
    url, ml = whole
    pictures.write(photos / "before", range(900, 940))
    pictures.write(photos / "meanwhile", range(940, 945))
    opened = visit("ingest", url=url)
    page = opened.page
    take_in(page, photos / "before")
    former = httpx.get(f"{url}/api/v1/collections/{ALBUM}/info").json()["model_id"]
    ask(ml, DEFAULT, "get").raise_for_status()
    eventually(lambda: row(ml, DEFAULT)["here"], "the model")
    ask(ml, DEFAULT, "use").raise_for_status()

    page = opened.go(f"gallery?collection={ALBUM}&q=bird")
    opened.button(f"Embed “{ALBUM}” anew").click()
    expect(page.get_by_role("heading", name=f"Embedding “{ALBUM}” anew")).to_be_visible()
    opened.button("Pause").click()
    panel = page.get_by_role("region", name="Progress of the job")
    expect(panel.get_by_text("paused", exact=True)).to_be_visible()
    page = opened.go("collections")
    progress = page.get_by_role("group", name=f"New vectors of {ALBUM}")
    expect(progress).to_contain_text("Is embedded anew by siglip-")
    expect(progress).to_contain_text("of 40 pictures")
    bar = progress.get_by_role("progressbar", name=f"How much of {ALBUM} is embedded anew")
    expect(bar).to_have_attribute("aria-valuenow", re.compile("^[0-9]{1,2}$"))
    opened.check_look()

    page = opened.go("ingest")
    take_in(page, photos / "meanwhile")
    page = opened.go(f"gallery?collection={ALBUM}&q=photo-942")
    expect(page.get_by_role("heading", name=f"“{ALBUM}” gets new vectors")).to_be_visible()
    expect(page.get_by_role("button", name="photo-942.jpg")).to_be_visible()
    assert httpx.get(f"{url}/api/v1/collections/{ALBUM}/info").json()["model_id"] == former

    page.get_by_role("link", name="All about this job").click()
    opened.button("Resume").click()
    expect(panel.get_by_text("completed", exact=True)).to_be_visible()
    page = opened.go("collections")
    card = page.get_by_role("region", name=f"Collection {ALBUM}")
    expect(card).to_contain_text("45 pictures · siglip-")
    expect(progress).to_be_hidden()
    page = opened.go(f"gallery?collection={ALBUM}&q=bird")
    expect(page.get_by_text(re.compile("[0-9]+ sure, [0-9]+ maybe"))).to_be_visible()
    checked = httpx.get(f"{url}/api/v1/collections/{ALBUM}/check").json()
    assert (checked["points"], checked["of_model"]) == (45, 45)
