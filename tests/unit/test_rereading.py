"""Which file of a point is read again."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from agents import rereading
from agents.rereading import READ_AT_MOST, file_of
from agents.scan.walking import Found, Refused
from imaging.hashing import hash_file

STORED = b"the picture that is stored"
OTHER = b"another one, as long as it"[: len(STORED)]


@pytest.fixture(autouse=True)
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note the files that are read, by name."""
    names: list[str] = []

    def noted(path: bytes, *more: Any) -> Any:
        names.append(Path(path.decode()).name)
        return hash_file(path, *more)

    monkeypatch.setattr(rereading, "hash_file", noted)
    return names


def chosen(folder: Path, **files: bytes | None) -> str:
    """Return the name of the file that is read again, of a point that has these; or why there is none."""
    for name, content in files.items():
        if content is not None:
            (folder / name).write_bytes(content)
    paths = [str(folder / name) for name in files]
    payload = {
        "file_hash": hashlib.sha256(STORED).hexdigest(),
        "full_path": paths[0],
        "paths": sorted(paths),
        "file_size": len(STORED),
    }
    found = file_of(payload, None)
    assert found is not None
    assert found.reread == payload["file_hash"]
    return Path(found.path.decode()).name if isinstance(found, Found) else found.reason


def test_one_that_holds_it_still_is_taken_where_others_have_changed_at_the_same_size(
    tmp_path: Path, read: list[str]
) -> None:
    assert len(OTHER) == len(STORED)
    assert chosen(tmp_path, z=OTHER, a=OTHER, b=STORED, c=STORED) == "b"
    assert read == ["z", "a", "b"]


def test_the_first_that_holds_it_is_taken(tmp_path: Path, read: list[str]) -> None:
    assert chosen(tmp_path, z=STORED, a=STORED, b=STORED) == "z"
    assert read == ["z"]


@pytest.mark.parametrize(
    "others",
    [{}, {"a": None}, {"a": b"longer than the picture that is stored"}],
    ids=["alone", "gone", "another size"],
)
def test_a_file_that_no_other_can_stand_in_for_is_left_to_hash(
    tmp_path: Path, read: list[str], others: dict[str, Any]
) -> None:
    assert chosen(tmp_path, z=OTHER, **others) == "z"
    assert read == []


def test_no_more_than_some_are_looked_into(tmp_path: Path, read: list[str]) -> None:
    many = {f"{number:03}": OTHER for number in range(3 * READ_AT_MOST)}
    assert chosen(tmp_path, **many) == f"{READ_AT_MOST - 1:03}"
    assert len(read) == READ_AT_MOST - 1


def test_where_none_is_left_the_first_says_why(tmp_path: Path, read: list[str]) -> None:
    assert chosen(tmp_path, z=None, a=b"short") == f"{tmp_path}/z does not exist (any more)."
    assert isinstance(
        file_of({"file_hash": "0" * 64, "full_path": "/nowhere", "paths": [], "file_size": 1}, None), Refused
    )
    assert read == []
