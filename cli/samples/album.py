"""The sample album: about 60 files of every kind that Darkroom meets in a real folder."""

import io
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image, ImageOps
from PIL.TiffImagePlugin import IFDRational

from cli.samples.dng import Shot, encode_dng
from cli.samples.scenes import scene

# Tags of Exif 2.32.
_MAKE, _MODEL, _ORIENTATION, _CAMERA, _GPS = 271, 272, 274, 34665, 34853
_EXPOSURE_TIME, _F_NUMBER, _ISO, _TAKEN, _OFFSET, _FOCAL_LENGTH, _LENS = 33434, 33437, 34855, 36867, 36881, 37386, 42036

_CAMERAS = (
    ("Canon", "Canon EOS R6", "RF24-105mm F4 L IS USM", 50),
    ("NIKON CORPORATION", "NIKON Z 6_2", "NIKKOR Z 50mm f/1.8 S", 50),
    ("SONY", "ILCE-7M4", "FE 35mm F1.8", 35),
    ("FUJIFILM", "X-T5", "XF23mmF2 R WR", 23),
    ("Apple", "iPhone 15", "iPhone 15 back dual wide camera 5.96mm f/1.6", 6),
)
_PLACES = (
    ("Köln/Dom bei Nacht.jpg", 50.9413, 6.9583),
    ("Köln/Straße am Rhein.jpg", 50.9375, 6.9650),
    ("Paris/café à Montmartre.jpg", 48.8867, 2.3431),
    ("Paris/Tour Eiffel.jpg", 48.8584, 2.2945),
    ("日本/東京タワー.jpg", 35.6586, 139.7454),
    ("日本/富士山.jpg", 35.3606, 138.7274),
    ("South/Table Mountain.jpg", -33.9628, 18.4098),
    ("South/Sydney Harbour.jpg", -33.8568, 151.2153),
    ("South/Christ the Redeemer.jpg", -22.9519, -43.2105),
    ("Grand Canyon, south rim.jpg", 36.0544, -112.1401),
)
_TURNS_TO_STORE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How an upright picture is laid down so that the orientation tag sets it right again."""

_WIDE, _TALL = (960, 640), (640, 960)
_FIRST_HOLIDAY = 200
"""Seed of the picture that has copies."""

_FEW = ("beach.jpg", "harbour.jpg", "market.jpg", "old town.jpg")

Sample = tuple[str, Callable[[], bytes]]
"""Path below the folder, and what makes its bytes: the same in every run."""


def make_samples(folder: Path) -> None:
    """Write the samples that are missing. One that is there stays untouched: a second run finds it unchanged."""
    for name, content in _album():
        path = folder / name
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        # A run that is broken off must not leave half a picture under the final name.
        unfinished = path.with_name(path.name + ".part")
        unfinished.write_bytes(content())
        unfinished.replace(path)


def make_few(folder: Path) -> None:
    """Have a few of the samples in a folder, under other names, and nothing else: whatever it held before."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, name in enumerate(_FEW):
        (folder / name).write_bytes(_jpeg(_FIRST_HOLIDAY + number))


def change_few(folder: Path) -> None:
    """Move one of these, delete one, and make one black and white."""
    moved, deleted, edited, _ = (folder / name for name in _FEW)
    (folder / "moved").mkdir()
    moved.rename(folder / "moved" / moved.name)
    deleted.unlink()
    with Image.open(edited) as picture:
        grey = ImageOps.grayscale(picture)
    grey.save(edited)


def _album() -> Iterator[Sample]:
    yield from _turned()
    yield from _by_camera()
    yield from _by_place()
    yield from _formats()
    yield from _raw()
    yield from _copies()
    yield from _trouble()


def _turned() -> Iterator[Sample]:
    for orientation in range(1, 9):
        yield f"orientation/stored as {orientation}.jpg", partial(_jpeg, 100 + orientation, orientation=orientation)


def _by_camera() -> Iterator[Sample]:
    for number in range(15):
        name = f"2023/{number % 5 + 5:02}/IMG_{4000 + number}.JPG"
        yield name, partial(_jpeg, _FIRST_HOLIDAY + number, _TALL if number % 3 else _WIDE)


def _by_place() -> Iterator[Sample]:
    for number, (name, latitude, longitude) in enumerate(_PLACES):
        yield f"travel/{name}", partial(_jpeg, 300 + number, position=(latitude, longitude))


def _formats() -> Iterator[Sample]:
    for number in range(2):
        yield f"formats/drawing {number}.png", partial(_scene_as, "PNG", 400 + number, compress_level=1)
        yield f"formats/scan {number}.tif", partial(_scene_as, "TIFF", 410 + number)
        yield f"formats/web {number}.webp", partial(_scene_as, "WEBP", 420 + number, quality=80, method=0)
        yield f"formats/old {number}.gif", partial(_scene_as, "GIF", 430 + number, (480, 320))
        yield f"formats/bitmap {number}.bmp", partial(_scene_as, "BMP", 440 + number, (480, 320))
        yield f"formats/phone {number}.heic", partial(_heic, 450 + number)
    yield "formats/modern.avif", partial(_scene_as, "AVIF", 460, quality=70, speed=10)
    yield "formats/print, CMYK.tiff", _cmyk
    yield "formats/grey, 16 bit.png", _deep_grey
    yield "formats/cut out.png", _cut_out


