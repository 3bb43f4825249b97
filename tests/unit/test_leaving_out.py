"""Folders as people have them: what systems and programs keep there is no photograph of anyone."""

import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import pytest

from agents.leaving_out import MOST_COUNTED, Chosen, LeftOut, total
from agents.scan.walking import Found, Refused, walk
from rules.leaving_out import Patterns, is_left_out, left_out_name


def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"1")


def look(
    source: Path, exclude: Iterable[str] = (), setting: Iterable[str] = (), named: Iterable[Path] = ()
) -> tuple[set[str], dict[str, str], LeftOut]:
    """Return what is found and refused below a folder, by path, and what is left out."""
    chosen = Chosen(Patterns(exclude), Patterns(setting), frozenset(os.fsencode(path) for path in named))
    entries = list(walk(os.fsencode(source), None, chosen))
    refused = {name(source, entry.path): entry.reason for entry in entries if isinstance(entry, Refused)}
    found = [name(source, entry.path) for entry in entries if isinstance(entry, Found)]
    assert len(found) == len(set(found)), "a file is found twice"
    return set(found), refused, total(entry for entry in entries if isinstance(entry, LeftOut))


def name(source: Path, path: bytes) -> str:
    return os.path.relpath(os.fsdecode(path), source)


JUNK = [
    "@eaDir/IMG.jpg/SYNOPHOTO_THUMB_M.jpg", "#recycle/old.jpg", "#snapshot/GMT-2024/a.jpg", ".@__thumb/a.jpg",
    "@Recycle/a.jpg", "@Recently-Snapshot/a.jpg", ".Trash-1000/files/a.jpg", ".Trashes/501/a.jpg", ".Trash/a.jpg",
    "$RECYCLE.BIN/S-1-5/a.jpg", "System Volume Information/a.jpg", "lost+found/a.jpg", "FOUND.000/a.jpg",
    ".thumbnails/1.jpg", "__MACOSX/._a.jpg", "__MACOSX/a.jpg", ".snapshot/hourly.0/a.jpg", ".snapshots/1/a.jpg",
    ".zfs/snapshot/x/a.jpg", ".stversions/a.jpg", ".dtrash/a.jpg", ".AppleDouble/a.jpg", ".cache/thumbnails/a.jpg",
    "Catalog Previews.lrdata/0/a.jpg", "Catalog.lrcat-data/a.jpg", "Session/CaptureOne/Cache/Thumbnails/a.jpg",
    "@sharesnap/a.jpg", "@SynologyDrive/a.jpg", "@SynologyCloudSync/a.jpg", ".@upload_cache/a.jpg", "@Transcode/a.jpg",
    "Old.migratedaplibrary/Thumbnails/a.jpg", ".picasaoriginals/a.jpg", ".comments/a.jpg", ".streams/a.jpg",
    ".btrfs/snapshot/a.jpg", ".@qsys/a.jpg", ".svn/a.jpg", "node_modules/pkg/a.jpg", "iPod Photo Cache/a.jpg",
    "Camera/.nomedia", "Camera/sent.jpg", "Camera/below/sent.jpg",
    "._a.jpg", ".DS_Store", "Thumbs.db", "desktop.ini", "Catalog.lrcat", "Shoot.cosessiondb", "Shoot.cocatalogdb",
    "digikam4.db", "thumbnails-digikam.db", ".trashed-1700000000-a.jpg", ".pending-1700000000-a.jpg",
]  # fmt: skip


@pytest.mark.parametrize("junk", JUNK)
@pytest.mark.parametrize("below", ["", "2024/07/"])
def test_what_is_of_systems_and_programs_is_left_out(tmp_path: Path, junk: str, below: str) -> None:
    make(tmp_path, "a.jpg", "2024/07/b.jpg", below + junk)
    if junk.startswith("Camera/") and junk != "Camera/.nomedia":
        make(tmp_path, below + "Camera/.nomedia")
    found, refused, left_out = look(tmp_path)
    assert (found, refused) == ({"a.jpg", "2024/07/b.jpg"}, {})
    assert (left_out.files >= 1, left_out.folders) == (True, 1)


def test_names_are_known_in_any_case(tmp_path: Path) -> None:
    make(tmp_path, "@EADIR/a.jpg", "THUMBS.DB", "$Recycle.Bin/a.jpg", ".ds_store")
    assert look(tmp_path) == (set(), {}, LeftOut(4, 3))


