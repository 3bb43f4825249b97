"""Models come from a hub, whole or not at all, and each thing that may go wrong is told in words."""

import hashlib
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from core.errors import FatalError, HubUnavailableError
from embedded.models.fetching import fetch
from embedded.models.hub import TRIES, Hub
from embedded.models.manifest import faults
from embedded.models.shelf import Measured, Shelf
from embedded.models.table import Entry, Source, entries
from tests.deadlines import HANG_SECONDS
from tests.models.small_hub import COMMIT, Fault, SmallHub

REPO, OTHER = "someone/vision", "someone/text"
WEIGHTS = bytes(range(256)) * 800  # large: it lies elsewhere
WORDS = bytes(reversed(range(256))) * 300
CONFIG = b'{"size": 8}\n'
CAPTIONING = {f"captioner/{name}" for name in ("encoder.onnx", "decoder.onnx", "tokenizer.json")}
FILES = {(REPO, "onnx/model.onnx"): WEIGHTS, (REPO, "config.json"): CONFIG, (OTHER, "model.onnx"): WORDS}


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def tiny(*, pinned: bool = True) -> Entry:
    def source(at: str, content: bytes, **where: str) -> Source:
        known = {"bytes": len(content), "sha256": sha(content)} if pinned else {}
        return Source.model_validate({"at": at} | where | known)

    return Entry(
        name="tiny",
        about="for tests",
        family="siglip",
        languages="colours",
        licence="MIT",
        notice="Copyright (c) 2026 Someone",
        repo=REPO,
        revision=COMMIT if pinned else None,
        files={
            "vision/model.onnx": source("onnx/model.onnx", WEIGHTS),
            "vision/preprocessor_config.json": source("config.json", CONFIG),
            "text/model.onnx": source("model.onnx", WORDS, repo=OTHER, **({"revision": COMMIT} if pinned else {})),
        },
    )


class Told:
    def __init__(self) -> None:
        self.total = self.came = self.begun = 0

    def begin(self, total: int, done: int) -> None:
        self.total, self.begun = total, done

    def advance(self, count: int) -> None:
        self.came += count


def measured(folder: Path) -> Measured:
    return Measured(dimension=3, ms=7.0, memory=1000)


class Fetcher:
    def __init__(self, hub: SmallHub, shelf: Shelf) -> None:
        self.hub, self.shelf = hub, shelf
        self.waits: list[float] = []
        self.notes: list[str] = []
        self.told = Told()

    def __call__(self, entry: Entry | None = None, reserve: int = 0) -> None:
        self.told = Told()
        hub = Hub(self.hub.url, sleep=self.waits.append, tell=self.notes.append)
        fetch(self.shelf, entry or tiny(), hub, self.told, reserve=reserve, trial=self.trial)

    def trial(self, folder: Path) -> Measured:
        assert not self.is_here
        return Measured(dimension=3, ms=7.0, memory=1000)

    @property
    def is_here(self) -> bool:
        return self.shelf.has("tiny")


@pytest.fixture
def hub() -> Iterator[SmallHub]:
    with SmallHub(dict(FILES)) as hub:
        yield hub


@pytest.fixture
def get(hub: SmallHub, tmp_path: Path) -> Fetcher:
    return Fetcher(hub, Shelf(tmp_path))


def test_a_model_comes_whole_with_its_licence_and_what_it_is(get: Fetcher, hub: SmallHub) -> None:
    get()
    folder = get.shelf.at("tiny")
    assert (folder / "vision/model.onnx").read_bytes() == WEIGHTS
    assert (folder / "vision/preprocessor_config.json").read_bytes() == CONFIG
    assert (folder / "text/model.onnx").read_bytes() == WORDS
    assert "Copyright (c) 2026 Someone" in (folder / "LICENSE").read_text()
    assert "WITHOUT WARRANTY OF ANY KIND" in (folder / "LICENSE").read_text()
    manifest = get.shelf.manifest("tiny")
    assert manifest.is_verified
    assert manifest.sources == {REPO: COMMIT, OTHER: COMMIT}
    assert manifest.files["vision/model.onnx"].sha256 == sha(WEIGHTS)
    assert list(faults(folder, manifest)) == []
    total = len(WEIGHTS) + len(CONFIG) + len(WORDS)
    assert (get.told.total, get.told.begun, get.told.came) == (total, 0, total)
    assert not list(get.shelf.folder.glob(".fetching/*"))
    assert not [asked for asked in hub.asked if asked.path.startswith("/api/")], "a pinned commit is asked of nobody"


def test_an_empty_setting_names_the_public_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "")
    assert Hub().endpoint.startswith("https://")


