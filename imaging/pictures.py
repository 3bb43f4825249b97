"""Read a picture that Pillow (or libheif, through it) decodes."""

from dataclasses import dataclass
from typing import BinaryIO

import pillow_heif
from PIL import Image, PngImagePlugin

from errors import ContentError
from imaging import captions, exif, formats
from imaging.captions import Captions
from imaging.exif import Exif
from imaging.steps import step
from imaging.thumbnails import fitted

# One worker process a core decodes already: more threads in each would only compete.
pillow_heif.register_heif_opener(decode_threads=1, thumbnails=False, depth_images=False, aux_images=False)
# All decoders now: Pillow would load them at the first file that needs one, and take a decoder whose library does not
# fit into what memory is left for one that is not installed, until the process ends.
Image.init()
# A text of a PNG may be as long as this, uncompressed; at a longer one Pillow gives up the picture.
PngImagePlugin.MAX_TEXT_CHUNK = 16 << 20


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture: its pixels, maybe scaled down already, and what the file says about it."""

    image: Image.Image
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


def read(file: BinaryIO, tiff_tags: Exif, *, side: int, max_pixels: int) -> Picture:
    """Decode the first frame. Pixels are loaded with the longest side at least `side`, where the picture has it.

    `tiff_tags` are the file's own directories, which count when it is a TIFF.

    Raises ContentError when it is too large, or anything that a decoder raises.
    """
    image = open_bounded(file, formats.PILLOW_FORMATS, max_pixels)
    mode = image.mode
    full_size = load(image, side)
    with step("metadata"):
        found = tiff_tags if image.format == "TIFF" else exif.parse(captions.exif_block(image))
        said = captions.of_picture(image, found)
    stored = exif.orientation(found)
    turn = stored or 1
    if image.format == "HEIF":  # libheif has turned the pixels, and pillow-heif the tag
        stored = image.info.get("original_orientation") or stored
        turn = 1
    elif image.format == "TIFF":  # Pillow has turned the pixels
        turn = 1
    width, height = upright_size(full_size, turn)
    return Picture(
        image=image,
        turn=turn,
        width=width,
        height=height,
        format="JPEG" if image.format == "MPO" else image.format or "",
        mode=mode,
        orientation=stored,
        exif=found,
        captions=said,
    )


def open_bounded(file: BinaryIO, allowed: tuple[str, ...], max_pixels: int) -> Image.Image:
    """Read the header, and refuse a picture with more pixels than the bound before any is decoded."""
    Image.MAX_IMAGE_PIXELS = max_pixels  # the same bound for the frames and tiles that Pillow checks by itself
    try:
        image = Image.open(file, formats=allowed)
    except Image.DecompressionBombError as error:
        raise ContentError(
            f"has more than {max_pixels:,} pixels, the most that is decoded (setting MAX_IMAGE_PIXELS)."
        ) from error
    check_pixels(image.size, max_pixels)
    return image


def check_pixels(size: tuple[int, int], max_pixels: int) -> None:
    """Raise ContentError when a picture of this size may not be decoded."""
    width, height = size
    if width * height > max_pixels:
        raise ContentError(
            f"has {width} x {height} = {width * height:,} pixels; at most {max_pixels:,} are decoded "
            "(setting MAX_IMAGE_PIXELS)."
        )


def load(image: Image.Image, side: int) -> tuple[int, int]:
    """Decode the pixels, JPEG at the smallest scale that still fills `side`; return the full size as stored."""
    if image.format not in ("JPEG", "MPO"):
        image.load()
        return image.size  # some decoders know the size only now
    full_size = image.size
    image.draft(None, fitted(full_size, side))
    image.load()
    return full_size


def upright_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Width and height once the orientation is applied: 5 to 8 lie on their side."""
    return size if orientation < 5 else (size[1], size[0])