@pytest.mark.parametrize(
    "kept",
    [
        ".hidden.jpg", ".album/a.jpg", "trash/a.jpg", "Recycle/a.jpg", "snapshot/a.jpg", "#1/a.jpg", "@home/a.jpg",
        "thumbnails/a.jpg", "_._.jpg", "CaptureOne.jpg", "Thumbs/a.jpg", "eaDir/a.jpg", "originals/a.jpg",
        "Library.photoslibrary.jpg", "cache/a.jpg", "._folder/a.jpg", "darktable_exported/a.jpg",
    ],
)  # fmt: skip
def test_what_people_may_call_their_own_is_taken(tmp_path: Path, kept: str) -> None:
    make(tmp_path, kept)
    assert look(tmp_path) == ({kept}, {}, LeftOut(0, 0))


def test_of_a_library_the_originals_are_taken(tmp_path: Path) -> None:
    make(
        tmp_path,
        "Photos Library.photoslibrary/originals/A/1.heic",
        "Photos Library.photoslibrary/resources/derivatives/A/1_1_105_c.jpeg",
        "Photos Library.photoslibrary/database/Photos.sqlite",
        "Photos Library.photoslibrary/Thumbnails/2.jpg",
        "Old.aplibrary/Masters/2010/3.jpg",
        "Old.aplibrary/Previews/2010/3.jpg",
        "Old.aplibrary/Info.plist",
        "Shoot.cocatalog/Originals/4.jpg",
        "Shoot.cocatalog/Cache/Proxies/4.jpg",
    )
    originals = {
        "Photos Library.photoslibrary/originals/A/1.heic",
        "Old.aplibrary/Masters/2010/3.jpg",
        "Shoot.cocatalog/Originals/4.jpg",
    }
    assert look(tmp_path) == (originals, {}, LeftOut(6, 6))
    # Whoever names the library means its photographs; whoever names a folder in it, that one.
    library = tmp_path / "Photos Library.photoslibrary"
    assert look(library)[0] == {"originals/A/1.heic"}
    assert look(library / "resources")[0] == {"derivatives/A/1_1_105_c.jpeg"}


class TestWhoNamesAFolderWantsIt:
    @pytest.mark.parametrize("source", [".thumbnails", "@eaDir/IMG.jpg", ".thumbnails/large", "#recycle/2024"])
    def test_it_is_walked(self, tmp_path: Path, source: str) -> None:
        make(tmp_path, f"{source}/a.jpg", f"{source}/below/b.jpg", f"{source}/@eaDir/c.jpg")
        assert look(tmp_path / source) == ({"a.jpg", "below/b.jpg"}, {}, LeftOut(1, 1))

    def test_one_with_a_nomedia_file_too(self, tmp_path: Path) -> None:
        make(tmp_path, ".nomedia", "a.jpg")
        assert look(tmp_path) == ({"a.jpg"}, {}, LeftOut(1, 1))

    def test_also_beside_a_folder_that_it_lies_in(self, tmp_path: Path) -> None:
        make(tmp_path, "a.jpg", "@eaDir/b.jpg", "@eaDir/x/c.jpg", "@eaDir/x/y/d.jpg", "@eaDir/z.jpg", ".trash/e.jpg")
        named = [tmp_path, tmp_path / "@eaDir/x", tmp_path / "@eaDir/x/y", tmp_path / "@eaDir/z.jpg"]
        found, refused, left_out = look(tmp_path, named=named)
        assert found == {"a.jpg", "@eaDir/x/c.jpg", "@eaDir/x/y/d.jpg", "@eaDir/z.jpg"}
        assert (refused, left_out) == ({}, LeftOut(2, 2))

    def test_a_single_file_is_taken_whatever_it_is_called(self, tmp_path: Path) -> None:
        make(tmp_path, "@eaDir/._a.jpg")
        assert look(tmp_path / "@eaDir/._a.jpg", exclude=["*"])[0] == {"."}