def test_a_token_goes_to_the_hub_and_not_to_where_large_files_lie(
    get: Fetcher, hub: SmallHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.token = "hf_secret"
    get()
    assert {asked.authorization for asked in hub.asked if asked.host == "localhost"} == {None}
    assert {asked.authorization for asked in hub.asked if asked.host != "localhost"} == {"Bearer hf_secret"}


def test_a_download_that_is_cut_off_goes_on_where_it_was(get: Fetcher, hub: SmallHub) -> None:
    hub.misbehave("onnx/model.onnx", Fault(cut_at=70_000))
    hub.misbehave("onnx/model.onnx", Fault(cut_at=70_000))
    get()
    assert get.is_here
    assert hub.ranges("onnx/model.onnx") == [None, "bytes=65536-", "bytes=131072-"]
    assert get.told.came == get.told.total


def test_the_next_command_goes_on_where_the_last_one_was(get: Fetcher, hub: SmallHub) -> None:
    hub.misbehave("onnx/model.onnx", Fault(cut_at=70_000))
    hub.misbehave("onnx/model.onnx", Fault(cut_at=0, times=100))
    with pytest.raises(HubUnavailableError, match=r"onnx/model\.onnx of someone/vision cannot be fetched.*goes on"):
        get()
    assert not get.is_here
    assert get.shelf.all() == {}
    assert len(get.waits) == TRIES
    hub.faults.clear()
    hub.asked.clear()
    get()
    assert get.is_here
    assert hub.ranges("onnx/model.onnx") == ["bytes=65536-"]
    assert (get.told.begun, get.told.came) == (65_536, get.told.total - 65_536)


def test_files_that_came_whole_do_not_come_again(get: Fetcher, hub: SmallHub) -> None:
    hub.misbehave("model.onnx", Fault(status=403, method="GET"))
    with pytest.raises(FatalError, match=r"refuses model\.onnx of someone/text \(403\).*HF_TOKEN"):
        get()
    hub.asked.clear()
    get()
    assert get.is_here
    assert hub.ranges("onnx/model.onnx") == []


def test_a_hub_with_too_many_requests_is_given_the_time_that_it_asks_for(get: Fetcher, hub: SmallHub) -> None:
    hub.misbehave("config.json", Fault(status=429, headers={"Retry-After": "7"}, method="HEAD"))
    hub.misbehave("onnx/model.onnx", Fault(status=429, headers={"Retry-After": "3"}, method="HEAD", times=2))
    hub.misbehave("model.onnx", Fault(status=429, headers={"Retry-After": "5"}, method="GET", times=2))
    get()
    assert get.is_here
    assert sorted(get.waits) == [3.0, 3.0, 5.0, 5.0, 7.0]
    assert "config.json of someone/vision: it has too many requests (429); goes on in 7 s" in get.notes


def test_a_hub_may_say_until_when_to_wait(get: Fetcher, hub: SmallHub) -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    hub.misbehave("config.json", Fault(status=429, headers={"Retry-After": until}, method="HEAD"))
    get()
    assert 30 < get.waits[0] <= 60


def test_a_wait_that_is_too_long_is_left_to_the_person(get: Fetcher, hub: SmallHub) -> None:
    hub.misbehave("config.json", Fault(status=429, headers={"Retry-After": "3600"}, method="HEAD"))
    with pytest.raises(HubUnavailableError, match=r"wait for 3600 s before config\.json of someone/vision.*HF_TOKEN"):
        get()
    assert get.waits == []


def test_a_hub_in_trouble_is_tried_again(get: Fetcher, hub: SmallHub) -> None:
    hub.misbehave("config.json", Fault(status=503, method="HEAD", times=2))
    get()
    assert get.is_here
    assert len(get.waits) == 2


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("HEAD", "config.json", 404, r"has no config\.json of someone/vision \(404\).*HF_ENDPOINT"),
        ("HEAD", "config.json", 403, r"refuses config\.json of someone/vision \(403\).*HF_TOKEN"),
        ("HEAD", "config.json", 401, r"does not know config\.json of someone/vision.*HF_TOKEN"),
        ("GET", "onnx/model.onnx", 404, r"has no onnx/model\.onnx of someone/vision \(404\)"),
    ],
)
def test_what_another_try_cannot_mend_is_told_at_once(
    get: Fetcher, hub: SmallHub, method: str, path: str, status: int, said: str
) -> None:
    hub.misbehave(path, Fault(status=status, method=method, times=100))
    with pytest.raises(FatalError, match=said):
        get()
    assert get.waits == []
    assert not get.is_here


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("file", r"has no model\.onnx of someone/text \(404\)"),
        ("commit", r"does not know .* of someone/vision, or the commit"),
    ],
)
def test_a_mirror_that_is_not_whole_is_told(get: Fetcher, hub: SmallHub, change: str, said: str) -> None:
    if change == "file":
        hub.files[OTHER, "other"] = hub.files.pop((OTHER, "model.onnx"))
    else:
        hub.commit = 40 * "1"
    with pytest.raises(FatalError, match=said):
        get()


