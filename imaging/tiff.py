"""Read a TIFF of any depth, sample format, compression and arrangement.

tifffile finds the samples; here they get their meaning (TIFF 6.0, and the supplements for floating point and ICC Lab).
Strips and tiles are brought to 8 bits one at a time, so what is held is the 8-bit picture and one of them.
"""

import logging
import struct
from dataclasses import dataclass
from typing import BinaryIO, Literal

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from core.errors import ContentError
from imaging.bounds import check_pixels
from imaging.colours import from_lab
from imaging.samples import Samples, on_white, stretched, to_eight_bit
from imaging.tiff_colours import colour_map, from_ycbcr
from imaging.tiff_segments import JPEGS, OLD_JPEG, Segments, share_of_jpeg

# It tells of every oddity that it passes over.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)

_PHOTOMETRIC, _ORIENTATION, _ICC_PROFILE, _JPEG_START, _JPEG_LENGTH = 262, 274, 34675, 513, 514
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _MASK, _SEPARATED, _YCBCR, _, _CIELAB, _ICCLAB = range(10)
_INK_SET, _CMYK_INKS = 332, 1
_MODES = {
    _WHITE_IS_ZERO: "L",
    _BLACK_IS_ZERO: "L",
    _RGB: "RGB",
    _PALETTE: "RGB",
    _MASK: "L",
    _SEPARATED: "CMYK",
    _YCBCR: "YCbCr",
    _CIELAB: "LAB",
    _ICCLAB: "LAB",
}
_BANDS = {"L": 1, "RGB": 3, "CMYK": 4, "LAB": 3, "YCbCr": 3}
_MISSING: dict[str, int | tuple[int, ...]] = {
    "L": 128,
    "RGB": (128, 128, 128),
    "CMYK": (0, 0, 0, 128),
    "LAB": (128, 128, 128),
    "YCbCr": (128, 128, 128),
}
"""What shows where a damaged file has no pixels: grey."""
_PREMULTIPLIED, _ALPHA = 1, (1, 2, 999)
"""ExtraSamples: values that mean transparency; CorelDRAW writes the last."""
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
"""SampleFormat."""
_JPEG_MARK = b"\xff\xd8"
_SMALL = 1 << 24
"""Grey of 32 bits and more up to this counts something else than light of full scale."""
_REDUCED_OR_MASK = 0b101
"""Bits of NewSubfileType."""
_MAX_PAGES = 256
"""How far the main picture is looked for."""


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
    with _opened(file) as tiff:
        page = _main_page(tiff)
        check_pixels((page.imagewidth, page.imagelength), max_pixels)
        decoder = _Decoder(page, salvage=salvage)
        image = _old_jpeg(page, file) if page.compression == OLD_JPEG else decoder.image()
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


def _opened(file: BinaryIO) -> tifffile.TiffFile:
    """Open a file. Raises OSError where its directory cannot be read."""
    file.seek(0)
    try:
        tiff = tifffile.TiffFile(file, name="tiff")
        if tiff.pages:
            return tiff
    except (tifffile.TiffFileError, struct.error, IndexError) as error:
        raise OSError("its directory is damaged or cut off") from error
    raise EOFError("truncated")  # the directory lies behind its end


def _main_page(tiff: tifffile.TiffFile) -> tifffile.TiffPage:
    """Return the page that is the picture. Where all are reduced ones, it is the first."""
    for number in range(_MAX_PAGES):
        try:
            page = tiff.pages[number]
        except IndexError:
            break
        # A preview may come first, with the picture itself below it (as TIFF/EP has it).
        for one in (page, *(page.pages or ())):
            if isinstance(one, tifffile.TiffPage) and not _is_secondary(one):
                return one
    return tiff.pages.first


def _is_secondary(page: tifffile.TiffPage) -> bool:
    return bool(page.subfiletype & _REDUCED_OR_MASK) or _photometric(page) == _MASK