class TestPatterns:
    def test_of_the_request_as_in_gitignore(self, tmp_path: Path) -> None:
        make(tmp_path, "a.jpg", "a.tif", "raw/b.tif", "raw/keep.tif", "top/c.jpg", "x/top/d.jpg", "x/private/e.jpg")
        exclude = ["*.tif", "!keep.tif", "/top/", "private/", "# a comment", ""]
        assert look(tmp_path, exclude) == ({"a.jpg", "raw/keep.tif", "x/top/d.jpg"}, {}, LeftOut(4, 4))

    def test_of_the_settings_go_behind_those_of_the_request(self, tmp_path: Path) -> None:
        make(tmp_path, "a.tif", "b.tif")
        assert look(tmp_path, setting=["*.tif"])[0] == set()
        assert look(tmp_path, setting=["*.tif"], exclude=["!b.tif"])[0] == {"b.tif"}

    def test_what_is_left_out_by_itself_can_be_had_again(self, tmp_path: Path) -> None:
        make(tmp_path, ".thumbnails/a.jpg", "@eaDir/b.jpg", "@eaDir/x/c.jpg", "Sent/.nomedia", "Sent/d.jpg")
        assert look(tmp_path, ["!.thumbnails/", "!Sent/"])[0] == {".thumbnails/a.jpg", "Sent/d.jpg"}
        (tmp_path / ".darkroomignore").write_text("!@eaDir/\n")
        assert look(tmp_path)[0] == {"@eaDir/b.jpg", "@eaDir/x/c.jpg"}

    def test_names_that_are_not_utf_8_and_names_in_nfd(self, tmp_path: Path) -> None:
        make(
            tmp_path,
            "caf\udce9.jpg",
            "caf\udce9.tif",
            unicodedata.normalize("NFD", "Überblick/a.jpg"),
            "keep\udce9/b.jpg",
        )
        found, refused, _ = look(tmp_path, ["caf*.tif", unicodedata.normalize("NFC", "Überblick/")])
        assert (found, refused) == ({"caf\udce9.jpg", "keep\udce9/b.jpg"}, {})
        (tmp_path / ".darkroomignore").write_bytes(b"caf\xe9.jpg\nkeep\xe9/\n")
        assert look(tmp_path, ["Überblick/"])[0] == {"caf\udce9.tif"}

    def test_a_pattern_that_is_none_is_named(self) -> None:
        with pytest.raises(ValueError, match=r"a\\"):
            Patterns(["*.jpg", "a\\"])


class TestIgnoreFile:
    def test_the_nearest_decides(self, tmp_path: Path) -> None:
        make(tmp_path, "a.tif", "x/b.tif", "x/y/c.tif", "x/y/d.jpg", "z/e.tif")
        (tmp_path / ".darkroomignore").write_text("*.tif\r\n!/z/*.tif\r\n")
        (tmp_path / "x/.darkroomignore").write_text("!*.tif\n")
        (tmp_path / "x/y/.darkroomignore").write_text("c.*\n")
        found, refused, left_out = look(tmp_path)
        assert (found, refused) == ({"x/b.tif", "x/y/d.jpg", "z/e.tif"}, {})
        assert left_out == LeftOut(2, 2)
        assert look(tmp_path, ["!a.tif", "/z/"])[0] == {"a.tif", "x/b.tif", "x/y/d.jpg"}

    def test_it_counts_for_a_folder_below_it_too(self, tmp_path: Path) -> None:
        make(tmp_path, "2024/a.jpg", "2024/private/b.jpg", "private/c.jpg", "private/private/d.jpg")
        (tmp_path / ".darkroomignore").write_text("private/\n")
        assert look(tmp_path / "2024")[0] == {"a.jpg"}
        # Who names the folder itself overrules it.
        assert look(tmp_path / "private")[0] == {"c.jpg", "private/d.jpg"}

    @pytest.mark.parametrize(
        "content",
        [
            pytest.param(b"a\\\n", id="no pattern"),
            pytest.param(b"x" * 70_000, id="too long"),
            pytest.param("private/\n".encode("utf-16"), id="UTF-16, as Notepad saved it"),
        ],
    )
    def test_one_that_is_not_understood_lets_nothing_in(self, tmp_path: Path, content: bytes) -> None:
        make(tmp_path, "a.jpg", "x/private/b.jpg", "x/c.jpg")
        (tmp_path / "x/.darkroomignore").write_bytes(content)
        found, refused, _ = look(tmp_path)
        assert (found, list(refused)) == ({"a.jpg"}, ["x"])
        assert ".darkroomignore" in refused["x"]

    def test_one_that_leads_out_of_the_roots_is_not_read(self, tmp_path: Path) -> None:
        make(tmp_path, "root/x/a.jpg")
        (tmp_path / "secret").write_text("*.jpg")
        (tmp_path / "root/x/.darkroomignore").symlink_to(tmp_path / "secret")
        entries = list(walk(os.fsencode(tmp_path / "root"), (os.fsencode(tmp_path / "root"),)))
        assert [type(entry) for entry in entries] == [Refused]


