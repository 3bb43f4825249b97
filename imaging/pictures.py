"""Read a picture: with tifffile where it is a TIFF, else with Pillow (and libheif, through it)."""

from dataclasses import dataclass, replace
from typing import BinaryIO

import pillow_heif
from PIL import GifImagePlugin, Image, PngImagePlugin

from core.errors import ContentError
from imaging import (
    before_exif,
    bmp,
    captions,
    deep_jpeg,
    embedded,
    exif,
    flir,
    formats,
    jpeg,
    jpeg2000,
    jxl,
    png,
    psd,
    salvage,
    tiff,
)
from imaging.bounds import check_pixels
from imaging.captions import Captions
from imaging.exif import Exif
from imaging.stated_colours import Colours, of_exif, of_picture
from imaging.steps import step
from imaging.tiff import Tiff

# One worker process a core decodes already: more threads in each would only compete.
pillow_heif.register_heif_opener(decode_threads=1, thumbnails=False, depth_images=False, aux_images=False)
# All decoders now: Pillow would load them at the first file that needs one, and take a decoder whose library does not
# fit into what memory is left for one that is not installed, until the process ends.
Image.init()
# A text of a PNG may be as long as this, uncompressed; at a longer one Pillow gives up the picture.
PngImagePlugin.MAX_TEXT_CHUNK = 16 << 20

_JPEGS = ("JPEG", "MPO")
_TURNED = ("HEIF", "JXL")
"""Formats whose decoders turn the pixels; pillow-heif, and our reader, say what was stored."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture: its pixels, maybe scaled down already, and what the file says about it."""

    image: Image.Image
    colours: Colours
    """What the values of its pixels stand for."""
    turn: int
    """EXIF orientation, 1 to 8, that the pixels still need."""
    width: int
    """Of the upright picture at full size, as is `height`."""
    height: int
    format: str
    mode: str
    orientation: int | None
    """EXIF orientation as stored in the file."""
    exif: Exif
    captions: Captions
    is_damaged: bool = False
    """Whether some of its pixels are not those that were taken."""


@dataclass(frozen=True, slots=True)
class _Pixels:
    """What a decoder gives. `share`: of the pixels, those that were in the file; `size`: in full, as stored."""

    image: Image.Image
    size: tuple[int, int]
    share: float = 1.0


def read(file: BinaryIO, tiff_tags: Exif, *, side: int, max_pixels: int, salvage_damaged: bool = False) -> Picture:
    """Decode the first frame. Pixels are loaded with the longest side at least `side`, where the picture has it.

    `tiff_tags` are the file's own directories, which count when it is a TIFF. `salvage_damaged`: of a damaged file
    take what is there, if that is half of it.

    Raises ContentError when it is too large, or anything that a decoder raises.
    """
    file.seek(0)
    head = file.read(formats.HEAD_BYTES)
    file.seek(0)
    if formats.is_tiff(head):
        return _read_tiff(file, tiff_tags, max_pixels=max_pixels, salvage_damaged=salvage_damaged)
    if formats.is_webp(head):
        file = salvage.whole_webp(file)
    own = _by_own_reader(file, head, max_pixels)
    if own is not None:
        image, mode = own
        pixels = _Pixels(image, image.size)
    else:
        image = open_bounded(file, formats.PILLOW_FORMATS, max_pixels)
        mode = image.mode
        pixels = _load(image, file, side, salvage_damaged=salvage_damaged)
    with step("metadata"):
        embedded.hand_on(image, file)
        found = _exif(image)
        said = captions.of_picture(image, found)
        colours = of_picture(image, file, found)
    stored = exif.orientation(found)
    turn = stored or 1
    if image.format in _TURNED:
        stored = image.info.get("original_orientation") or stored
        turn = 1
    width, height = upright_size(pixels.size, turn)
    return Picture(
        image=pixels.image,
        colours=colours,
        turn=turn,
        width=width,
        height=height,
        format="JPEG" if image.format == "MPO" else image.format or "",
        mode=mode,
        orientation=stored,
        exif=found,
        captions=said,
        is_damaged=pixels.share < 1.0,
    )


def _exif(image: Image.Image) -> Exif:
    block, segments = captions.exif_block(image), getattr(image, "applist", ())
    found = exif.parse(block) if block else before_exif.read(segments)
    if thermal := flir.read(segments):
        return replace(found, maker=thermal)
    block = embedded.exif_of_avif(image)
    if not block:
        return found
    whole = exif.parse(block)
    # Only Pillow knows how AVIF itself turns the picture.
    return replace(whole, main={**whole.main, exif.ORIENTATION: exif.orientation(found)})


