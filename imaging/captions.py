"""What people wrote about a picture: XMP and IPTC titles, descriptions and keywords.

XMP comes from strangers. Entities are refused before parsing, so that a packet cannot grow while it is read.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from xml.etree import ElementTree

from PIL import Image, IptcImagePlugin

from imaging import exif

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_DATES = (
    "{http://ns.adobe.com/exif/1.0/}DateTimeOriginal",
    "{http://ns.adobe.com/photoshop/1.0/}DateCreated",
)
_LENSES = ("{http://cipa.jp/exif/1.0/}LensModel", "{http://ns.adobe.com/exif/1.0/aux/}Lens")
# IPTC IIM 4.2, record 2.
_IPTC_TITLE, _IPTC_KEYWORD, _IPTC_DESCRIPTION = (2, 5), (2, 25), (2, 120)

_MAX_PACKET = 1 << 20
_MAX_TAGS = 100
_MAX_TAG = 200


@dataclass(frozen=True, slots=True)
class Captions:
    """Texts about a picture; `taken_at` in ISO 8601."""

    title: str | None = None
    description: str | None = None
    tags: tuple[str, ...] = ()
    taken_at: str | None = None
    lens: str | None = None


def of_picture(image: Image.Image) -> Captions:
    """Read what is written in a picture that Pillow opened; XMP before IPTC."""
    xmp = parse_xmp(image.info.get("xmp"))
    iptc = _iptc(image)
    return Captions(
        title=xmp.title or iptc.title,
        description=xmp.description or iptc.description,
        tags=_distinct((*xmp.tags, *iptc.tags)),
        taken_at=xmp.taken_at,
        lens=xmp.lens,
    )


def parse_xmp(packet: object) -> Captions:
    """Read an XMP packet; empty when it is missing, too large, malformed or declares entities."""
    if isinstance(packet, bytes):
        packet = packet[: _MAX_PACKET + 1].decode("utf-8", "replace")
    if not isinstance(packet, str) or len(packet) > _MAX_PACKET or "<!DOCTYPE" in packet or "<!ENTITY" in packet:
        return Captions()
    try:
        root = ElementTree.fromstring(packet.strip("\0 \r\n\t\ufeff"))  # noqa: S314 - no entities, bounded length
    except (ElementTree.ParseError, ValueError):
        return Captions()
    return Captions(
        title=_first(_items(root, _DC + "title")),
        description=_first(_items(root, _DC + "description")),
        tags=_distinct(_items(root, _DC + "subject")),
        taken_at=_first(exif.iso_8601(date) for name in _DATES for date in _properties(root, name)),
        lens=_first(exif.text(lens) for name in _LENSES for lens in _properties(root, name)),
    )


def _items(root: ElementTree.Element, name: str) -> list[str | None]:
    """Members of an XMP array: `<name><rdf:Bag><rdf:li>…`."""
    return [exif.text(item.text) for element in root.iter(name) for item in element.iter(_RDF + "li")]


def _properties(root: ElementTree.Element, name: str) -> list[str | None]:
    """Values of a simple property, which XMP writes as an attribute or as an element."""
    attributes = [element.get(name) for element in root.iter(_RDF + "Description")]
    return attributes + [element.text for element in root.iter(name)]


def _iptc(image: Image.Image) -> Captions:
    # Pillow's reader raises many types on hostile bytes; captions never fail a picture.
    with suppress(Exception):
        found = IptcImagePlugin.getiptcinfo(image) or {}  # type: ignore[arg-type]  # other formats give None

        def texts(key: tuple[int, int]) -> list[str | None]:
            value = found.get(key, [])
            return [exif.text(part) for part in (value if isinstance(value, list) else [value])]

        return Captions(
            title=_first(texts(_IPTC_TITLE)),
            description=_first(texts(_IPTC_DESCRIPTION)),
            tags=_distinct(texts(_IPTC_KEYWORD)),
        )
    return Captions()


def _first(values: Iterable[str | None]) -> str | None:
    return next((value for value in values if value), None)


def _distinct(values: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value[:_MAX_TAG] for value in values if value))[:_MAX_TAGS]
