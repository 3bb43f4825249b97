"""What a folder is on now, as the kernel tells."""

import os
from collections.abc import Iterable
from pathlib import Path

from rules.mounts import Linked, Mount, mounts_of, read_mounts

_MOUNTINFO = Path("/proc/self/mountinfo")
_UUIDS = Path("/dev/disk/by-uuid")


def mounted_at(folder: str) -> tuple[Mount, ...]:
    """Return what a folder, and all below it, is on; nothing where the system does not tell. Blocks."""
    try:
        text = _MOUNTINFO.read_bytes()
    except OSError:
        return ()
    mounts = mounts_of(os.path.realpath(folder), read_mounts(text, _uuids()))
    return tuple(sorted(map(_identified, mounts)))


def linked_at(path: str) -> Linked | None:
    """Return what a link leads to, and what that is on; None where there is no link. Blocks."""
    try:
        return Linked(path, str(Path(path).readlink()), mounted_at(path))
    except (OSError, ValueError):
        return None


def links_elsewhere(links: Iterable[bytes], known: Iterable[Linked], mounts: tuple[Mount, ...]) -> list[Linked]:
    """Return links that are there: those that were known, and those that lead to other mounts than these. Blocks."""
    were = {one.path for one in known}
    found = [linked_at(path) for path in sorted(were | set(map(os.fsdecode, links)))]
    return [one for one in found if one is not None and (one.path in were or not set(one.mounts) <= set(mounts))]


def _identified(mount: Mount) -> Mount:
    """Return a mount by what its file system is, where no UUID is known: containers see devices alone."""
    if not mount.has_only_its_device:
        return mount
    try:
        return mount._replace(source=f"FSID={os.statvfs(mount.point).f_fsid:016x}")
    except OSError:
        return mount


def _uuids() -> dict[str, str]:
    """Return the UUIDs of block devices, by their paths: a disk has another path after a reboot."""
    try:
        return {os.path.realpath(link): link.name for link in _UUIDS.iterdir()}
    except OSError:
        return {}
