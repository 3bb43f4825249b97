"""Walking real folders: whatever a disk holds is a photograph or an outcome, never a crash."""

import os
import resource
import socket
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

import pytest

from agents.leaving_out import Chosen
from agents.scan.walking import Found, Refused, Walked, walk, walk_within
from imaging.hashing import FileStamp
from rules.leaving_out import Patterns

ROOT = Path(__file__).resolve().parents[2]
EXTENSION = "its extension is not that of a photograph"


def found(source: Path) -> set[str]:
    """Return the paths of the photographs below a folder, relative to it."""
    return {os.path.relpath(os.fsdecode(e.path), source) for e in walk(os.fsencode(source)) if isinstance(e, Found)}


def refused(source: Path) -> dict[str, tuple[str, str]]:
    entries = [entry for entry in walk(os.fsencode(source)) if isinstance(entry, Refused)]
    return {os.path.relpath(os.fsdecode(e.path), source): (e.outcome, e.reason) for e in entries}


def test_folders_in_folders(tmp_path: Path) -> None:
    for name in ("a.jpg", "x/b.JPEG", "x/y/c.nef", "x/y/notes.txt", "empty/.keep"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"12345")
    assert found(tmp_path) == {"a.jpg", "x/b.JPEG", "x/y/c.nef"}
    assert refused(tmp_path) == {"x/y/notes.txt": ("skipped", EXTENSION), "empty/.keep": ("skipped", EXTENSION)}


def test_a_photograph_comes_with_its_stamp(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"12345")
    os.utime(path, ns=(1, 1_700_000_000_123_456_789))
    stamp = FileStamp(size=5, mtime_ns=1_700_000_000_123_456_789)
    assert list(walk(os.fsencode(tmp_path))) == [Found(os.fsencode(path), stamp)]
    assert list(walk(os.fsencode(path))) == [Found(os.fsencode(path), stamp)]


def test_a_link_to_a_file_or_to_a_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/a.jpg").write_bytes(b"1")
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "b.jpg").symlink_to(tmp_path / "elsewhere/a.jpg")
    (photos / "album").symlink_to(tmp_path / "elsewhere")
    assert found(photos) == {"b.jpg", "album/a.jpg"}


def test_a_link_to_a_folder_that_contains_it_is_not(tmp_path: Path) -> None:
    (tmp_path / "x/y").mkdir(parents=True)
    (tmp_path / "x/a.jpg").write_bytes(b"1")
    (tmp_path / "x/y/up").symlink_to(tmp_path / "x")
    (tmp_path / "x/self").symlink_to(".")
    assert found(tmp_path) == {"x/a.jpg"}
    assert refused(tmp_path) == dict.fromkeys(("x/y/up", "x/self"), ("skipped", "a link to a folder that contains it"))


def test_links_to_nothing_fail_if_they_are_called_like_photographs(tmp_path: Path) -> None:
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "round.jpg").symlink_to(tmp_path / "round.jpg")
    assert refused(tmp_path) == {
        "gone.jpg": ("failed", "a link to nothing"),
        "gone": ("skipped", EXTENSION),
        "round.jpg": ("failed", f"{tmp_path}/round.jpg: Too many levels of symbolic links"),
    }


def test_pipes_and_sockets_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener, tempfile.TemporaryDirectory() as short:
        listener.bind(f"{short}/socket.jpg")
        assert refused(Path(short)) == {"socket.jpg": ("skipped", "not a regular file")}
    assert refused(tmp_path) == {"pipe.jpg": ("skipped", "not a regular file"), "pipe": ("skipped", EXTENSION)}


@pytest.mark.parametrize("name", [b"caf\xe9.jpg", b"two\nlines.jpg", b"-rf .jpg", "日本.jpg".encode(), b"\x01\x7f.jpg"])
def test_any_name_is_a_name(tmp_path: Path, name: bytes) -> None:
    path = os.fsencode(tmp_path) + b"/" + name
    Path(os.fsdecode(path)).write_bytes(b"1")
    (entry,) = walk(os.fsencode(tmp_path))
    assert isinstance(entry, Found)
    assert entry.path == path


def test_a_source_that_is_no_photograph_or_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_bytes(b"1")
    assert refused(tmp_path / "notes.txt") == {".": ("skipped", EXTENSION)}
    gone = tmp_path / "gone"
    assert refused(gone) == {".": ("failed", f"{gone}: No such file or directory")}


def test_what_vanishes_in_the_middle_of_a_walk_is_an_outcome(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / f"{number}/deep").mkdir(parents=True)
        (tmp_path / f"{number}/deep/a.jpg").write_bytes(b"1")
        (tmp_path / f"{number}.jpg").write_bytes(b"1")
    entries = walk(os.fsencode(tmp_path))
    seen = [next(entries)]
    subprocess.run(["rm", "-r", *map(str, tmp_path.iterdir())], check=True)
    seen += entries
    assert len(seen) >= 4
    for entry in seen[1:]:
        assert isinstance(entry, Refused)
        assert (entry.outcome, entry.reason.endswith("No such file or directory")) == ("failed", True)


