"""Read a TIFF of any depth, sample format, compression and arrangement.

tifffile finds the samples; here they get their meaning (TIFF 6.0, and the supplements for floating point and ICC Lab).
Strips and tiles are brought to 8 bits one at a time, so what is held is the 8-bit picture and one of them.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from errors import ContentError
from imaging.bounds import check_pixels
from imaging.colours import from_lab
from imaging.samples import Samples, on_white, stretched, to_eight_bit

# It tells of every oddity that it passes over.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)

_PHOTOMETRIC, _ORIENTATION, _COLOUR_MAP, _ICC_PROFILE = 262, 274, 320, 34675
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _MASK, _SEPARATED, _YCBCR, _, _CIELAB, _ICCLAB = range(10)
_MODES = {
    _WHITE_IS_ZERO: "L",
    _BLACK_IS_ZERO: "L",
    _RGB: "RGB",
    _PALETTE: "RGB",
    _MASK: "L",
    _SEPARATED: "CMYK",
    _YCBCR: "RGB",
    _CIELAB: "LAB",
    _ICCLAB: "LAB",
}
_BANDS = {"L": 1, "RGB": 3, "CMYK": 4, "LAB": 3}
_MISSING: dict[str, int | tuple[int, ...]] = {
    "L": 128,
    "RGB": (128, 128, 128),
    "CMYK": (0, 0, 0, 128),
    "LAB": (128, 128, 128),
}
"""What shows where a damaged file has no pixels: grey."""
_PREMULTIPLIED, _ALPHA = 1, (1, 2, 999)
"""ExtraSamples: values that mean transparency; CorelDRAW writes the last."""
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
"""SampleFormat."""
_SMALL = 1 << 24
"""Grey of 32 bits and more up to this counts something else than light of full scale."""
_UNCOMPRESSED, _OLD_JPEG, _JPEGS = 1, 6, (6, 7, 33007, 34892)
"""Compression."""
_REDUCED_OR_MASK = 0b101
"""Bits of NewSubfileType."""
_MAX_PAGES = 32
"""How far the main picture is looked for."""
_PIECE_ROWS = 512
"""Rows of a large strip that are worked on at a time."""


@dataclass(frozen=True, slots=True)
class Tiff:
    """The main picture of a file. `image` is L, RGB or CMYK, and opaque."""

    image: Image.Image
    size: tuple[int, int]
    mode: str
    """What is stored, by Pillow's names: `1`, `L`, `I;16`, `F`, `P`, `RGB` …"""
    orientation: object
    profile: bytes | None
    share: float
    """How much of it could be decoded: 1.0 but for a damaged file that is salvaged."""


def read(file: BinaryIO, max_pixels: int, *, salvage: bool = False) -> Tiff:
    """Decode the first page that is neither a reduced version of another one nor a mask.

    `salvage`: decode what can be, of a damaged file. Raises ContentError for a picture that is too large, or of a
    kind that has no meaning as one, and whatever tifffile raises.
    """
    file.seek(0)
    with tifffile.TiffFile(file, name="tiff") as tiff:
        if not tiff.pages:
            raise UnidentifiedImageError("no directory")
        page, number = _main_page(tiff)
        check_pixels((page.imagewidth, page.imagelength), max_pixels)
        decoder = _Decoder(page, salvage=salvage)
        image = _by_libtiff(page, number, file) if _is_left_to_libtiff(page) else decoder.image()
        tags = (page.tags, tiff.pages.first.tags)
        profile = next((found for one in tags if isinstance(found := one.valueof(_ICC_PROFILE), bytes)), None)
        return Tiff(
            image=image,
            size=(page.imagewidth, page.imagelength),
            mode=_stored_mode(page, decoder.mode, has_alpha=decoder.alpha is not None),
            orientation=next((found for one in tags if (found := one.valueof(_ORIENTATION))), None),
            profile=profile,
            share=decoder.share,
        )


def _main_page(tiff: tifffile.TiffFile) -> tuple[tifffile.TiffPage, int]:
    """Return a page, and its number in the file's chain. Where all are reduced ones, it is the first."""
    for number in range(_MAX_PAGES):
        try:
            page = tiff.pages[number]
        except IndexError:
            break
        # A preview may come first, with the picture itself below it (as TIFF/EP has it).
        for one in (page, *(page.pages or ())):
            if isinstance(one, tifffile.TiffPage) and not _is_secondary(one):
                return one, number
    return tiff.pages.first, 0


def _is_secondary(page: tifffile.TiffPage) -> bool:
    return bool(page.subfiletype & _REDUCED_OR_MASK)


def _is_left_to_libtiff(page: tifffile.TiffPage) -> bool:
    """Whether YCbCr, which may be subsampled, has to become RGB. In JPEG its decoder does that."""
    in_jpeg = page.compression in _JPEGS and page.planarconfig == 1
    return page.compression == _OLD_JPEG or (_photometric(page) == _YCBCR and not in_jpeg)


