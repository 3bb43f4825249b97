"""IPTC behind the end of a JPEG, where programs for press agencies put it: AFCP, and FotoWare's FotoStation.

Each trailer ends with its mark and with how long it is, or where it begins, so they are found from the end of the file.
"""

import os
import struct
from typing import BinaryIO

_AFCP = {b"AXS!": ">", b"AXS*": "<"}
_AFCP_END, _AFCP_HEAD, _AFCP_ENTRY, _MOST_ENTRIES = 12, 12, 12, 100
_FOTOSTATION, _FOTOSTATION_END = b"\xa1\xb2\xc3\xd4", 10
_MOST_TRAILERS = 8
_MOST_BYTES = 1 << 20


def iptc(file: BinaryIO) -> bytes:
    """Return the IPTC block behind a picture; empty where there is none."""
    end = file.seek(0, os.SEEK_END)
    for _ in range(_MOST_TRAILERS):
        behind = _read(file, end - _AFCP_END, _AFCP_END)
        if behind[:4] in _AFCP:
            start, block = _afcp(file, behind)
        elif behind.endswith(_FOTOSTATION):
            start, block = _fotostation(file, end, behind)
        else:
            return b""
        if block or not 0 < start < end:
            return block
        end = start
    return b""


def _afcp(file: BinaryIO, behind: bytes) -> tuple[int, bytes]:
    """Return where the trailer begins, and its IPTC. Its places count from the start of the file."""
    order = _AFCP[behind[:4]]
    (start,) = struct.unpack_from(f"{order}I", behind, 4)
    head = _read(file, start, _AFCP_HEAD)
    if len(head) < _AFCP_HEAD or head[:4] != behind[:4]:
        return 0, b""
    (count,) = struct.unpack_from(f"{order}H", head, 6)
    entries = _read(file, start + _AFCP_HEAD, min(count, _MOST_ENTRIES) * _AFCP_ENTRY)
    whole = entries[: len(entries) // _AFCP_ENTRY * _AFCP_ENTRY]
    for name, size, place in struct.iter_unpack(f"{order}4sII", whole):
        if name == b"IPTC":
            return start, _read(file, place, size)
    return start, b""


def _fotostation(file: BinaryIO, end: int, behind: bytes) -> tuple[int, bytes]:
    """Return where the last record begins, and its IPTC."""
    kind, size = struct.unpack_from(">HI", behind, len(behind) - _FOTOSTATION_END)
    start = end - size
    return start, _read(file, start, size - _FOTOSTATION_END) if kind == 1 else b""


def _read(file: BinaryIO, start: int, size: int) -> bytes:
    if start < 0 or size <= 0:
        return b""
    file.seek(start)
    return file.read(min(size, _MOST_BYTES))
