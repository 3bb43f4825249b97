"""Read the merged picture of a Photoshop file (Adobe Photoshop File Formats Specification): PSD and PSB of any depth.

Pillow reads those of 8 bits, but takes a bitmap for its negative, and rows of other channels where there are more than
its colours need.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.errors import ContentError
from imaging.bounds import check_pixels
from imaging.colours import from_lab
from imaging.samples import Samples, on_white, to_eight_bit

_HEADER = struct.Struct(">4sH6xHIIHH")
_BITMAP, _GREY, _INDEXED, _RGB, _CMYK, _, _, _MULTICHANNEL, _DUOTONE, _LAB = range(10)
_MODES = {_BITMAP: "1", _GREY: "L", _INDEXED: "P", _RGB: "RGB", _CMYK: "CMYK", _DUOTONE: "L", _LAB: "LAB"}
_CHANNELS = {"1": 1, "L": 1, "P": 1, "RGB": 3, "CMYK": 4, "LAB": 3}
_TYPES = {1: "u1", 8: "u1", 16: ">u2", 32: ">f4"}
_RAW, _PACKED = 0, 1
_INFO = {1028: "iptc", 1039: "icc_profile", 1058: "exif", 1060: "xmp"}
"""Image resources by the names under which Pillow hands on such blocks."""
_SIGNATURES = (b"8BIM", b"MeSa", b"PHUT", b"AgHg", b"DCSR")
"""Of image resources: Photoshop's own, and those of programs beside it."""
_VERSION_INFO = 1057
_MERGED_TRANSPARENCY = {b"Mtrn", b"Mt16", b"Mt32"}
_LAYERS = {b"Lr16", b"Lr32"}
_LONG_IN_PSB = {b"LMsk", b"Lr16", b"Lr32", b"Layr", b"Mt16", b"Mt32", b"Mtrn", b"Alph", b"FMsk", b"lnk2", b"FEid",
                b"FXid", b"PxSD"}  # fmt: skip
"""Blocks whose length has 8 bytes in a PSB."""
_MAX_BLOCKS = 1000
_PALETTE = 768
"""Bytes of one: 256 reds, greens and blues."""


def read(file: BinaryIO, max_pixels: int) -> tuple[Image.Image, str]:
    """Decode to L, RGB or CMYK, opaque, with metadata where Pillow puts it; and return the mode in which it is stored.

    Raises ContentError where it has no merged picture or is too large, EOFError where it is short, OSError for damage.
    """
    file.seek(0)
    _, version, channels, height, width, depth, kind = _HEADER.unpack(_exactly(file, _HEADER.size))
    check_pixels((width, height), max_pixels)
    if kind not in _MODES or depth not in _TYPES:
        name = " (multichannel)" if kind == _MULTICHANNEL else ""
        raise ContentError(
            f"is a Photoshop file of a kind (mode {kind}{name}, {depth} bits) that does not say which colours its "
            "channels are. Convert it to RGB."
        )
    mode = _MODES[kind]
    if channels < _CHANNELS[mode]:
        raise ContentError(f"is a Photoshop file with {channels} channels, where its mode {mode} has more.")
    palette = _exactly(file, _length(file))
    info = _resources(_exactly(file, _length(file)))
    is_transparent = _is_transparent(file, long=version > 1)
    planes = _planes(file, (height, width), channels, depth, long=version > 1)
    colours = [_eight_bit(next(planes), mode, depth, channel) for channel in range(_CHANNELS[mode])]
    image = _merged(colours, mode, palette)
    if is_transparent and channels > len(colours):
        image = on_white(image, Image.fromarray(to_eight_bit(next(planes), depth)))
    image.format = "PSD"  # as Pillow sets it for what it opens
    image.info.update(info)
    return image, mode


def _eight_bit(samples: Samples, mode: str, depth: int, channel: int) -> NDArray[np.uint8]:
    if mode == "P":
        return samples.astype(np.uint8, copy=False)
    if mode == "LAB" and depth == 16 and channel:
        # 0x8000 stands for no colour, which Pillow has at 128.
        return ((np.minimum(samples, 0xFF7F) + np.uint16(128)) >> 8).astype(np.uint8)
    found = to_eight_bit(samples.astype(bool) if depth == 1 else samples, depth)
    return np.invert(found) if mode in ("CMYK", "1") else found  # no ink is 255, and black 1


