"""What a folder is on now, as the kernel tells."""

import os
from pathlib import Path

from rules.mounts import Mount, mounts_of, read_mounts

_MOUNTINFO = Path("/proc/self/mountinfo")
_UUIDS = Path("/dev/disk/by-uuid")


def mounted_at(folder: str) -> tuple[Mount, ...]:
    """Return what a folder, and all below it, is on; nothing where the system does not tell. Blocks."""
    try:
        text = _MOUNTINFO.read_bytes()
    except OSError:
        return ()
    return mounts_of(os.path.realpath(folder), read_mounts(text, _uuids()))


def _uuids() -> dict[str, str]:
    """Return the UUIDs of block devices, by their paths: a disk has another path after a reboot."""
    try:
        return {os.path.realpath(link): link.name for link in _UUIDS.iterdir()}
    except OSError:
        return {}
