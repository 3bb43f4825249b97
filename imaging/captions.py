"""What people and programs wrote about a picture beside EXIF: XMP, IPTC and the texts of PNG."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from PIL import Image

from imaging import dates, exif, iptc, lenses, positions, texts, xmp
from imaging.exif import Exif

_MAX_TAGS = 100
_MAX_TAG = 200
_XMP_NAME, _LONGEST_START = b"://ns.adobe.com/xap/1.0/\0", 8
_XMP_EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
_EXTENSION_HEADER = len(_XMP_EXTENSION) + 32 + 4 + 4
_PHOTOSHOP_TAG = 34377
_NUMBER = re.compile(r"(?:f/?)?\s*(\d+(?:\.\d+)?(?:/\d+(?:\.\d+)?)?)\s*(?:mm|s|sec)?", re.ASCII | re.IGNORECASE)
_LONGEST_NUMBER = 40
_COMMENTED = ("JPEG", "MPO", "GIF")
"""In the comment of a JPEG 2000 stands its encoder."""
_SPEEDS = (
    "exifEX:PhotographicSensitivity",
    "exif:ISOSpeedRatings",
    "exifEX:RecommendedExposureIndex",
    "exifEX:StandardOutputSensitivity",
    "exifEX:ISOSpeed",
)
_STARS_OF_PERCENT = ((12, 1), (37, 2), (62, 3), (87, 4))
"""Windows counts stars in percent, and writes 1, 25, 50, 75 and 99: up to so many percent are so many stars."""


@dataclass(frozen=True, slots=True)
class Captions:
    """What was written; dates in ISO 8601, in the order in which they count; each field as in `Metadata`."""

    title: str | None = None
    description: str | None = None
    comment: str | None = None
    """That of the file, in which programs name themselves too."""
    tags: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    rating: float | None = None
    windows_rating: float | None = None
    """Stars by Windows' percent."""
    label: str | None = None
    original: str | None = None
    digitised: str | None = None
    orientation: int | None = None
    make: str | None = None
    model: str | None = None
    lens: str | None = None
    lens_range: str | None = None
    iso: int | None = None
    aperture: float | None = None
    exposure_time: float | None = None
    focal_length: float | None = None
    position: tuple[float, float] | None = None


def exif_block(image: Image.Image) -> bytes:
    """Return the EXIF block of a picture that Pillow opened; empty when it has none."""
    block = image.info.get("exif") or _raw_profile(image.info, "exif") or _raw_profile(image.info, "APP1")
    return block if isinstance(block, bytes) else b""


def of_picture(image: Image.Image, found: Exif) -> Captions:
    """Read what is written in a picture that Pillow opened, whose EXIF is `found`; XMP before IPTC before PNG."""
    info = image.info
    block = _iptc_of_jpeg(image) or _iptc_of_tiff(found) or info.get("iptc") or _raw_profile(info, "iptc")
    png: dict[str, str | None] = {
        str(name).lower(): _png_text(value) for name, value in info.items() if isinstance(value, str)
    }
    packet = info.get("xmp") or _xmp_of_jpeg(image) or found.main.get(exif.XMP) or _raw_profile(info, "xmp")
    packets = [xmp.Packet(one) for one in (packet, _xmp_extension(image)) if one]
    said = together(packets, iptc.Block(iptc.of_photoshop(block) or block), png)
    return replace(said, comment=texts.file_comment(info.get("comment"))) if image.format in _COMMENTED else said


def of_raw(found: Exif) -> Captions:
    """Read what is written in a RAW file, whose directories are `found`."""
    return together([xmp.Packet(found.main.get(exif.XMP))], iptc.Block(_iptc_of_tiff(found)), {})


