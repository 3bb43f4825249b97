"""XMP packets (ISO 16684-1), by the properties that are asked of them.

They come from strangers. Entities are refused before parsing, so that a packet cannot grow while it is read.
"""

import re
import sys
from collections.abc import Iterator
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from imaging import texts

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
# Without the slash at their end, which programs write or not.
_SPACES = {
    "dc": "http://purl.org/dc/elements/1.1",
    "xmp": "http://ns.adobe.com/xap/1.0",
    "tiff": "http://ns.adobe.com/tiff/1.0",
    "exif": "http://ns.adobe.com/exif/1.0",
    "exifEX": "http://cipa.jp/exif/1.0",
    "aux": "http://ns.adobe.com/exif/1.0/aux",
    "photoshop": "http://ns.adobe.com/photoshop/1.0",
    "lr": "http://ns.adobe.com/lightroom/1.0",
    "digiKam": "http://www.digikam.org/ns/1.0",
    "MicrosoftPhoto": "http://ns.microsoft.com/photo/1.0",
    "MP": "http://ns.microsoft.com/photo/1.2",
    "MPReg": "http://ns.microsoft.com/photo/1.2/t/Region#",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions",
    "mwg-kw": "http://www.metadataworkinggroup.com/schemas/keywords",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29",
    "acdsee": "http://ns.acdsee.com/iptc/1.0",
    "mediapro": "http://ns.iview-multimedia.com/mediapro/1.0",
}
_DECLARED = " ".join(
    f'xmlns:{name}="{space}"' for name, space in {**_SPACES, "rdf": _RDF[1:-1], "x": "adobe:ns:meta/"}.items()
)
"""For packets that do not declare what they use."""
MAX_PACKET = 1 << 20
_REFERENCE = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);)(?:#(\d{1,9}|[xX][0-9a-fA-F]{1,8});)?")
_DECLARATION = re.compile(r"""(\bxmlns:[\w.-]+\s*=\s*["'])\s*(http:[^"'\s]+?)/?\s*(?=["'])""")
_PROLOGUE = re.compile(r"^\s*(?:<\?.*?\?>\s*)*", re.DOTALL)
_NOT_XML = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


class Packet:
    """The properties of a packet; none when it is missing, too large, malformed or declares entities."""

    def __init__(self, packet: object) -> None:
        self._nodes = list(_descriptions(packet))

    def text(self, *names: str) -> str | None:
        """Return the first of these properties that has a text; of one in several languages, the default."""
        return next((value for name in names for value in self.items(name)), None)

    def items(self, name: str) -> list[str]:
        """Return the members of an array, or the one value of a simple property."""
        found: list[str | None] = []
        for value in _values(self._nodes, name):
            if isinstance(value, str):
                found.append(value)
                continue
            members = sorted(value.iter(_RDF + "li"), key=lambda member: member.get(_LANGUAGE) != "x-default")
            found += [_simple(member) for member in members] or [_simple(value)]
        return [text for text in map(texts.clean, found) if text]

    def structures(self, name: str) -> Iterator["Structure"]:
        """Go through the members of arrays of structures anywhere within a property."""
        for value in _values(self._nodes, name):
            if not isinstance(value, str):
                for member in value.iter(_RDF + "li"):
                    yield Structure([member, *member.findall(_RDF + "Description")])


def _simple(value: Element) -> str | None:
    """Return the text of a value, which is a level further down where something is said about it (`rdf:value`)."""
    qualified = value.find(_RDF + "value")
    if qualified is None:
        qualified = value.find(f"{_RDF}Description/{_RDF}value")
    return value.text if qualified is None else qualified.text


class Structure(Packet):
    """A member of an array that has properties itself."""

    def __init__(self, nodes: list[Element]) -> None:
        self._nodes = nodes


def _descriptions(packet: object) -> Iterator[Element]:
    """Go through what describes the picture itself, not what is kept of its ancestors and parts further down."""
    if isinstance(packet, bytes):
        packet = _decoded(packet[: MAX_PACKET + 1])
    if not isinstance(packet, str) or len(packet) > MAX_PACKET or "<!DOCTYPE" in packet or "<!ENTITY" in packet:
        return
    end = max(packet.rfind("meta>"), packet.rfind("RDF>"))
    packet = packet[: packet.find(">", end) + 1]  # what follows, programs leave there
    packet = _REFERENCE.sub(_reference, _NOT_XML.sub("", packet)).strip(" \r\n\t\ufeff")
    packet = _DECLARATION.sub(r"\1\2", packet)
    root = _root(packet)
    if root is None:
        root = _root(f"<x {_DECLARED}>{_PROLOGUE.sub('', packet)}</x>")
    for top in [] if root is None else root.iter(_RDF + "RDF"):
        yield from top.findall(_RDF + "Description")


def _root(packet: str) -> Element | None:
    try:
        return ElementTree.fromstring(packet)  # noqa: S314 - no entities, bounded length
    except (ElementTree.ParseError, ValueError):
        return None


def _reference(found: re.Match[str]) -> str:
    """Leave out what stands for no letter of XML, and take for text what is no reference that XML knows."""
    number = found[1]
    if number is None:
        return "&amp;"
    point = int(number[1:], 16) if number[0] in "xX" else int(number)
    is_letter = point < sys.maxunicode and not 0xD800 <= point < 0xE000 and not _NOT_XML.match(chr(point))
    return found[0] if is_letter else ""


def _decoded(packet: bytes) -> str:
    for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if packet.startswith(mark):
            # The declaration, which names the encoding of the bytes, would contradict.
            return re.sub(r"^\s*<\?xml[^>]*\?>", "", packet[2:].decode(encoding, "replace"))
    return texts.decoded(packet)


def _values(nodes: list[Element], name: str) -> Iterator[str | Element]:
    """Go through the values of a property, which XMP writes as an attribute or as an element."""
    prefix, _, local = name.partition(":")
    full = f"{{{_SPACES[prefix]}}}{local}"
    for node in nodes:
        attribute = node.get(full)
        if attribute is not None:
            yield attribute
        yield from node.findall(full)
