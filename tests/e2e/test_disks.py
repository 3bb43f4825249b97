"""A source on several disks, end to end: what lies on one that is away stays. Needs root."""

from pathlib import Path

import pytest

from tests.e2e.test_syncs import Library, left, library, write
from tests.unit.test_real_mounts import tmpfs

__all__ = ["library"]


@pytest.mark.system
async def test_behind_a_link_a_disk_that_is_away_takes_nothing_with_it(
    library: Library, photos: Path, tmp_path: Path
) -> None:
    disk = tmp_path / "usb"
    (photos / "usb").symlink_to(disk)
    write(photos, "a.jpg", "b.jpg")
    with tmpfs(disk):
        write(disk, "c.jpg", "d.jpg")
        await library.add()
        assert await library.names() == ["a.jpg", "b.jpg", "usb/c.jpg", "usb/d.jpg"]
        (disk / "d.jpg").unlink()
        assert left(await library.sync()) == {"gone": 1}
    (photos / "b.jpg").unlink()
    for _ in range(2):
        status = await library.sync()
        assert status["removals"]["unread"] > 0
        assert f"behind {photos / 'usb'} stays" in status["removals"]["reason"]
    assert await library.names() == ["a.jpg", "usb/c.jpg"]
    # The folder that was mounted on is there, and another disk, too.
    with tmpfs(disk):
        write(disk, "e.jpg")
        await library.sync()
        assert await library.names() == ["a.jpg", "usb/c.jpg", "usb/e.jpg"]