def together(packets: list[xmp.Packet], press: iptc.Block, png: dict[str, str | None]) -> Captions:
    """Put together what XMP, IPTC and the texts of PNG say."""
    if not (packets or press or png):
        return Captions()

    def text(*names: str) -> str | None:
        return _first(packet.text(*names) for packet in packets)

    def items(name: str) -> list[str]:
        return [item for packet in packets for item in packet.items(name)]

    return Captions(
        title=_first(map(texts.written, (text("dc:title"), press.title, png.get("title"), text("acdsee:caption")))),
        description=_first(
            map(
                texts.written,
                (
                    text("dc:description"),
                    press.description,
                    png.get("description"),
                    png.get("comment"),
                    text("tiff:ImageDescription"),
                    text("exif:UserComment"),
                    text("acdsee:notes"),
                ),
            )
        ),
        tags=distinct(
            (
                *items("dc:subject"),
                *press.keywords,
                *_levels(items("lr:hierarchicalSubject"), "|"),
                *_levels(items("digiKam:TagsList"), "/"),
                *_levels(items("MicrosoftPhoto:LastKeywordXMP"), "/"),
                *_levels(items("mediapro:CatalogSets"), "|"),
                *items("acdsee:keywords"),
                *(word.text("mwg-kw:Keyword") for packet in packets for word in packet.structures("mwg-kw:Keywords")),
            )
        ),
        people=distinct((*_people(packets), *items("Iptc4xmpExt:PersonInImage"), *items("mediapro:People"))),
        rating=_signed(text("xmp:Rating", "acdsee:rating")),
        windows_rating=stars_of_percent(_signed(text("MicrosoftPhoto:Rating"))),
        label=text("xmp:Label"),
        original=dates.fullest(
            map(dates.iso_8601, (text("exif:DateTimeOriginal"), text("photoshop:DateCreated"), press.created))
        ),
        digitised=_first(
            map(
                dates.iso_8601,
                (
                    text("xmp:CreateDate"),
                    text("exif:DateTimeDigitized"),
                    press.digitised,
                    png.get("creation time"),
                ),
            )
        ),
        orientation=exif.orientation(Exif(main={exif.ORIENTATION: _signed(text("tiff:Orientation"))})),
        make=text("tiff:Make"),
        model=text("tiff:Model"),
        lens=_first(texts.written(text(name)) for name in ("exifEX:LensModel", "aux:Lens", "MicrosoftPhoto:LensModel")),
        lens_range=_range(items("exifEX:LensSpecification") or (text("aux:LensInfo") or "").split()),
        iso=_whole(_number(text(*_SPEEDS))),
        aperture=_number(text("exif:FNumber")) or exif.power_of_two(_apex(text("exif:ApertureValue")), 0.5),
        exposure_time=(
            _number(text("exif:ExposureTime")) or exif.power_of_two(_apex(text("exif:ShutterSpeedValue")), -1.0)
        ),
        focal_length=_number(text("exif:FocalLength")),
        position=positions.of(positions.read(text("exif:GPSLatitude")), positions.read(text("exif:GPSLongitude"))),
    )


def _people(packets: list[xmp.Packet]) -> Iterable[str | None]:
    """Names of the faces that were marked: by the Metadata Working Group, and by Microsoft; and of IPTC's persons."""
    for packet in packets:
        for region in packet.structures("mwg-rs:Regions"):
            if (region.text("mwg-rs:Type") or "face").lower() == "face":
                yield region.text("mwg-rs:Name")
        for region in packet.structures("MP:RegionInfo"):
            yield region.text("MPReg:PersonDisplayName")
        for person in packet.structures("Iptc4xmpExt:PersonInImageWDetails"):
            yield person.text("Iptc4xmpExt:PersonName")


def _levels(paths: list[str], separator: str) -> Iterable[str]:
    """Return each tag of a tree as it was written, and each of its levels: a picture of Paris is one of France."""
    for path in paths:
        yield path
        yield from (level.strip() for level in path.split(separator))


def stars_of_percent(percent: float | None) -> float | None:
    """Return Windows' percent as stars; None for 0, which cameras write whose pictures nobody has rated."""
    if percent is None or not 0 < percent <= 100:
        return None
    return float(next((stars for most, stars in _STARS_OF_PERCENT if percent <= most), 5))


