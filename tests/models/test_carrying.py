"""Models go to machines without a network, and nothing that comes in is believed."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import FatalError
from embedded.models.carrying import BY_HAND, export, take_in
from embedded.models.manifest import FileFact, Manifest, faults, sha256
from embedded.models.shelf import Measured, Shelf
from tests.models.test_fetching import CONFIG, WEIGHTS, WORDS, Told, sha, tiny

FILES = {"vision/model.onnx": WEIGHTS, "vision/preprocessor_config.json": CONFIG, "text/model.onnx": WORDS}


def measured(folder: Path) -> Measured:
    return Measured(dimension=3, ms=5.0, memory=100)


def lay(folder: Path, name: str = "tiny", files: dict[str, bytes] | None = None) -> Path:
    files = FILES | (files or {})
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    facts = {path: FileFact(bytes=len(content), sha256=sha(content), pinned=True) for path, content in files.items()}
    manifest = Manifest(
        name=name, family="siglip", languages="", licence="MIT", sources={}, files=facts, fetched_at="2026"
    )
    (folder / "model.json").write_text(manifest.model_dump_json())
    (folder / "LICENSE").write_text("do what you like")
    return folder


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    shelf = Shelf(tmp_path / "here")
    lay(shelf.at("tiny"))
    export(shelf, "tiny", tmp_path / "tiny.tar", Told(), reserve=0)
    return tmp_path / "tiny.tar"


@pytest.fixture
def there(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "there")


def take(
    shelf: Shelf,
    source: Path,
    *,
    pinned: bool = True,
    named: tuple[str, str] | None = None,
    trial: Callable[[Path], Measured] = measured,
    reserve: int = 0,
) -> Manifest | None:
    known = {"tiny": tiny(pinned=pinned)}
    return take_in(shelf, known, source, Told(), named=named, reserve=reserve, trial=trial)


def test_what_is_exported_here_is_taken_in_there(exported: Path, there: Shelf) -> None:
    manifest = take(there, exported)
    assert manifest is not None
    assert manifest.is_verified
    assert list(faults(there.at("tiny"), there.manifest("tiny"))) == []
    assert (there.at("tiny") / "LICENSE").read_text() == "do what you like"
    assert there.measured()["tiny"].ms == 5.0
    assert take(there, exported) is None, "it is here already"


def test_a_folder_is_taken_in_too(tmp_path: Path, there: Shelf) -> None:
    assert take(there, lay(tmp_path / "stick")) is not None
    assert (there.at("tiny") / "text/model.onnx").read_bytes() == WORDS


def test_what_it_says_of_itself_verifies_nothing(tmp_path: Path, there: Shelf) -> None:
    manifest = take(there, lay(tmp_path / "stick", name="another"))
    assert manifest is not None
    assert not manifest.is_verified


def test_how_a_model_that_we_know_is_used_is_not_taken_from_it(tmp_path: Path, there: Shelf) -> None:
    stick = lay(tmp_path / "stick")
    said = json.loads((stick / "model.json").read_text())
    (stick / "model.json").write_text(json.dumps(said | {"family": "clip", "logit_scale": 1.0}))
    manifest = take(there, stick)
    assert manifest is not None
    assert (manifest.family, manifest.logit_scale) == ("siglip", None)


def test_other_files_under_a_name_that_we_know_are_refused(tmp_path: Path, there: Shelf) -> None:
    stick = lay(tmp_path / "stick", files={"vision/model.onnx": b"evil"})
    with pytest.raises(FatalError, match=rf"vision/model\.onnx in .* is not the one of tiny.*{sha(WEIGHTS)}"):
        take(there, stick)
    assert there.all() == {}


def test_other_files_than_those_that_came_first_are_refused(tmp_path: Path, there: Shelf) -> None:
    take(there, lay(tmp_path / "stick"), pinned=False)
    there.remove("tiny")
    with pytest.raises(FatalError, match=r"is not the one of tiny"):
        take(there, lay(tmp_path / "other", files={"vision/model.onnx": b"evil"}), pinned=False)


def test_files_that_are_not_what_the_manifest_says_are_refused(tmp_path: Path, there: Shelf) -> None:
    stick = lay(tmp_path / "stick")
    (stick / "text/model.onnx").write_bytes(b"!" * len(WORDS))
    with pytest.raises(FatalError, match=r"stick is damaged: .*text/model\.onnx has other content"):
        take(there, stick)
    (stick / "text/model.onnx").unlink()
    with pytest.raises(FatalError, match=r"stick lacks text/model\.onnx"):
        take(there, stick)
    assert there.all() == {}


@pytest.mark.parametrize("length", [1000, 100_000, 250_000])
def test_a_file_that_is_cut_off_is_told(exported: Path, there: Shelf, length: int) -> None:
    cut = exported.with_name("cut.tar")
    cut.write_bytes(exported.read_bytes()[:length])
    with pytest.raises(FatalError, match=r"cut\.tar .*(cut off|damaged|lacks|no model\.json|no file that)"):
        take(there, cut)
    assert there.all() == {}


@pytest.mark.parametrize("content", [b"", b"no archive at all" * 100], ids=["empty", "text"])
def test_what_is_no_archive_is_told(tmp_path: Path, there: Shelf, content: bytes) -> None:
    (tmp_path / "x.tar").write_bytes(content)
    with pytest.raises(FatalError, match=r"x\.tar (is no file that|has no model\.json)"):
        take(there, tmp_path / "x.tar")
    with pytest.raises(FatalError, match="does not exist"):
        take(there, tmp_path / "none.tar")


@pytest.mark.parametrize("path", ["../../escaped", "/tmp/escaped", "escaped"])
def test_nothing_is_written_outside_of_the_model(tmp_path: Path, there: Shelf, path: str) -> None:
    stick = lay(tmp_path / "stick")
    manifest = json.loads((stick / "model.json").read_text())
    manifest["files"][path] = {"bytes": 4, "sha256": sha(b"evil"), "pinned": True}
    with tarfile.open(tmp_path / "evil.tar", "w") as archive:
        for name, content in ((f"tiny/{path}", b"evil"), ("tiny/model.json", json.dumps(manifest).encode())):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    with pytest.raises(FatalError, match="which lies in no model's folder"):
        take(there, tmp_path / "evil.tar")
    assert not list(tmp_path.rglob("escaped"))


def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, there: Shelf) -> None:
    with pytest.raises(FatalError, match=r"'\.\./x' is no name of a model"):
        take(there, lay(tmp_path / "stick", name="../x"))


def test_links_in_an_archive_are_not_followed(tmp_path: Path, there: Shelf) -> None:
    stick = lay(tmp_path / "stick")
    with tarfile.open(tmp_path / "links.tar", "w") as archive:
        archive.add(stick / "model.json", "tiny/model.json")
        member = tarfile.TarInfo("tiny/vision/model.onnx")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    with pytest.raises(FatalError, match=r"lacks vision/model\.onnx"):
        take(there, tmp_path / "links.tar")


def test_files_of_ones_own_get_a_name(tmp_path: Path, there: Shelf) -> None:
    mine = lay(tmp_path / "mine")
    (mine / "model.json").unlink()
    with pytest.raises(FatalError, match=r"has no model\.json.*--name NAME"):
        take(there, mine)
    manifest = take(there, mine, named=("mine", BY_HAND))
    assert manifest is not None
    assert (manifest.name, manifest.family, manifest.is_verified) == ("mine", BY_HAND, False)
    assert manifest.files["vision/model.onnx"].sha256 == sha256(mine / "vision/model.onnx")


def test_room_is_made_sure_of_first(exported: Path, there: Shelf, tmp_path: Path) -> None:
    with pytest.raises(FatalError, match=r"tiny needs .*Nothing was written"):
        take(there, exported, reserve=1 << 60)
    with pytest.raises(FatalError, match=r"tiny needs .*Nothing was written"):
        export(Shelf(tmp_path / "here"), "tiny", tmp_path / "second.tar", Told(), reserve=1 << 60)
    assert not list(tmp_path.glob("second*"))


def test_a_broken_model_is_not_exported(tmp_path: Path, exported: Path) -> None:
    shelf = Shelf(tmp_path / "here")
    with pytest.raises(FatalError, match=r"tiny\.tar exists already"):
        export(shelf, "tiny", exported, Told(), reserve=0)
    (shelf.at("tiny") / "text/model.onnx").write_bytes(b"x")
    with pytest.raises(FatalError, match=r"tiny is not exported, as it is broken: .*text/model\.onnx"):
        export(shelf, "tiny", tmp_path / "again.tar", Told(), reserve=0)
    assert not list(tmp_path.glob("again*"))