def _old_jpeg(page: tifffile.TiffPage, file: BinaryIO) -> Image.Image:
    """Decode the JPEG of TIFF 6.0, which everyone wrote differently, with libtiff, which knows how."""
    file.seek(0)
    content = bytearray(file.read())
    order: Literal["little", "big"] = "little" if page.parent.byteorder == "<" else "big"
    parts = [slice(at, at + size) for at, size in zip(page.dataoffsets, page.databytecounts, strict=False)]
    start, length = (int(np.ravel(page.tags.valueof(tag, 0))[0]) for tag in (_JPEG_START, _JPEG_LENGTH))
    whole = slice(start, start + length)
    if any(part.stop > len(content) for part in (*parts, whole)):
        raise EOFError("truncated")
    stream = bytes(content[whole])
    if stream.startswith(_JPEG_MARK):  # libtiff shows what it can of one that is damaged
        behind = b"".join(bytes(content[part]) for part in parts if not start <= part.start < whole.stop)
        if share_of_jpeg(stream + behind) < 1.0:
            raise OSError("its data is damaged or not complete")
    if _ORIENTATION in page.tags:  # it would turn some pictures, and some by half
        place = page.tags[_ORIENTATION].valueoffset
        content[place : place + 2] = (1).to_bytes(2, order)
    first = slice(8, 16) if page.parent.is_bigtiff else slice(4, 8)
    content[first] = page.offset.to_bytes(first.stop - first.start, order)
    pixels = imagecodecs.tiff_decode(bytes(content), 0, asrgb=True)
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
    if mode == "YCbCr":
        return "RGB"
    return "RGBA" if has_alpha and mode == "RGB" else mode


class _Decoder:
    """Makes an 8-bit picture of one page."""

    def __init__(self, page: tifffile.TiffPage, *, salvage: bool) -> None:
        self._page = page
        self._salvage = salvage
        self._photometric = _photometric(page)
        if self._photometric not in _MODES:
            raise ContentError(
                f"is a TIFF with pixels of a kind (PhotometricInterpretation {self._photometric}) that nothing here "
                "decodes. Save it as RGB or grey."
            )
        if self._photometric == _SEPARATED and page.tags.valueof(_INK_SET, _CMYK_INKS) != _CMYK_INKS:
            raise ContentError(
                "is a TIFF of inks that are not those of CMYK, whose colours it does not say. Save it as RGB."
            )
        self.mode = _MODES[self._photometric]
        if self._photometric == _YCBCR and page.compression in JPEGS and page.planarconfig == 1:
            self.mode = "RGB"  # which the decoder of JPEG gives
        if self.mode == "LAB" and page.sampleformat == _FLOAT:
            raise ContentError("is a TIFF with Lab in floats, which have no agreed scale. Save it with 16 bits.")
        self._stored = 1 if self._photometric == _PALETTE else _BANDS[self.mode]
        if page.samplesperpixel < self._stored:
            raise ContentError(f"has {page.samplesperpixel} samples a pixel, where its kind has {self._stored}.")
        self._colours = colour_map(page) if self._photometric == _PALETTE else None
        self.alpha, self._is_premultiplied = _alpha(page, self._stored)
        self._range: tuple[float, float] | None = None
        self._segments = Segments(page, salvage=salvage)

    @property
    def share(self) -> float:
        """How much could be decoded."""
        return self._segments.share

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
        for first, place, samples in self._segments.pieces():
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
        if self.mode == "YCbCr":
            canvas = from_ycbcr(canvas, self._page)
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
        for first, _, samples in self._segments.pieces():
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


def _may_have_any_range(page: tifffile.TiffPage, mode: str) -> bool:
    """Whether samples have no agreed full scale: signed, floating, or grey of 32 bits and more."""
    if mode == "LAB":
        return False
    return page.sampleformat in {_SIGNED, _FLOAT} or (mode == "L" and page.bitspersample > 16)


def _alpha(page: tifffile.TiffPage, stored: int) -> tuple[int | None, bool]:
    """Return which sample is the transparency, and whether colours are multiplied by it already."""
    extra = [int(one) for one in page.extrasamples]
    for number, kind in enumerate(extra):
        if kind in _ALPHA and stored + number < page.samplesperpixel:
            return stored + number, kind == _PREMULTIPLIED
    if not extra and page.samplesperpixel == 4 and stored == 3:
        return 3, False
    return None, False