def _signed(text: str | None) -> float | None:
    try:
        return exif.number(float(text)) if text else None
    except ValueError:
        return None


def _number(text: str | None) -> float | None:
    """Read a number above zero, which XMP writes as `28/10` or `2.8`, and people as `f/2.8` or `50 mm`."""
    found = _NUMBER.fullmatch(text[:_LONGEST_NUMBER]) if text else None
    return exif.positive(_fraction(found[1])) if found else None


def _apex(text: str | None) -> float | None:
    return exif.number(_fraction(text)) if text and len(text) < _LONGEST_NUMBER else None


def _range(parts: list[str]) -> str | None:
    return lenses.range_text([exif.number(_fraction(part)) or 0.0 for part in parts[:4]])


def _fraction(text: str) -> float | None:
    above, _, below = text.partition("/")
    try:
        return float(above) / float(below or 1)
    except (ValueError, ZeroDivisionError):
        return None


def _whole(found: float | None) -> int | None:
    return round(found) if found is not None and 1 <= found < 10_000_000 else None


def _xmp_of_jpeg(image: Image.Image) -> bytes:
    r"""Return a packet whose segment a program has named in another way (`XMP\0://ns.adobe.com/xap/1.0/\0`)."""
    segments = (body.partition(_XMP_NAME) for name, body in getattr(image, "applist", ()) if name == "APP1")
    return next((packet for before, name, packet in segments if name and len(before) < _LONGEST_START), b"")


def _xmp_extension(image: Image.Image) -> bytes:
    """Return the part of a packet that did not fit into one segment of a JPEG."""
    segments = [body for name, body in getattr(image, "applist", ()) if name == "APP1"]
    parts = [body for body in segments if body.startswith(_XMP_EXTENSION)]
    whole = sorted((int.from_bytes(part[_EXTENSION_HEADER - 4 : _EXTENSION_HEADER]), part) for part in parts)
    return b"".join(part[_EXTENSION_HEADER:] for _, part in whole)[: xmp.MAX_PACKET + 1]


def _iptc_of_jpeg(image: Image.Image) -> bytes:
    """Return the resources of Photoshop, which may be spread over several segments."""
    segments = [body for name, body in getattr(image, "applist", ()) if name == "APP13"]
    return b"".join(body.removeprefix(b"Photoshop 3.0\0") for body in segments if body.startswith(b"Photoshop 3.0\0"))


def _iptc_of_tiff(found: Exif) -> bytes:
    block, resources = found.main.get(exif.IPTC), found.main.get(_PHOTOSHOP_TAG)
    if isinstance(block, bytes) and block:
        return block
    return iptc.of_photoshop(resources) if isinstance(resources, bytes) else b""


def _raw_profile(info: dict[str | tuple[int, int], object], name: str) -> bytes:
    """Return a block that ImageMagick wrote into a PNG as text: its name, its length, and hexadecimal digits."""
    text = info.get(f"Raw profile type {name}")
    return raw_profile(text) if isinstance(text, str) else b""


def raw_profile(text: str) -> bytes:
    """Return the bytes of a raw profile; empty when it is none."""
    _, _, behind = text.lstrip().partition("\n")  # its name may be of several words
    digits = "".join(behind.split()[1:])
    try:
        return bytes.fromhex(digits)
    except ValueError:
        return b""


def _png_text(value: str) -> str:
    """Return a text of a PNG: Latin-1 by the standard, and often UTF-8."""
    try:
        return value[: 8 * texts.MAX_TEXT].encode("latin-1").decode("utf-8")
    except UnicodeError:
        return value


def _first(values: Iterable[str | None]) -> str | None:
    return next((value for value in values if value), None)


def distinct(values: Iterable[str | None]) -> tuple[str, ...]:
    """Return the texts, each once, bounded in number and length."""
    found = map(texts.clean, values)
    return tuple(dict.fromkeys(value[:_MAX_TAG].rstrip() for value in found if value))[:_MAX_TAGS]
