"""What FLIR's thermal cameras put into a JPEG beside EXIF: a file of their own, in segments of APP1.

The file has a directory of records, one of which holds what the camera says of itself. The layout is described at
exiftool.org/TagNames/FLIR.html.
"""

import struct
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from typing import Literal

from imaging.makers import MakerNotes
from imaging.texts import decoded, written

_MARK, _NUMBER, _HEAD = b"FLIR\0", 6, 8
"""How a segment starts, where the number of its part is, and where that begins."""
_FILE, _VERSION, _DIRECTORY, _VERSIONS = b"FFF\0", 20, 24, range(100, 200)
_ENTRY, _MOST_ENTRIES, _CAMERA = 32, 100, 0x20
_LENS, _DATE = slice(0x170, 0x170 + 32), 0x384


def read(segments: Iterable[tuple[str, bytes]]) -> MakerNotes | None:
    """Return lens and date, with its fraction and offset from UTC; None where no segment of a JPEG has them."""
    parts = [body for name, body in segments if name == "APP1" and body.startswith(_MARK) and len(body) > _HEAD]
    whole = b"".join(part[_HEAD:] for part in sorted(parts, key=lambda part: part[_NUMBER]))
    camera = _camera(whole) if whole.startswith(_FILE) else b""
    if not camera:
        return None
    order: Literal["<", ">"] = "<" if camera[0] else ">"  # it starts with a small number, in an order of its own
    return MakerNotes(lens=written(decoded(camera[_LENS])), taken=_taken(camera, order))


def _camera(whole: bytes) -> bytes:
    """Return the record of the camera; empty where there is none."""
    try:
        order = next(order for order in "<>" if struct.unpack_from(f"{order}I", whole, _VERSION)[0] in _VERSIONS)
        start, count = struct.unpack_from(f"{order}II", whole, _DIRECTORY)
        for entry in range(min(count, _MOST_ENTRIES)):
            kind, at, size = struct.unpack_from(f"{order}H10xII", whole, start + entry * _ENTRY)
            if kind == _CAMERA:
                return whole[at : at + size]
    except (StopIteration, struct.error):  # of no known version, or cut
        return b""
    return b""


def _taken(camera: bytes, order: str) -> str | None:
    """Read seconds since 1970 by UTC, thousandths, and the minutes by which the camera's clock was behind UTC."""
    try:
        seconds, thousandths, behind = struct.unpack_from(f"{order}IIh", camera, _DATE)
        zone = timezone(-timedelta(minutes=behind))
    except (struct.error, ValueError):
        return None
    if not seconds:
        return None
    local = datetime.fromtimestamp(seconds, UTC).astimezone(zone)
    return f"{local:%Y:%m:%d %H:%M:%S}.{thousandths & 0xFFFF:03d}{local:%z}"