def _by_libtiff(page: tifffile.TiffPage, number: int, file: BinaryIO) -> Image.Image:
    file.seek(0)
    content = bytearray(file.read())
    parts = zip(page.dataoffsets, page.databytecounts, strict=False)
    if any(offset + length > len(content) for offset, length in parts):
        raise EOFError("truncated")
    if _ORIENTATION in page.tags:  # it would turn some pictures, and some by half
        place = page.tags[_ORIENTATION].valueoffset
        content[place : place + 2] = (1).to_bytes(2, "little" if page.parent.byteorder == "<" else "big")
    pixels = imagecodecs.tiff_decode(bytes(content), number, asrgb=True)
    return Image.fromarray(np.ascontiguousarray(pixels[..., :3]))


def _photometric(page: tifffile.TiffPage) -> int:
    if _PHOTOMETRIC in page.tags:
        return int(page.photometric)
    return _RGB if page.samplesperpixel in {3, 4} else _BLACK_IS_ZERO


def _stored_mode(page: tifffile.TiffPage, mode: str, *, has_alpha: bool) -> str:
    if mode == "L":
        if page.sampleformat == _FLOAT:
            return "F"
        mode = "1" if page.bitspersample == 1 else "L" if page.bitspersample <= 8 else "I;16"
        mode = "I" if page.bitspersample > 16 else mode
        return "LA" if has_alpha and mode == "L" else mode
    if _photometric(page) == _PALETTE:
        return "P"
    return "RGBA" if has_alpha and mode == "RGB" else mode