def _raw() -> Iterator[Sample]:
    yield "raw/DSC_0001.dng", lambda: encode_dng(scene(1200, 800, 500), preview=True)
    sunrise = Shot(taken_at="2024:05:18 06:10:00")
    # Turned to the left on the sensor, which orientation 6 sets right.
    yield (
        "raw/DSC_0002, no preview.dng",
        lambda: encode_dng(np.rot90(scene(800, 1200, 501)), preview=False, orientation=6, shot=sunrise),
    )


def _copies() -> Iterator[Sample]:
    """Five more files with the content of the first holiday picture."""
    for name in ("copy.jpg", "copy (2).jpg", "backup/copy of copy.jpg", "backup/old/IMG_4000.jpeg", "für Oma.JPG"):
        yield f"copies/{name}", partial(_jpeg, _FIRST_HOLIDAY)


def _trouble() -> Iterator[Sample]:
    yield "trouble/truncated.jpg", lambda: _jpeg(600)[:20_000]
    yield "trouble/garbage.png", lambda: np.random.default_rng(601).bytes(50_000)
    yield "trouble/shopping list.jpg", lambda: b"milk\nbread\nfilm for the old camera\n"


def _picture(seed: int, size: tuple[int, int] = _WIDE) -> Image.Image:
    return Image.fromarray(scene(*size, seed))


def _scene_as(format_name: str, seed: int, size: tuple[int, int] = _WIDE, **options: int | str | Image.Exif) -> bytes:
    return _encoded(_picture(seed, size), format_name, **options)


def _heic(seed: int) -> bytes:
    buffer = io.BytesIO()
    pillow_heif.from_pillow(_picture(seed, (640, 480))).save(buffer, quality=60)
    return buffer.getvalue()


def _cmyk() -> bytes:
    return _encoded(_picture(461).convert("CMYK"), "TIFF", compression="tiff_lzw")


def _deep_grey() -> bytes:
    return _encoded(Image.fromarray(scene(*_WIDE, 462)[:, :, 1].astype(np.uint16) * 257), "PNG", compress_level=1)


def _cut_out() -> bytes:
    """Return a picture that fades into transparency at its left and right edge."""
    pixels = scene(*_WIDE, 463)
    height, width, _ = pixels.shape
    fade = np.sin(np.linspace(0, np.pi, width)) * 255
    alpha = np.broadcast_to(fade.astype(np.uint8)[None, :, None], (height, width, 1))
    return _encoded(Image.fromarray(np.concatenate([pixels, alpha], axis=2)), "PNG", compress_level=1)


def _jpeg(
    seed: int, size: tuple[int, int] = _WIDE, *, orientation: int = 1, position: tuple[float, float] | None = None
) -> bytes:
    image = _picture(seed, size)
    if orientation in _TURNS_TO_STORE:
        image = image.transpose(_TURNS_TO_STORE[orientation])
    return _encoded(image, "JPEG", quality=88, exif=_exif(seed, orientation, position))


def _exif(seed: int, orientation: int, position: tuple[float, float] | None) -> Image.Exif:
    make, model, lens, focal_length = _CAMERAS[seed % len(_CAMERAS)]
    exif = Image.Exif()
    exif[_MAKE], exif[_MODEL], exif[_ORIENTATION] = make, model, orientation
    exif[_CAMERA] = {
        _EXPOSURE_TIME: IFDRational(1, 60 * (1 + seed % 7)),
        _F_NUMBER: IFDRational(18 + 4 * (seed % 6), 10),
        _ISO: 100 * 2 ** (seed % 5),
        _TAKEN: f"2023:{seed % 12 + 1:02}:{seed % 28 + 1:02} {seed % 12 + 8:02}:{seed % 60:02}:00",
        _OFFSET: "+02:00",
        _FOCAL_LENGTH: IFDRational(focal_length),
        _LENS: lens,
    }
    if position is not None:
        latitude, longitude = position
        exif[_GPS] = {
            1: "N" if latitude >= 0 else "S",
            2: _degrees(latitude),
            3: "E" if longitude >= 0 else "W",
            4: _degrees(longitude),
        }
    return exif


def _degrees(value: float) -> tuple[IFDRational, IFDRational, IFDRational]:
    """Degrees, minutes and hundredths of seconds, as EXIF keeps them."""
    minutes, hundredths = divmod(round(abs(value) * 360_000), 6_000)
    return IFDRational(minutes // 60), IFDRational(minutes % 60), IFDRational(hundredths, 100)


def _encoded(image: Image.Image, format_name: str, **options: int | str | Image.Exif) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_name, **options)
    return buffer.getvalue()
