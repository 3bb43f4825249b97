"""What is mounted at a folder, below it and above it, as `/proc/self/mountinfo` tells: a folder whose disk is away.

The form of that file is that of proc_pid_mountinfo(5). Device numbers change at a reboot, and are not looked at.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from rules.paths import is_within

_SHARED = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "afs", "coda", "lustre",
                     "beegfs", "gpfs", "orangefs", "ocfs2", "gfs2", "davfs", "ncpfs", "virtiofs", "vboxsf", "vmhgfs",
                     "prl_fs", "drvfs"})  # fmt: skip
"""Types of file systems that other machines write to."""
_BY_A_PROGRAM = "fuse"
"""The type of those that a program makes, of another machine, or of folders that have paths beside it; most add a dot
and a name. `fuseblk` is a disk."""


_NAMED = frozenset({"ext2", "ext3", "ext4", "btrfs"})
"""Types whose `f_fsid`, of statvfs(3), follows from the UUID of the file system, and not from the device."""


class Mount(NamedTuple):
    """A mount: where, of which type, of what (a UUID where one is known), and which folder of that."""

    point: str
    type: str
    source: str
    root: str

    @property
    def has_only_its_device(self) -> bool:
        """Whether its `f_fsid` says more of it than `source`, a device, which another disk may have tomorrow."""
        return self.type in _NAMED and self.source.startswith("/dev/")


class Linked(NamedTuple):
    """A link to a folder: where, to what, as it says itself, and what that is on."""

    path: str
    target: str
    mounts: tuple[Mount, ...]


def read_mounts(text: bytes, uuids: Mapping[str, str]) -> list[Mount]:
    """Return the mounts of a process, in order: of two at one point, the later one hides the other.

    `uuids`: of block devices, by their paths.
    """
    found = []
    for line in text.splitlines():
        before, separator, behind = line.partition(b" - ")
        fields, last = before.split(b" "), behind.split(b" ")
        if not separator or len(fields) < 5 or len(last) < 2:
            continue
        source = _plain(last[1])
        uuid = uuids.get(source)
        found.append(
            Mount(_plain(fields[4]), _plain(last[0]), source if uuid is None else f"UUID={uuid}", _plain(fields[3]))
        )
    return found


def mounts_of(folder: str, mounts: Iterable[Mount]) -> tuple[Mount, ...]:
    """Return the mount that a folder lies in, and those that are below it: what its files are on. Sorted.

    `folder`: absolute, without links.
    """
    path = folder.encode("utf-8", "surrogateescape")
    visible: dict[str, Mount] = {}
    for mount in mounts:
        # A mount over a folder hides what was mounted below that.
        point = mount.point.encode("utf-8", "surrogateescape")
        visible = {at: one for at, one in visible.items() if not is_within(_bytes(at), (point,))}
        visible[mount.point] = mount
    above = [mount for at, mount in visible.items() if is_within(path, (_bytes(at),))]
    below = [mount for at, mount in visible.items() if at != folder and is_within(_bytes(at), (path,))]
    return tuple(sorted([*([max(above, key=lambda mount: len(mount.point))] if above else []), *below]))


def behind_links(before: Iterable[Linked], now: Iterable[Linked]) -> tuple[tuple[Linked, ...], tuple[str, ...]]:
    """Return what is to be remembered of links, and those of them behind which another disk is than was, or none.

    `now`: the links that are there. One that leads elsewhere by its own word is another.
    """
    was = {(one.path, one.target): one for one in before}
    kept = [was.get((one.path, one.target), one) for one in now]
    away = [one.path for one in now if was.get((one.path, one.target), one) != one]
    return tuple(sorted(kept)), tuple(sorted(away))


def silent(mounts: Iterable[Mount]) -> Mount | None:
    """Return a mount of whose changes the system does not tell, as others make them too; None where it does of all."""
    return next((one for one in mounts if one.type in _SHARED or one.type.split(".")[0] == _BY_A_PROGRAM), None)


def _bytes(point: str) -> bytes:
    return point.encode("utf-8", "surrogateescape")


def _plain(field: bytes) -> str:
    """Return a field: spaces, tabs, line feeds and backslashes are written as octal numbers."""
    plain = re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8) & 0xFF]), field)
    return plain.decode("utf-8", "surrogateescape")