@pytest.fixture
def many_open_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(4096, hard)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_open_files")
def test_folders_nest_deeper_than_python_calls_may(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(sys.getrecursionlimit()):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("a.jpg", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    try:
        (entry,) = walk(os.fsencode(tmp_path))
    finally:
        subprocess.run(["rm", "-r", str(tmp_path / "d")], check=True)
    assert isinstance(entry, Found)
    assert entry.path.endswith(b"/d/d/a.jpg")


def test_it_streams_and_closes_what_it_leaves(tmp_path: Path) -> None:
    for number in range(1000):
        (tmp_path / f"{number:0100}.jpg").touch()
    tracemalloc.start()
    try:
        begin = tracemalloc.get_traced_memory()[0]
        assert sum(1 for _ in walk(os.fsencode(tmp_path))) == 1000
        most = tracemalloc.get_traced_memory()[1] - begin
    finally:
        tracemalloc.stop()
    assert most < 100_000  # the paths alone are more
    opened = open_files()
    with closing(walk(os.fsencode(tmp_path))) as entries:
        assert len(list(islice(entries, 3))) == 3
        assert open_files() > opened
    assert open_files() == opened


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


# Root may read everything, so the walk runs as nobody where the tests run as root.
AS_NOBODY = """
import os, sys
from agents.scan.walking import walk
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
for entry in walk(os.fsencode(sys.argv[1])):
    print(type(entry).__name__, os.path.relpath(os.fsdecode(entry.path), sys.argv[1]), getattr(entry, "reason", ""))
"""


def test_what_may_not_be_read_fails_and_its_neighbours_go_on() -> None:
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder)
        photos.chmod(0o755)
        for name in ("open/a.jpg", "closed/b.jpg", "listed/c.jpg", "listed/notes.txt"):
            (photos / name).parent.mkdir(exist_ok=True)
            (photos / name).write_bytes(b"1")
        (photos / "listed/folder").mkdir()
        (photos / "closed").chmod(0)
        (photos / "listed").chmod(0o444)  # names can be read, but nothing about them
        (photos / "link.jpg").symlink_to(photos / "closed/b.jpg")
        try:
            result = subprocess.run(
                [sys.executable, "-c", AS_NOBODY, folder], cwd=ROOT, capture_output=True, text=True, check=True
            )
        finally:
            (photos / "closed").chmod(0o700)
            (photos / "listed").chmod(0o700)
    denied = "Permission denied"
    assert sorted(result.stdout.splitlines()) == [
        "Found open/a.jpg ",
        f"Refused closed {folder}/closed: {denied}",
        f"Refused link.jpg {folder}/link.jpg: {denied}",
        f"Refused listed {folder}/listed: {denied}",
    ]


@pytest.mark.parametrize(
    "name",
    ["a.HIF", "a.jfif", "a.jpe", "a.mpo", "a.nrw", "a.3fr", "a.jp2", "a.psd", "a.psb", "a.jxl", "b.jxl", "a", "a.txt"],
)
def test_a_picture_is_found_under_any_name(name: str, tmp_path: Path) -> None:
    heads = {
        "a.HIF": b"\0\0\0\x18ftypheix\0\0\0\0",
        "a.nrw": b"MM\0*\0\0\0\x08" + bytes(8),
        "a.3fr": b"II*\0\x08\0\0\0" + bytes(8),
        "a.jp2": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(4),
        "a.psd": b"8BPS\0\1" + bytes(10),
        "a.psb": b"8BPS\0\2" + bytes(10),
        "a.jxl": b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(4),
        "b.jxl": b"\xff\x0a" + bytes(14),
    }
    (tmp_path / name).write_bytes(heads.get(name, b"\xff\xd8\xff\xe0" + bytes(12)))
    for other, content in (("a.pdf", b"%PDF-1.7"), ("a.mp4", b"\0\0\0\x18ftypisom"), ("empty", b"")):
        (tmp_path / other).write_bytes(content)
    found = [one for one in walk(os.fsencode(tmp_path)) if isinstance(one, Found)]
    assert [one.path for one in found] == [os.fsencode(tmp_path / name)]


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("a.jpg", ["a.jpg"]),
        ("2024", ["2024/b.jpg", "2024/deep/c.jpg"]),
        ("2024/deep/c.jpg", ["2024/deep/c.jpg"]),
        ("2024/none.jpg", []),
        ("private", []),
        ("private/deep/x.jpg", []),
        ("2024/notes.txt", []),
        ("2024/up", []),  # a link to what contains it
        ("2024/left.jpg", []),  # as the ignore file says
        (".darkroom/x.jpg", []),
        ("2024/up/a.jpg", []),
    ],
)
def test_a_part_is_walked_as_a_walk_of_the_whole_comes_by(tmp_path: Path, place: str, expected: list[str]) -> None:
    for name in ("a.jpg", "2024/b.jpg", "2024/deep/c.jpg", "2024/left.jpg", "2024/notes.txt", "private/deep/x.jpg",
                 ".darkroom/x.jpg"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "2024" / "up").symlink_to(tmp_path)
    (tmp_path / "2024" / ".darkroomignore").write_text("left.jpg\n")
    source = bytes(tmp_path)
    chosen = Chosen(Patterns(["private/"]), Patterns(()), frozenset({source}))

    def found(entries: Iterable[Walked]) -> list[str]:
        return sorted(os.path.relpath(os.fsdecode(one.path), tmp_path) for one in entries if isinstance(one, Found))

    assert found(walk_within(bytes(tmp_path / place), source, None, chosen)) == expected
    assert set(expected) <= set(found(walk(source, None, chosen)))
    assert found(walk_within(source, source, None, chosen)) == found(walk(source, None, chosen))
