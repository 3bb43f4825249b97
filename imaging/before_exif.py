"""What cameras wrote into a JPEG before EXIF.

Canon's CIFF in APP0, a text of Olympus and Agfa in APP12, and a date of Casio in APP1.
"""

import re
import struct
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime

from imaging import exif, tiff_tags
from imaging.exif import Directory, Exif

_HEAP = b"HEAPJPGM"
_IN_ENTRY, _KIND, _HEAPS, _NUMBER = 0x4000, 0x3800, (0x2800, 0x3000), 0x3FFF
"""In a CIFF tag: that its value stands in the entry; its type, and those of heaps within the heap; its number."""
_CAMERA, _TIME, _EXPOSURE, _FOCAL_LENGTH = 0x080A, 0x180E, 0x1818, 0x1029
_MAX_HEAPS, _MAX_ENTRIES, _ENTRY = 20, 200, 10
_CASIO, _CASIO_DATE = b"QVCI\0", slice(0x4D, 0x4D + 20)
_PICTURE_INFO = b"[picture info]"
_TEXT = re.compile(rb"(TimeDate|Shutter|FNumber)=F?(\d{1,10}(?:\.\d{1,3})?)\s")


def read(segments: Iterable[tuple[str, bytes]]) -> Exif:
    """Return what the segments of a JPEG say, by the tags that EXIF has for it."""
    for name, body in segments:
        if name == "APP0" and body[6:14] == _HEAP:
            return _canon(_heap(body))
        if name == "APP12" and _PICTURE_INFO in body:
            return _olympus(dict(_TEXT.findall(body)))
        if name == "APP1" and body.startswith(_CASIO):
            # `1998.10.24.12.08.57`
            date = body[_CASIO_DATE].split(b".")
            return Exif(camera={exif.TAKEN: b":".join(date[:3]) + b" " + b":".join(date[3:])})
    return Exif()


def _canon(values: dict[int, bytes]) -> Exif:
    make, _, model = values.get(_CAMERA, b"").partition(b"\0")
    camera: dict[int, object] = {}
    with suppress(struct.error):
        camera.update(_taken(struct.unpack_from("<I", values.get(_TIME, b""))[0]))
    with suppress(struct.error):
        _, camera[exif.SHUTTER_SPEED_APEX], camera[exif.APERTURE_APEX] = struct.unpack_from(
            "<3f", values.get(_EXPOSURE, b"")
        )
    with suppress(struct.error):
        _, camera[exif.FOCAL_LENGTH] = struct.unpack_from("<2H", values.get(_FOCAL_LENGTH, b""))
    return Exif(main={exif.MAKE: make, exif.MODEL: model}, camera=camera)


def _heap(segment: bytes) -> dict[int, bytes]:
    """Return the values of a heap by the number of their tag. Its directory lies at its end."""
    if tiff_tags.order_of(segment) != "<":
        return {}
    heaps = [segment[int.from_bytes(segment[2:6], "little") :]]
    found: dict[int, bytes] = {}
    for heap in heaps:
        start = int.from_bytes(heap[-4:], "little")
        count = min(int.from_bytes(heap[start : start + 2], "little"), _MAX_ENTRIES)
        table = heap[start + 2 : start + 2 + count * _ENTRY]
        for tag, size, place in struct.iter_unpack("<HII", table[: len(table) // _ENTRY * _ENTRY]):
            value = struct.pack("<II", size, place) if tag & _IN_ENTRY else heap[place : place + size]
            if tag & _KIND not in _HEAPS:
                found.setdefault(tag & _NUMBER, value)
            elif len(heaps) < _MAX_HEAPS:
                heaps.append(value)
    return found


def _olympus(values: dict[bytes, bytes]) -> Exif:
    """Read a time in seconds since 1970, an exposure in microseconds and an f-number."""
    camera = dict(_taken(int(float(values.get(b"TimeDate", b"0")))))
    camera[exif.EXPOSURE_TIME] = float(values.get(b"Shutter", b"0")) / 1e6
    camera[exif.F_NUMBER] = float(values.get(b"FNumber", b"0"))
    return Exif(camera=camera)


def _taken(seconds: int) -> Directory:
    """Return when a picture was taken; the seconds count from 1970 by the camera's clock."""
    if not 0 < seconds < 1 << 32:
        return {}
    return {exif.TAKEN: f"{datetime.fromtimestamp(seconds, UTC):%Y:%m:%d %H:%M:%S}".encode()}
