"""EXIF, IPTC and XMP made by hand, where no library writes them so."""

import struct

Entry = tuple[int, int, int, bytes]
"""Tag, type, number of values, bytes."""


def short(tag: int, *values: int, order: str = "<") -> Entry:
    return tag, 3, len(values), struct.pack(f"{order}{len(values)}H", *values)


def long(tag: int, *values: int, order: str = "<") -> Entry:
    return tag, 4, len(values), struct.pack(f"{order}{len(values)}I", *values)


def ascii_text(tag: int, value: bytes) -> Entry:
    return tag, 2, len(value) + 1, value + b"\0"


def undefined(tag: int, value: bytes) -> Entry:
    return tag, 7, len(value), value


def rational(tag: int, *values: tuple[int, int], order: str = "<") -> Entry:
    flat = [number for value in values for number in value]
    return tag, 5, len(values), struct.pack(f"{order}{len(flat)}I", *flat)


def directory(entries: list[Entry], at: int, order: str = "<") -> bytes:
    """A directory that will lie at the offset `at`, with its values behind it."""
    behind = at + 2 + 12 * len(entries) + 4
    table, values = struct.pack(f"{order}H", len(entries)), b""
    for tag, kind, count, data in sorted(entries):
        if len(data) <= 4:
            slot = data.ljust(4, b"\0")
        else:
            slot = struct.pack(f"{order}I", behind + len(values))
            values += data + b"\0" * (len(data) % 2)
        table += struct.pack(f"{order}HHI", tag, kind, count) + slot
    return table + b"\0\0\0\0" + values


def exif(main: list[Entry], camera: list[Entry] | None = None, order: str = "<") -> bytes:
    """A whole block, as `Image.save` takes it."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    pointer = [*main, long(34665, 0, order=order)] if camera is not None else main
    first = directory(pointer, 8, order)
    if camera is None:
        return b"Exif\0\0" + head + first
    place = 8 + len(first)
    first = directory([*main, long(34665, place, order=order)], 8, order)
    return b"Exif\0\0" + head + first + directory(camera, place, order)


def with_notes(make: bytes, note: bytes, camera: list[Entry] | None = None, order: str = "<") -> bytes:
    """A block with a maker's note, whose offsets do not count from the block's start."""
    return exif([ascii_text(271, make)], [undefined(37500, note), *(camera or [])], order)


def place_of_notes(make: bytes, note: bytes, order: str = "<") -> int:
    """Where the note of `with_notes` lies in its block."""
    return with_notes(make, note, order=order).index(note) - 6


def photoshop(*sets: tuple[int, int, bytes]) -> bytes:
    """IPTC data sets (record, number, value) as the resource of Photoshop that a JPEG has in its APP13 segment."""
    block = b"".join(struct.pack(">BBBH", 0x1C, record, number, len(data)) + data for record, number, data in sets)
    return b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0" + struct.pack(">I", len(block)) + block + b"\0" * (len(block) % 2)


def segment(jpeg: bytes, marker: int, body: bytes) -> bytes:
    """A JPEG with one more segment at its start."""
    return jpeg[:2] + struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body + jpeg[2:]


def with_properties(attributes: str = "", elements: str = "") -> str:
    """A packet of the given properties, with the namespaces that programs use."""
    return f"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
    <rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
    xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" xmlns:lr="http://ns.adobe.com/lightroom/1.0/"
    xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/" xmlns:MicrosoftPhoto="http://ns.microsoft.com/photo/1.0/"
    xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/"
    xmlns:MP="http://ns.microsoft.com/photo/1.2/" xmlns:MPRI="http://ns.microsoft.com/photo/1.2/t/RegionInfo#"
    xmlns:MPReg="http://ns.microsoft.com/photo/1.2/t/Region#"
    xmlns:mwg-kw="http://www.metadataworkinggroup.com/schemas/keywords/"
    xmlns:exifEX="http://cipa.jp/exif/1.0/" xmlns:aux="http://ns.adobe.com/exif/1.0/aux/"
    xmlns:acdsee="http://ns.acdsee.com/iptc/1.0/" xmlns:mediapro="http://ns.iview-multimedia.com/mediapro/1.0/"
    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" {attributes}>{elements}</rdf:Description>
    </rdf:RDF></x:xmpmeta>"""
