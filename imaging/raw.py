"""Read camera RAW files with LibRaw: the embedded preview where it is large enough, else a develop.

A preview is what the camera itself made of the picture, and costs a fraction of the time. A develop at half size costs
a quarter of a whole one, and is made where it is large enough.
"""

import io
from typing import BinaryIO

import rawpy
from PIL import Image

from imaging import captions, exif, jpeg
from imaging.bounds import check_pixels
from imaging.exif import Exif
from imaging.pictures import Picture, open_bounded, upright_size
from imaging.stated_colours import Colours, of_raw_preview

_PHOTOMETRIC, _DNG_VERSION = 262, 50706
_SENSOR_DATA = {32803, 34892}
"""PhotometricInterpretation of colour filter arrays and of linear RAW (DNG 1.7)."""
_FORMAT_OF_MAKE = {
    "nikon": "NEF",
    "sony": "ARW",
    "pentax": "PEF",
    "ricoh": "PEF",
    "samsung": "SRW",
    "kodak": "KDC",
}
_ORIENTATION_OF_FLIP = {0: 1, 1: 2, 2: 4, 3: 3, 4: 5, 5: 8, 6: 6, 7: 7}
"""LibRaw's flip bits (1 mirror, 2 upside down, 4 transpose) as EXIF orientations."""


def format_of(tags: Exif) -> str | None:
    """Name of the RAW format of a TIFF-like file; None when it is an ordinary TIFF."""
    if _DNG_VERSION in tags.main:
        return "DNG"
    if not any(directory.get(_PHOTOMETRIC) in _SENSOR_DATA for directory in (tags.main, *tags.sub)):
        return None
    make = (exif.text(tags.main.get(exif.MAKE)) or "").lower()
    return next((name for brand, name in _FORMAT_OF_MAKE.items() if brand in make), "RAW")


def read(file: BinaryIO, format_name: str, tags: Exif, *, side: int, max_pixels: int) -> Picture:
    """Decode a RAW file; see `pictures.read` for what comes back and what is raised, and rawpy's LibRawError."""
    with rawpy.RawPy() as raw:
        raw.open_file(f"/dev/fd/{file.fileno()}")  # this very file, even if its name is given to another
        flip = raw.sizes.flip & 7
        stored_size = (raw.sizes.width, raw.sizes.height)
        check_pixels(stored_size, max_pixels)
        colours: Colours = None
        preview = _preview(raw, side, max_pixels)
        if preview is not None:
            image, colours = preview, of_raw_preview(preview, tags, file)
            turn = _turn_of_preview(flip, stored_size, preview.size)
            tags = tags if tags.main else exif.parse(preview.info.get("exif") or b"")
        else:
            image = Image.fromarray(raw.postprocess(half_size=max(stored_size) >= 2 * side, use_camera_wb=True))
            turn = 1  # LibRaw turns what it develops, and gives sRGB
    orientation = _ORIENTATION_OF_FLIP[flip]
    width, height = upright_size(stored_size, orientation)
    return Picture(
        image=image,
        colours=colours,
        turn=turn,
        width=width,
        height=height,
        format=format_name,
        mode="RGB",
        orientation=exif.orientation(tags) or orientation,
        exif=tags,
        captions=captions.of_raw(tags),
    )


def _preview(raw: rawpy.RawPy, side: int, max_pixels: int) -> Image.Image | None:
    """Return the embedded JPEG, decoded, when its longest side is at least `side`."""
    try:
        thumbnail = raw.extract_thumb()
        if not isinstance(thumbnail.data, bytes):
            return None  # a bitmap, which is never large
        content = io.BytesIO(thumbnail.data)
        image = open_bounded(content, ("JPEG",), max_pixels)
        if max(image.size) < side:
            return None
        image, share = jpeg.load(image, content, side)
        if share < 1.0:
            return None
    except (rawpy.LibRawError, OSError, SyntaxError, ValueError):
        return None  # no preview, or a damaged one: the sensor data is there to be developed
    return image


def _turn_of_preview(flip: int, stored: tuple[int, int], preview: tuple[int, int]) -> int:
    """Cameras store the preview as the sensor saw it; some programs store it upright, which shows in its shape."""
    lies_on_its_side = flip & 4 and (stored[0] > stored[1]) != (preview[0] > preview[1])
    return 1 if lies_on_its_side else _ORIENTATION_OF_FLIP[flip]