def _by_own_reader(file: BinaryIO, head: bytes, max_pixels: int) -> tuple[Image.Image, str] | None:
    """Decode what Pillow does not, or wrongly, and return the mode in which it is stored; None for all else."""
    found: tuple[Image.Image, str] | None = None
    if formats.is_photoshop(head):
        found = psd.read(file, max_pixels)
    elif formats.is_jpeg_xl(head):
        found = jxl.read(file, max_pixels)
    elif head.startswith(b"BM") and bmp.has_masks(file):
        found = bmp.read(file, max_pixels)
    elif formats.is_jpeg(head) and (frame := deep_jpeg.frame(file)) and frame[1] > 8:
        found = deep_jpeg.read(file, frame, max_pixels)
    file.seek(0)
    return found


def _read_tiff(file: BinaryIO, tags: Exif, *, max_pixels: int, salvage_damaged: bool) -> Picture:
    found = _decoded_tiff(file, max_pixels, salvage_damaged=salvage_damaged)
    stored = exif.orientation(Exif(main={exif.ORIENTATION: found.orientation}))
    with step("metadata"):
        said = _captions_of_tiff(file, tags)
    width, height = upright_size(found.size, stored or 1)
    return Picture(
        image=found.image,
        colours=found.profile or of_exif(tags, file),
        turn=stored or 1,
        width=width,
        height=height,
        format="TIFF",
        mode=found.mode,
        orientation=stored,
        exif=tags,
        captions=said,
        is_damaged=found.share < 1.0,
    )


def _decoded_tiff(file: BinaryIO, max_pixels: int, *, salvage_damaged: bool) -> Tiff:
    try:
        return tiff.read(file, max_pixels)
    except (ContentError, MemoryError):
        raise
    except Exception:  # decoders raise every type there is on damaged bytes
        found = tiff.read(file, max_pixels, salvage=True) if salvage_damaged else None
        if found is None or found.share < salvage.LEAST:
            raise
        return found


def _captions_of_tiff(file: BinaryIO, tags: Exif) -> Captions:
    try:
        file.seek(0)
        return captions.of_picture(Image.open(file, formats=("TIFF",)), tags)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return captions.of_raw(tags)  # of a kind that Pillow does not open


def _load(image: Image.Image, file: BinaryIO, side: int, *, salvage_damaged: bool) -> _Pixels:
    """Decode what Pillow opened; of a damaged file all of it, or enough where that is asked for."""
    size = image.size
    if image.format in _JPEGS:
        loaded, share = jpeg.load(image, file, side, salvage_damaged=salvage_damaged)
        return _Pixels(loaded, size, share)
    if png.needs_own_way(image, file):
        return _Pixels(png.load(file), size)
    if jpeg2000.needs_own_way(image, file):
        return _Pixels(jpeg2000.load(image, file), size)
    try:
        image.load()
    except MemoryError:
        raise
    except Exception:  # decoders raise every type there is on damaged bytes
        found = salvage.partly(lambda: _opened_again(image, file))
        if found is None or found[1] < (salvage.LEAST if salvage_damaged else 1.0):
            raise
        return _Pixels(found[0], size, found[1])
    if isinstance(image, GifImagePlugin.GifImageFile):
        return _Pixels(_on_its_screen(image), size)
    return _Pixels(image, image.size)  # some decoders know the size only now


def _on_its_screen(image: GifImagePlugin.GifImageFile) -> Image.Image:
    """Return the first frame of a GIF. Where it does not fill its screen nothing is shown, not the first colour."""
    frame = image.dispose_extent
    if frame == (0, 0, *image.size):
        return image
    screen = Image.new("RGBA", image.size)
    screen.paste(image.crop(frame).convert("RGBA"), frame)
    return screen


def _opened_again(image: Image.Image, file: BinaryIO) -> Image.Image:
    file.seek(0)
    again = Image.open(file, formats=(image.format or "",))
    again.info = image.info
    return again


def open_bounded(file: BinaryIO, allowed: tuple[str, ...], max_pixels: int) -> Image.Image:
    """Read the header, and refuse a picture with more pixels than the bound before any is decoded."""
    Image.MAX_IMAGE_PIXELS = max_pixels  # the same bound for the frames and tiles that Pillow checks by itself
    try:
        image = _opened(file, allowed)
    except Image.DecompressionBombError as error:
        raise ContentError(
            f"has more than {max_pixels:,} pixels, the most that is decoded (setting MAX_IMAGE_PIXELS)."
        ) from error
    check_pixels(image.size, max_pixels)
    return image


def _opened(file: BinaryIO, allowed: tuple[str, ...]) -> Image.Image:
    try:
        return Image.open(file, formats=allowed)
    except (OSError, ValueError):  # also of what is not identified
        file.seek(0)
        if "PNG" not in allowed or not formats.is_png(file.read(formats.HEAD_BYTES)):
            raise
        file.seek(0)
        with (
            salvage.lenient()
        ):  # a chunk that no pixel needs may have a wrong checksum, be short, or unpack to too much
            return Image.open(file, formats=("PNG",))


def upright_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Width and height once the orientation is applied: 5 to 8 lie on their side."""
    return size if orientation < 5 else (size[1], size[0])
