"""JPEG XL (ISO/IEC 18181): imagecodecs decodes the pixels; what they mean stands in the header, which is read here."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.errors import ContentError
from imaging import boxes
from imaging.bounds import check_pixels
from imaging.colour_spaces import D65, SRGB, Chromaticity, ColourSpace, encoded, of_code_points
from imaging.samples import Samples, on_white, to_eight_bit

_STREAM = b"\xff\x0a"
_HEADER_BYTES = 4096
_PIECE_ROWS = 512
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_GREY, _XYB = 1, 2
"""Colour spaces."""
_ALPHA, _SPOT, _FILTER_ARRAY = 0, 2, 5
"""Kinds of extra channels."""
_CUSTOM, _DEPTH_CHOICE = 2, 2
"""A number in place of a name; and how many bits the choice of a usual depth has."""
_WHITES: dict[int, Chromaticity] = {1: D65, 10: (1 / 3, 1 / 3), 11: (0.314, 0.351)}
_P3, _P3_OF_SCREENS = 11, 12
"""Primaries by H.273: of the white of cinemas, and of D65."""
_MAX_TEXT = 4 << 20


@dataclass(slots=True)
class _Header:
    """What a code stream says of its picture, as it is stored."""

    width: int
    height: int
    orientation: int = 1
    bits: int = 8
    is_float: bool = False
    has_alpha: bool = False
    is_premultiplied: bool = False
    is_xyb: bool = True
    has_profile: bool = False
    depth_position: int = 0
    """In bits, where the choice of a depth stands; 0 where it is written out."""
    colours: ColourSpace | None = None


def read(file: BinaryIO, max_pixels: int) -> tuple[Image.Image, str]:
    """Decode to L or RGB, opaque and upright, with metadata where Pillow puts it; and return the mode that is stored.

    Raises ContentError where it is too large, or its colours cannot be known; and whatever the decoder raises.
    """
    try:
        start, head = _start_of_stream(file)
        header = _parse(_Bits(head))
    except (IndexError, StopIteration) as error:
        raise EOFError("truncated") from error
    check_pixels((header.width, header.height), max_pixels)
    if header.has_profile and not header.is_xyb:
        raise ContentError(
            "is a JPEG XL with an ICC profile beside lossless pixels, which nothing here reads. Save it with sRGB or "
            "another colour space that JPEG XL names, or as TIFF or PNG."
        )
    file.seek(0)
    content = bytearray(file.read())
    if header.has_profile and header.bits == 8 and header.depth_position:
        _ask_for_depth(content, 8 * start + header.depth_position)
        header.bits = 12
    samples = imagecodecs.jpegxl_decode(bytes(content), index=0)
    samples = samples[..., None] if samples.ndim == 2 else samples
    count = samples.shape[2]
    eight = _eight_bit(samples, header)
    colours = eight[..., 0] if count < 3 else eight[..., :3]
    image = Image.fromarray(np.ascontiguousarray(colours))
    mode = ("F" if header.is_float else "I;16" if header.bits > 8 else "L") if count < 3 else "RGB"
    if count in (2, 4) and header.has_alpha:
        mode = "LA" if count == 2 else "RGBA"
        image = on_white(image, Image.fromarray(eight[..., -1].copy()), premultiplied=header.is_premultiplied)
    image.format = "JXL"
    image.info.update(_metadata(file), colour_space=header.colours, original_orientation=header.orientation)
    return image, mode


def _ask_for_depth(content: bytearray, position: int) -> None:
    """Let a lossy stream claim 12 bits where it claims 8.

    What is decoded beside an ICC profile is linear light, and 8 bits of that are too coarse. The data is the same for
    any depth, and so is the length of the claim: the two bits of a choice.
    """
    place, bit = divmod(position + 1, 8)
    content[place] |= 1 << bit


def _eight_bit(samples: Samples, header: _Header) -> NDArray[np.uint8]:
    """Scale to 8 bits; linear light of more than those as sRGB has it, and `header` says so."""
    depth, space = header.bits, header.colours
    if depth <= 8 or space is None or space.transfer != "gamma":
        return to_eight_bit(samples, depth)
    as_stored = replace(space, transfer="srgb", gamma=1.0)
    header.colours = None if as_stored == SRGB else as_stored
    eight = np.empty(samples.shape, np.uint8)
    colours = samples.shape[2] - (samples.shape[2] in (2, 4))
    for row in range(0, len(samples), _PIECE_ROWS):
        piece = samples[row : row + _PIECE_ROWS]
        values = piece.astype(np.float32) / (1 if header.is_float else (1 << depth) - 1)
        values[..., :colours] = encoded(np.clip(np.nan_to_num(values[..., :colours]), 0, 1) ** space.gamma)
        eight[row : row + _PIECE_ROWS] = to_eight_bit(values, 8)
    return eight


def _metadata(file: BinaryIO) -> dict[str, bytes]:
    """Return the boxes of EXIF and XMP, as Pillow hands them on."""
    found: dict[str, bytes] = {}
    for kind, content in boxes.contents(file, (b"Exif", b"xml ", b"brob")):
        inner = content[:4] if kind == b"brob" else kind
        if inner not in (b"Exif", b"xml "):
            continue
        try:
            text = bytes(imagecodecs.brotli_decode(content[4:], out=_MAX_TEXT)) if kind == b"brob" else content
        except (imagecodecs.BrotliError, ValueError):
            continue
        if inner == b"Exif":  # after the offset of its start
            found.setdefault("exif", text[4 + int.from_bytes(text[:4]) :])
        else:
            found.setdefault("xmp", text)
    return found


def _start_of_stream(file: BinaryIO) -> tuple[int, bytes]:
    """Return where the header of the code stream is in the file, and its bytes."""
    file.seek(0)
    start = 2
    if file.read(2) != _STREAM:
        start = next(at + (2 if kind == b"jxlc" else 6) for kind, at in boxes.places(file, (b"jxlc", b"jxlp")))
    file.seek(start)
    return start, file.read(_HEADER_BYTES)


class _Bits:
    """Reads numbers from the lowest bit of each byte on. Raises IndexError behind the end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def number(self, bits: int) -> int:
        """`u(n)` of the standard."""
        end = self.position + bits
        if end > len(self._data) * 8:
            raise IndexError
        window = int.from_bytes(self._data[self.position // 8 : (end + 7) // 8], "little")
        found = window >> (self.position % 8) & ((1 << bits) - 1)
        self.position = end
        return found

    def flag(self) -> bool:
        """`Bool()`."""
        return bool(self.number(1))

    def choice(self, *ways: tuple[int, int]) -> int:
        """`U32()`: each of four ways is a base, and how many bits are added to it."""
        base, bits = ways[self.number(2)]
        return base + self.number(bits)

    def name(self) -> int:
        """`Enum()`."""
        return self.choice((0, 0), (1, 0), (2, 4), (18, 6))


def _parse(bits: _Bits) -> _Header:
    """Read SizeHeader and ImageMetadata (ISO/IEC 18181-1, D.2 and D.3)."""
    header = _Header(*_size(bits))
    if bits.flag():
        return header  # 8 bits, XYB, sRGB
    if bits.flag():
        header.orientation = bits.number(3) + 1
        if bits.flag():
            _size(bits)
        if bits.flag():
            _size_of_preview(bits)
        if bits.flag():
            bits.choice((100, 0), (1000, 0), (1, 10), (1, 30))
            bits.choice((1, 0), (1001, 0), (1, 8), (1, 10))
            bits.choice((0, 0), (0, 3), (0, 16), (0, 32))
            bits.flag()
    header.depth_position = bits.position + 1
    header.is_float, header.bits = _depth(bits)
    if bits.position != header.depth_position + _DEPTH_CHOICE:
        header.depth_position = 0
    bits.flag()
    for is_alpha, is_premultiplied in _extra_channels(bits):
        header.has_alpha = header.has_alpha or is_alpha
        header.is_premultiplied = header.is_premultiplied or is_premultiplied
    header.is_xyb = bits.flag()
    header.has_profile, header.colours = _colours(bits)
    if header.has_profile:
        header.colours = replace(SRGB, transfer="gamma", gamma=1.0)  # of what is decoded
    return header


def _size(bits: _Bits) -> tuple[int, int]:
    is_small = bits.flag()
    sides = ((1, 9), (1, 13), (1, 18), (1, 30))
    height = (bits.number(5) + 1) * 8 if is_small else bits.choice(*sides)
    ratio = bits.number(3)
    if ratio:
        above, below = _RATIOS[ratio - 1]
        return height * above // below, height
    return ((bits.number(5) + 1) * 8 if is_small else bits.choice(*sides)), height


def _size_of_preview(bits: _Bits) -> None:
    is_small = bits.flag()
    sides = ((16, 0), (32, 0), (1, 5), (33, 9)) if is_small else ((1, 6), (65, 8), (321, 10), (1345, 12))
    bits.choice(*sides)
    if not bits.number(3):
        bits.choice(*sides)


def _depth(bits: _Bits) -> tuple[bool, int]:
    is_float = bits.flag()
    if not is_float:
        return False, bits.choice((8, 0), (10, 0), (12, 0), (1, 6))
    found = bits.choice((32, 0), (16, 0), (24, 0), (1, 6))
    bits.number(4)
    return True, found


def _extra_channels(bits: _Bits) -> Iterator[tuple[bool, bool]]:
    """Yield of each whether it is an alpha, and whether colours are multiplied by it already."""
    for _ in range(bits.choice((0, 0), (1, 0), (2, 4), (1, 12))):
        if bits.flag():
            yield True, False
            continue
        kind = bits.name()
        _depth(bits)
        bits.choice((0, 0), (3, 0), (4, 0), (1, 3))
        for _ in range(bits.choice((0, 0), (0, 4), (16, 5), (48, 10))):
            bits.number(8)
        yield kind == _ALPHA, kind == _ALPHA and bits.flag()
        if kind == _SPOT:
            bits.number(64)
        if kind == _FILTER_ARRAY:
            bits.choice((1, 0), (0, 2), (3, 4), (19, 8))


def _colours(bits: _Bits) -> tuple[bool, ColourSpace | None]:
    """Return whether an ICC profile follows, and else the colour space; None for sRGB."""
    if bits.flag():
        return False, None
    if bits.flag():
        return True, None
    space = bits.name()
    if space == _XYB:
        return False, None
    kind = bits.name()
    white = _point(bits) if kind == _CUSTOM else _WHITES.get(kind, D65)
    primaries, custom = 1, None
    if space != _GREY:
        primaries = bits.name()
        if primaries == _CUSTOM:
            custom = tuple(_point(bits) for _ in range(3))
        if primaries == _P3 and white == D65:
            primaries = _P3_OF_SCREENS
    gamma = bits.number(24) / 10_000_000 if bits.flag() else 0.0
    transfer = 13 if gamma else bits.name()
    found = of_code_points(primaries, transfer) or SRGB
    result = ColourSpace(
        primaries=custom or found.primaries,
        white=white,
        transfer="gamma" if gamma else found.transfer,
        gamma=1 / gamma if gamma else found.gamma,
    )
    return False, None if result == SRGB else result


def _point(bits: _Bits) -> Chromaticity:
    ways = ((0, 19), (524_288, 19), (1_048_576, 20), (2_097_152, 21))
    x, y = (bits.choice(*ways) for _ in range(2))
    return _signed(x) / 1_000_000, _signed(y) / 1_000_000


def _signed(packed: int) -> int:
    return -(packed + 1) // 2 if packed & 1 else packed // 2