def test_what_is_no_hub_is_told(get: Fetcher, hub: SmallHub) -> None:
    hub.misbehave("config.json", Fault(status=200, body=b"<html>Please sign in", method="HEAD", times=9))
    with pytest.raises(FatalError, match=r"HF_ENDPOINT"):
        get()


@pytest.mark.parametrize("endpoint", ["mirror.local", "ftp://mirror.local", "http://mirror:port", "http://[::1"])
def test_an_address_that_is_none_is_told_at_once(tmp_path: Path, endpoint: str) -> None:
    waits: list[float] = []
    with pytest.raises(FatalError, match="HF_ENDPOINT"):
        fetch(Shelf(tmp_path), tiny(), Hub(endpoint, sleep=waits.append), Told(), reserve=0, trial=measured)
    assert waits == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HF_TOKEN", "h\u00fb"),
        ("HTTP_PROXY", "ftp://proxy"),
        ("HTTP_PROXY", "socks5://proxy"),
    ],
    ids=["token", "ftp", "socks"],
)
def test_a_setting_that_cannot_be_used_is_told_at_once(
    get: Fetcher, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv(name, value)
    with pytest.raises(FatalError, match=name):
        get()
    assert get.waits == []


def test_a_hub_that_is_away_is_told(get: Fetcher, hub: SmallHub) -> None:
    with SmallHub({}) as gone:
        pass
    get.hub = gone
    with pytest.raises(HubUnavailableError, match=rf"onnx/model\.onnx of someone/vision .*{gone.url}.*HTTPS_PROXY"):
        get()


def test_wrong_bytes_are_never_used(get: Fetcher, hub: SmallHub) -> None:
    hub.misbehave("onnx/model.onnx", Fault(body=WEIGHTS[:-1] + b"!"))
    with pytest.raises(FatalError, match=rf"onnx/model\.onnx of someone/vision came with other bytes.*{sha(WEIGHTS)}"):
        get()
    assert not get.is_here
    assert not list(get.shelf.folder.rglob("model.onnx"))
    get()
    assert get.is_here


def test_a_hub_that_has_another_file_in_place_of_the_one_we_know_is_refused(get: Fetcher, hub: SmallHub) -> None:
    hub.files[REPO, "onnx/model.onnx"] = b"!" * len(WEIGHTS)
    with pytest.raises(FatalError, match=rf"onnx/model\.onnx .*{sha(WEIGHTS)} is the one that we know"):
        get()
    hub.files[REPO, "onnx/model.onnx"] = b"!"
    with pytest.raises(FatalError, match=r"onnx/model\.onnx .*has 1 bytes.*should have 204800"):
        get()
    assert not get.is_here


def test_what_nobody_pinned_is_trusted_when_it_comes_first_and_only_that(get: Fetcher, hub: SmallHub) -> None:
    get(tiny(pinned=False))
    assert not get.shelf.manifest("tiny").is_verified
    get.shelf.remove("tiny")
    hub.files[REPO, "onnx/model.onnx"] = b"!" * len(WEIGHTS)
    with pytest.raises(FatalError, match=rf"{sha(WEIGHTS)} is the one that came first"):
        get(tiny(pinned=False))
    hub.files[REPO, "onnx/model.onnx"] = WEIGHTS
    get(tiny(pinned=False))
    assert get.is_here


def test_without_a_pinned_commit_the_first_one_stays(get: Fetcher, hub: SmallHub) -> None:
    get(tiny(pinned=False))
    get.shelf.remove("tiny")
    hub.commit = 40 * "1"
    with pytest.raises(FatalError, match="the commit of it"):
        get(tiny(pinned=False))


def test_wrong_bytes_are_noticed_where_only_the_hub_says_what_they_are(get: Fetcher, hub: SmallHub) -> None:
    hub.misbehave("config.json", Fault(body=b'{"size": 9}\n'))
    with pytest.raises(FatalError, match=r"config\.json .*that the hub itself names"):
        get(tiny(pinned=False))


def test_room_is_made_sure_of_before_anything_comes(get: Fetcher, hub: SmallHub) -> None:
    with pytest.raises(FatalError, match=r"tiny needs .* MB more.*DISK_RESERVE_BYTES.*Nothing was written"):
        get(reserve=1 << 60)
    assert not [asked for asked in hub.asked if asked.method == "GET"]


def test_a_disk_that_gets_full_is_told_and_what_came_is_kept(get: Fetcher, hub: SmallHub, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], check=False)
    if mounted.returncode:
        pytest.skip("This user may not mount a small disk.")
    try:
        get.shelf = Shelf(disk)
        with pytest.raises(FatalError, match=r"disk is full: model\.onnx of someone/text cannot .*goes on"):
            get(reserve=-(1 << 60))  # as if another program took the room meanwhile
        assert not get.is_here
        subprocess.run(["mount", "-o", "remount,size=2m", str(disk)], check=True)
        hub.asked.clear()
        get()
        assert get.is_here
        assert hub.ranges("onnx/model.onnx") == []
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_model_that_does_not_run_here_is_not_taken_in(
    get: Fetcher, hub: SmallHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path) -> Measured:
        raise FatalError("it does not fit")

    monkeypatch.setattr(get, "trial", refuse)
    with pytest.raises(FatalError, match="it does not fit"):
        get()
    assert not get.is_here
    monkeypatch.undo()
    hub.asked.clear()
    get()
    assert get.shelf.measured()["tiny"].ms == 7.0
    assert hub.ranges("onnx/model.onnx") == []


