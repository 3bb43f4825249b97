"""What is mounted where, as the kernel writes it."""

from rules.mounts import Mount, mounts_of, read_mounts, silent

MOUNTINFO = rb"""22 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw
30 22 8:1 / /mnt/My\040Disk rw,relatime shared:2 - exfat /dev/sda1 rw
31 22 0:45 /export/photos /mnt/nas rw,relatime shared:3 master:7 - nfs4 nas:/export rw,vers=4.2
32 30 0:50 / /mnt/My\040Disk/inner rw - tmpfs tmpfs rw
33 22 0:51 / /mnt/My\040Disk\134x rw - fuse.sshfs ann@host: rw
not a mount
"""
UUIDS = {"/dev/sda1": "1234-ABCD"}
ROOT = Mount("/", "ext4", "/dev/nvme0n1p2", "/")
DISK = Mount("/mnt/My Disk", "exfat", "UUID=1234-ABCD", "/")
INNER = Mount("/mnt/My Disk/inner", "tmpfs", "tmpfs", "/")
NAS = Mount("/mnt/nas", "nfs4", "nas:/export", "/export/photos")


def test_a_folder_is_on_the_mount_above_it_and_those_below() -> None:
    mounts = read_mounts(MOUNTINFO, UUIDS)
    assert mounts_of("/home/ann", mounts) == (ROOT,)
    assert mounts_of("/mnt/My Disk/2024", mounts) == (DISK,)
    assert mounts_of("/mnt/My Disk", mounts) == (DISK, INNER)
    assert mounts_of("/mnt/nas/a", mounts) == (NAS,)
    assert mounts_of("/mnt/nas-2", mounts) == (ROOT,)
    assert ROOT in mounts_of("/", mounts)
    assert len(mounts_of("/", mounts)) == 5


def test_a_disk_that_is_away_or_another_is_not_the_same() -> None:
    known = mounts_of("/mnt/My Disk/2024", read_mounts(MOUNTINFO, UUIDS))
    away = mounts_of("/mnt/My Disk/2024", read_mounts(MOUNTINFO.replace(b"/mnt/My\\040Disk rw", b"/media/x rw"), UUIDS))
    other = mounts_of("/mnt/My Disk/2024", read_mounts(MOUNTINFO, {"/dev/sda1": "9999-0000"}))
    moved = mounts_of("/mnt/My Disk/2024", read_mounts(MOUNTINFO.replace(b"sda1", b"sdb1"), {"/dev/sdb1": "1234-ABCD"}))
    assert away != known
    assert other != known
    assert moved == known  # the same disk under another name


def test_what_is_mounted_over_hides_what_was_there() -> None:
    over = MOUNTINFO + rb"40 22 0:60 / /mnt/My\040Disk rw - tmpfs other rw" + b"\n"
    assert mounts_of("/mnt/My Disk/inner", read_mounts(over, UUIDS)) == (Mount("/mnt/My Disk", "tmpfs", "other", "/"),)


def test_a_name_that_is_not_utf_8_is_kept() -> None:
    [mount] = read_mounts(b"1 0 0:1 / /mnt/\xff\\011b rw - ext4 /dev/x rw", {})
    assert mount.point.encode("utf-8", "surrogateescape") == b"/mnt/\xff\tb"


def test_a_network_is_told_by_its_type() -> None:
    mounts = read_mounts(MOUNTINFO, UUIDS)
    assert silent(mounts_of("/mnt/nas", mounts)) is not None
    assert silent(mounts_of("/mnt/My Disk\\x", mounts)) is not None
    assert silent(mounts_of("/mnt/My Disk", mounts)) is None