def test_a_folder_that_is_left_out_is_counted_up_to_a_bound(tmp_path: Path) -> None:
    make(tmp_path, *(f".snapshot/{number % 3}/{number}" for number in range(MOST_COUNTED + 5)))
    _, _, left_out = look(tmp_path)
    assert (left_out.more, left_out.folders) == (True, 1)
    assert MOST_COUNTED - 5 <= left_out.files <= MOST_COUNTED


def test_links_in_what_is_left_out_lead_nowhere(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "#recycle/b.jpg")
    (tmp_path / "#recycle/loop").symlink_to(tmp_path)
    (tmp_path / "@eaDir").symlink_to(tmp_path)
    (tmp_path / "._gone.jpg").symlink_to(tmp_path / "nowhere")
    found, refused, left_out = look(tmp_path)
    assert (found, refused, left_out) == ({"a.jpg"}, {}, LeftOut(3, 2))


@pytest.mark.parametrize(
    ("sent", "is_out"),
    [
        ("._a.jpg", True),
        ("a.jpg", False),
        ("holiday/@eaDir/a.jpg", True),
        ("holiday\\Thumbs.db", True),
        ("/holiday/a.jpg", False),
        ("Lib.photoslibrary/resources/a.jpg", True),
        ("Lib.photoslibrary/originals/a.jpg", False),
        ("private/a.jpg", True),
        ("a.tif", True),
    ],
)
def test_an_upload_follows_the_same_rule(sent: str, is_out: bool) -> None:
    assert left_out_name(sent, Patterns(["private/", "*.tif"])) is is_out


def test_only_folders_are_known_as_folders() -> None:
    assert is_left_out("@eaDir", "x", is_folder=True)
    assert not is_left_out("@eaDir", "x", is_folder=False)


@pytest.mark.parametrize(
    ("lines", "is_out", "is_taken"),
    [
        (["*.jpg", "!keep/"], ["keep/a.jpg"], ["keep/a.tif"]),
        (["*.jpg", "!keep"], ["keep/a.jpg", "keep/below/a.jpg"], ["keep/a.tif"]),
        (["keep/*", "!keep/best"], ["keep/a.jpg"], ["keep/best/a.jpg"]),
        (["a/**", "!a/b.jpg"], ["a/c.jpg", "a/x/b.jpg"], ["a/b.jpg", "b/a.jpg"]),
        (["a/**/"], ["a/x/b.jpg"], ["a/b.jpg"]),
        (["*", "!*/", "!*.jpg"], ["a.tif", "x/a.tif"], ["a.jpg", "x/y/a.jpg"]),
        (["/*", "!/x/"], ["a.jpg", "y/a.jpg"], ["x/a.jpg", "x/y/a.jpg"]),
        (["x/**/b.jpg"], ["x/b.jpg", "x/y/z/b.jpg"], ["b.jpg", "x/c.jpg", "y/x/b.jpg"]),
        (["a b/  ", "c.jpg\\ "], ["a b/a.jpg", "c.jpg "], ["a/a.jpg", "c.jpg"]),
        (["**"], ["a.jpg", "x/a.jpg"], []),
        (["[[:digit:]]*"], ["1.jpg", "2024/a.jpg"], ["a.jpg"]),
        (["a[!b]*"], ["ac.jpg"], ["ab.jpg", "a/x.jpg"]),
        (["[a\\-c].jpg"], ["-.jpg", "c.jpg"], ["b.jpg"]),
        (["a.jpg\t"], ["a.jpg\t"], ["a.jpg"]),
    ],
)
def test_patterns_mean_what_they_mean_to_git(
    tmp_path: Path, lines: list[str], is_out: list[str], is_taken: list[str]
) -> None:
    make(tmp_path, *is_out, *is_taken)
    (tmp_path / ".darkroomignore").write_text("\n".join(lines))
    assert look(tmp_path)[0] == set(is_taken)
    patterns = Patterns(lines)
    assert {path for path in (*is_out, *is_taken) if left_out_name(path, patterns)} == set(is_out)