class _Decoder:
    """Makes an 8-bit picture of one page."""

    def __init__(self, page: tifffile.TiffPage, *, salvage: bool) -> None:
        self._page = page
        self._salvage = salvage
        self._photometric = _photometric(page)
        if self._photometric not in _MODES:
            raise ContentError(f"is a TIFF whose pixels are of a kind ({self._photometric}) that is no picture.")
        self.mode = _MODES[self._photometric]
        self._stored = 1 if self._photometric == _PALETTE else _BANDS[self.mode]
        if page.samplesperpixel < self._stored:
            raise ContentError(f"has {page.samplesperpixel} samples a pixel, where its kind has {self._stored}.")
        self._colours = _colour_map(page) if self._photometric == _PALETTE else None
        self.alpha, self._is_premultiplied = _alpha(page, self._stored)
        self._range: tuple[float, float] | None = None
        self.share = 1.0

    def image(self) -> Image.Image:
        """Decode all of it."""
        if _may_have_any_range(self._page, self.mode):
            self._range = self._found_range()
        size = (self._page.imagewidth, self._page.imagelength)
        # Planes that lie apart are put together at the end; a single one is the picture.
        apart = self._page.planarconfig == 2 and self._stored > 1
        canvas = Image.new(self.mode, (1, 1) if apart else size, _MISSING[self.mode])
        alpha = None if self.alpha is None else Image.new("L", size, 255)
        planes = [Image.new("L", size, 128) for _ in range(self._stored)] if apart else []
        for first, place, samples in self._pieces():
            for offset in range(samples.shape[2]):
                sample = first + offset
                if sample == self.alpha and alpha is not None:
                    alpha.paste(Image.fromarray(to_eight_bit(samples[..., offset], self._page.bitspersample)), place)
                elif apart and sample < self._stored:
                    planes[sample].paste(Image.fromarray(self._band(samples[..., offset], sample)), place)
            if not apart and first == 0:
                canvas.paste(self._picture(samples[..., : self._stored]), place)
        if apart:
            canvas = Image.merge(self.mode, planes)
        if self.mode == "LAB":
            canvas = from_lab(canvas)
        return canvas if alpha is None else on_white(canvas, alpha, premultiplied=self._is_premultiplied)

    def _picture(self, samples: Samples) -> Image.Image:
        """Return a piece whose samples lie together as a picture."""
        if self._colours is not None:
            return Image.fromarray(self._colours[np.minimum(samples[..., 0], len(self._colours) - 1)])
        if self.mode == "RGB" and self._range is None:
            return Image.fromarray(np.ascontiguousarray(to_eight_bit(samples, self._page.bitspersample)))
        bands = [Image.fromarray(self._band(samples[..., band], band)) for band in range(self._stored)]
        return bands[0] if self.mode == "L" else Image.merge(self.mode, bands)

    def _band(self, samples: Samples, band: int) -> NDArray[np.uint8]:
        bits = self._page.bitspersample
        if self._range is not None:
            found = stretched(samples, *self._range)
        elif self._photometric == _CIELAB and band and samples.dtype.kind in "iu":
            # Two's complement; Pillow and lcms count from 128.
            high = np.ascontiguousarray(samples).view(f"u{samples.itemsize}") >> (bits - 8)
            found = high.astype(np.uint8) ^ np.uint8(128)
        elif self._photometric == _ICCLAB:
            # In 16 bits 0xFF00 stands for a lightness of 100, and 0x8000 for no colour.
            rounded = (samples.astype(np.uint32) + (1 << bits - 8 >> 1)) >> (bits - 8)
            found = np.minimum(rounded, 255).astype(np.uint8)
        else:
            found = to_eight_bit(samples, bits)
        return np.invert(found) if self._photometric == _WHITE_IS_ZERO else np.ascontiguousarray(found)

    def _found_range(self) -> tuple[float, float] | None:
        """Return the least and the greatest sample; None where the full scale of their type is meant.

        That is so for integers that use it, and for floats within 0 to 1. Colours of which most are within it may be
        brighter than white in places, and are cut there.
        """
        low, high, above, count = np.inf, -np.inf, 0, 0
        for first, _, samples in self._pieces():
            if first < self._stored:
                values = samples[..., : self._stored - first]
                finite = values[np.isfinite(values)]
                if finite.size:
                    low, high = min(low, float(finite.min())), max(high, float(finite.max()))
                    above, count = above + int((finite > 1).sum()), count + finite.size
        if self._page.sampleformat == _UNSIGNED and high > _SMALL:
            return None
        if self._page.sampleformat == _FLOAT:
            is_cut = self.mode != "L" and above * 2 < count
            return None if is_cut or (low >= 0 and high <= 1) or low > high else (low, high)
        return (low, high) if low <= high else None

    def _pieces(self) -> Iterator[tuple[int, tuple[int, int], Samples]]:
        """Yield the first sample, the place (left, top) and the samples of pieces of strips and tiles."""
        page = self._page
        whole, decoded_parts = int(np.prod(page.chunked)), 0.0
        for index in range(min(whole, len(page.dataoffsets)) if self._salvage else whole):
            share, sample, place, samples = self._segment(index)
            decoded_parts += share
            if samples is None:
                continue
            for row in range(0, len(samples), _PIECE_ROWS):
                yield sample, (place[0], place[1] + row), samples[row : row + _PIECE_ROWS]
        self.share = decoded_parts / whole

    def _segment(self, index: int) -> tuple[float, int, tuple[int, int], Samples | None]:
        """Decode a strip or tile: how much of it there is, its first sample, its place, and samples in the picture."""
        page = self._page
        tables: dict[str, Any] = {}
        if page.compression in _JPEGS:
            tables = {"jpegtables": page.jpegtables, "jpegheader": page.jpegheader}
        try:
            data, share = self._stored_bytes(index)
            decoded, (sample, depth, top, left, _), _ = page.decode(data, index, **tables)
        except MemoryError:
            raise
        except Exception:  # decoders raise every type there is on damaged bytes
            if not self._salvage:
                raise
            return 0.0, 0, (0, 0), None
        if decoded is None or depth:
            return share, sample, (left, top), None
        inside = decoded[0, : page.imagelength - top, : page.imagewidth - left]
        return share, sample, (left, top), inside

    def _stored_bytes(self, index: int) -> tuple[bytes, float]:
        """Return what the file has of a strip or tile, and how much that is of it."""
        page, file = self._page, self._page.parent.filehandle
        offset, length = page.dataoffsets[index], page.databytecounts[index]
        file.seek(offset)
        data = file.read(length) if offset else b""
        if not data:
            raise EOFError("truncated")
        if len(data) < length and page.compression == _UNCOMPRESSED and self._salvage:
            return data.ljust(length, b"\0"), len(data) / length
        return data, 1.0


def _may_have_any_range(page: tifffile.TiffPage, mode: str) -> bool:
    """Whether samples have no agreed full scale: signed, floating, or grey of 32 bits and more."""
    if mode == "LAB":
        return False
    return page.sampleformat in {_SIGNED, _FLOAT} or (mode == "L" and page.bitspersample > 16)


def _colour_map(page: tifffile.TiffPage) -> NDArray[np.uint8]:
    """Return the palette, shape (colours, 3). Some programs wrote 8-bit values where 16-bit ones belong."""
    values = np.asarray(page.tags.valueof(_COLOUR_MAP, ()), np.uint16)
    if not values.size or values.size % 3:
        raise ContentError("is a TIFF with a palette that has no colours.")
    colours = values.reshape(3, -1).T
    return np.ascontiguousarray(colours.astype(np.uint8) if colours.max() < 256 else to_eight_bit(colours, 16))


def _alpha(page: tifffile.TiffPage, stored: int) -> tuple[int | None, bool]:
    """Return which sample is the transparency, and whether colours are multiplied by it already."""
    extra = [int(one) for one in page.extrasamples]
    for number, kind in enumerate(extra):
        if kind in _ALPHA and stored + number < page.samplesperpixel:
            return stored + number, kind == _PREMULTIPLIED
    if not extra and page.samplesperpixel == 4 and stored == 3:
        return 3, False
    return None, False
