"""What people send leaves the reserve of the disk alone, all of it together."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from api.uploads.room import Room
from core.errors import RequestError


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Give a disk with 1000 bytes free."""
    disk = SimpleNamespace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: disk)
    return disk


def test_what_does_not_fit_beside_the_reserve_is_refused(disk: SimpleNamespace, tmp_path: Path) -> None:
    room = Room(tmp_path, reserve=300)
    with room.promised(tmp_path / "not" / "there" / "yet", 700):
        pass
    with pytest.raises(RequestError, match="DISK_RESERVE_BYTES") as refused, room.promised(tmp_path, 701):
        raise AssertionError("it was let in")
    assert refused.value.status == 507


def test_what_is_on_its_way_counts_together_and_is_given_back(disk: SimpleNamespace, tmp_path: Path) -> None:
    room = Room(tmp_path, reserve=300)
    with room.promised(tmp_path, 400):
        with pytest.raises(RequestError), room.promised(tmp_path, 301):
            raise AssertionError("it was let in")
        with room.promised(tmp_path, 300):
            pass
    with pytest.raises(ZeroDivisionError), room.promised(tmp_path, 700):
        _ = 1 / 0
    with room.promised(tmp_path, 700):
        pass


def test_what_is_written_is_not_counted_twice(disk: SimpleNamespace, tmp_path: Path) -> None:
    room = Room(tmp_path, reserve=300)
    with room.promised(tmp_path, 600) as promise:
        promise.use(500)
        disk.free -= 500
        with room.promised(tmp_path, 100):
            pass
        with pytest.raises(RequestError), room.promised(tmp_path, 101):
            raise AssertionError("it was let in")


def test_what_was_not_announced_is_bound_as_it_comes(disk: SimpleNamespace, tmp_path: Path) -> None:
    room = Room(tmp_path, reserve=300)
    with room.promised(tmp_path, 0) as promise:
        for _ in range(7):
            promise.use(100)
            disk.free -= 100
        with pytest.raises(RequestError):
            promise.use(1)


def test_elsewhere_it_only_has_to_fit(
    disk: SimpleNamespace, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A /tmp of its own may be smaller than the reserve."""
    disks = (folder for folder in (Path("/dev/shm"), Path(__file__).parent) if folder.exists())
    other = next((folder for folder in disks if folder.stat().st_dev != tmp_path.stat().st_dev), None)
    if other is None:
        pytest.skip("There is no second disk.")
    room = Room(tmp_path, reserve=5000)
    with room.promised(other, 1000):
        pass
    with pytest.raises(RequestError), room.promised(tmp_path, 1):
        raise AssertionError("it was let in")