def _merged(planes: list[NDArray[np.uint8]], mode: str, palette: bytes) -> Image.Image:
    if mode == "P":
        colours = np.frombuffer(palette.ljust(_PALETTE, b"\0"), np.uint8, _PALETTE).reshape(3, 256).T
        return Image.fromarray(np.ascontiguousarray(colours[planes[0]]))
    bands = [Image.fromarray(plane) for plane in planes]
    image = bands[0] if len(bands) == 1 else Image.merge(mode, bands)
    return from_lab(image) if mode == "LAB" else image


def _planes(file: BinaryIO, shape: tuple[int, int], channels: int, depth: int, *, long: bool) -> Iterator[Samples]:
    """Yield the samples of one channel after another, shape (rows, columns)."""
    (compression,) = struct.unpack(">H", _exactly(file, 2))
    if compression not in (_RAW, _PACKED):
        raise ContentError(
            f"is a Photoshop file whose picture is compressed in a way ({compression}) that is not read."
        )
    rows, columns = shape
    size = rows * ((columns * depth + 7) // 8)
    lengths: list[int] = []
    if compression == _PACKED:
        counts = np.frombuffer(_exactly(file, rows * channels * (4 if long else 2)), ">u4" if long else ">u2")
        lengths = [int(channel.sum(dtype=np.int64)) for channel in counts.reshape(channels, rows)]
    for channel in range(channels):
        if compression == _PACKED:
            # No row goes on in the next one, so that all may be unpacked at once.
            data = imagecodecs.packbits_decode(_exactly(file, lengths[channel]), out=size)
        else:
            data = _exactly(file, size)
        if len(data) < size:
            raise OSError("its data is damaged or not complete")
        samples = np.frombuffer(data, _TYPES[depth])
        if depth == 1:
            samples = np.unpackbits(samples.reshape(rows, -1), axis=1)[:, :columns]
        yield samples.reshape(shape).astype(samples.dtype.newbyteorder("="), copy=False)


def _resources(block: bytes) -> dict[str, bytes]:
    """Return the blocks of metadata. Raises ContentError where the picture was left out when it was saved."""
    found: dict[str, bytes] = {}
    position = 0
    while position + 12 <= len(block) and block[position : position + 4] in _SIGNATURES:
        (number,) = struct.unpack_from(">H", block, position + 4)
        name = block[position + 6] + 1
        start = position + 6 + name + name % 2
        size = int.from_bytes(block[start : start + 4])
        content = block[start + 4 : start + 4 + size]
        if number in _INFO:
            found.setdefault(_INFO[number], content)
        if number == _VERSION_INFO and len(content) > 4 and not content[4]:
            raise ContentError(
                'is a Photoshop file that was saved without its merged picture. Save it with "Maximize Compatibility".'
            )
        position = start + 4 + size + size % 2
    return found


def _is_transparent(file: BinaryIO, *, long: bool) -> bool:
    """Whether the first further channel is the transparency of the merged picture, and no selection; skips layers."""
    width = 8 if long else 4
    size = int.from_bytes(_exactly(file, width))
    start = file.tell()
    try:
        return size > 0 and _says_transparent(file, start + size, long=long)
    finally:
        file.seek(start + size)


def _says_transparent(file: BinaryIO, end: int, *, long: bool) -> bool:
    layers = int.from_bytes(_exactly(file, 8 if long else 4))
    start = file.tell()
    if layers and _layer_count(file) < 0:
        return True
    file.seek(start + layers)
    file.seek(_length(file), 1)  # the global mask
    for _ in range(_MAX_BLOCKS):
        if file.tell() + 12 > end:
            break
        mark, key = struct.unpack(">4s4s", _exactly(file, 8))
        if mark not in (b"8BIM", b"8B64"):
            break
        size = int.from_bytes(_exactly(file, 8 if long and key in _LONG_IN_PSB else 4))
        start = file.tell()
        if key in _MERGED_TRANSPARENCY or (key in _LAYERS and _layer_count(file) < 0):
            return True
        file.seek(start + size + -size % 4)
    return False


def _layer_count(file: BinaryIO) -> int:
    (count,) = struct.unpack(">h", _exactly(file, 2))
    return int(count)


def _length(file: BinaryIO) -> int:
    return int.from_bytes(_exactly(file, 4))


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise EOFError("truncated")
    return data