def test_one_comes_at_a_time(get: Fetcher, hub: SmallHub) -> None:
    with get.shelf.alone(), pytest.raises(FatalError, match=r"brought .* already, by process \d+\. Wait"):
        get()
    get()
    assert get.is_here


def test_nothing_is_seen_of_a_model_on_its_way(get: Fetcher, hub: SmallHub) -> None:
    hub.misbehave("model.onnx", Fault(delay=0.5))
    seen = []
    thread = threading.Thread(target=get)
    thread.start()
    while thread.is_alive():
        seen.append(get.shelf.all())
        thread.join(0.01)
    thread.join(HANG_SECONDS)
    assert len(seen) > 5
    assert not any(seen[:-1])
    assert get.is_here


def test_what_came_of_a_model_can_be_removed(get: Fetcher, hub: SmallHub) -> None:
    hub.misbehave("model.onnx", Fault(status=403, times=9))
    with pytest.raises(FatalError):
        get()
    assert get.shelf.partly("tiny") >= len(WEIGHTS) + len(CONFIG)
    get.shelf.remove("tiny")
    assert get.shelf.partly("tiny") == 0
    with pytest.raises(FatalError, match="not here"):
        get.shelf.remove("tiny")


def test_what_is_broken_on_the_disk_is_told_by_file(get: Fetcher) -> None:
    get()
    folder = get.shelf.at("tiny")
    (folder / "vision/model.onnx").write_bytes(WEIGHTS[:-1] + b"!")
    (folder / "text/model.onnx").unlink()
    (folder / "vision/preprocessor_config.json").write_bytes(b"")
    found = "\n".join(faults(folder, get.shelf.manifest("tiny")))
    assert f"vision/model.onnx has other content: its SHA-256 is {sha(WEIGHTS[:-1] + b'!')}" in found
    assert "text/model.onnx is missing" in found
    assert "preprocessor_config.json has 0 bytes in place of 12" in found


def test_every_entry_of_the_table_can_be_used(tmp_path: Path) -> None:
    known = entries(tmp_path / "none")
    assert next(iter(known)) == "siglip2-base-patch16-224"
    for entry in known.values():
        assert entry.notice in entry.licence_text()
        needed = {"vision/model.onnx", "text/model.onnx", "text/tokenizer.json"}
        assert {"captioner": CAPTIONING}.get(entry.family, needed) <= set(entry.files)
        for revision in (entry.source(name)[1] for name in entry.files):
            assert revision is None or len(revision) == 40
    default = known["siglip2-base-patch16-224"]
    assert default.is_verified
    assert default.bytes == 186_039_516 + 564_862_230 + 394 + 34_363_039
    assert [name for name, entry in known.items() if not entry.is_verified] == ["fast", "captions"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[mine", "is no table of models"),
        ('[mine]\nabout = "x"', "Entry .* cannot be used: Field required"),
        ("mine = 3", "is no table of models"),
    ],
)
def test_a_table_of_ones_own_that_is_wrong_is_told(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "table.toml").write_text(text)
    with pytest.raises(FatalError, match=said):
        entries(tmp_path / "table.toml")


def test_a_file_may_not_lie_outside_of_its_model() -> None:
    for name in ("../other/model.onnx", "/etc/x", "model.json"):
        with pytest.raises(ValueError, match="no place in a model's folder"):
            Entry.model_validate(tiny().model_dump() | {"files": {name: {"at": "x"}}})
