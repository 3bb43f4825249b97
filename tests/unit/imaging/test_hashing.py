import hashlib
import os
import pickle
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from core.errors import FileChangedError, FileError
from imaging import hashing
from imaging.hashing import hash_file, stamp
from tests.deadlines import HANG_SECONDS


def test_hash_and_stamp_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    sha256, found = hash_file(os.fsencode(path))
    # FIPS 180-2, appendix B.1
    assert sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert found == stamp(os.fsencode(path)) == pickle.loads(pickle.dumps(found))
    assert (found.size, found.mtime_ns) == (3, path.stat().st_mtime_ns)


def test_a_file_that_has_just_changed_is_to_be_compared_by_its_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    assert hash_file(os.fsencode(path))[1].ctime_ns is None
    monkeypatch.setattr(hashing, "SETTLED_NS", 0)
    _until(lambda: hash_file(os.fsencode(path))[1].ctime_ns == path.stat().st_ctime_ns)


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + HANG_SECONDS
    while not condition():
        assert time.monotonic() < deadline


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(200 << 20)
    tracemalloc.start()
    hash_file(os.fsencode(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20


def test_name_that_is_not_utf8(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/caf\xe9.jpg"
    with pytest.raises(FileError, match=r"caf\\xe9\.jpg does not exist"):
        hash_file(path)
    Path(os.fsdecode(path)).write_bytes(b"")
    assert hash_file(path)[0] == hashlib.sha256(b"").hexdigest()


def test_link_to_a_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert hash_file(os.fsencode(tmp_path / "link")) == hash_file(os.fsencode(tmp_path / "file"))


def test_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(FileError, match=r"pipe\.jpg is not a regular file"):
        hash_file(os.fsencode(tmp_path / "pipe.jpg"))


def test_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="is not a regular file"):
        stamp(os.fsencode(tmp_path))


def test_file_without_permission(tmp_path: Path) -> None:
    path = tmp_path / "secret.jpg"
    path.write_bytes(b"abc")
    path.chmod(0)
    user = os.geteuid()
    os.seteuid(65_534 if user == 0 else user)  # root may read everything
    try:
        with pytest.raises(FileError, match=r"secret\.jpg may not be read: permission denied"):
            hash_file(os.fsencode(path))
    finally:
        os.seteuid(user)


@pytest.mark.parametrize("path", [b"/no/such.jpg", b"/nul\0byte.jpg", b"/dev/null/x.jpg", b"/" + b"x" * 300])
def test_impossible_path(path: bytes) -> None:
    with pytest.raises(FileError):
        hash_file(path)


def test_file_that_grows_while_it_is_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "growing.jpg"
    path.write_bytes(b"abc")
    digest = hashing.digest

    def digest_while_someone_writes(file: BinaryIO) -> str:
        with path.open("ab") as writer:
            writer.write(b"def")
        return digest(file)

    monkeypatch.setattr(hashing, "digest", digest_while_someone_writes)
    with pytest.raises(FileChangedError, match=r"growing\.jpg changed while it was hashed"):
        hash_file(os.fsencode(path))
