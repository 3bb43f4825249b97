from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from imaging.captions import Captions, parse_xmp
from tests.photos import photo
from tests.unit.imaging.preparing import prepared

PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:exif="http://ns.adobe.com/exif/1.0/"
    xmlns:aux="http://ns.adobe.com/exif/1.0/aux/" aux:Lens="Lens 50" exif:DateTimeOriginal="2020-01-02T03:04:05+01:00">
   <dc:title><rdf:Alt><rdf:li xml:lang="x-default">Größe</rdf:li></rdf:Alt></dc:title>
   <dc:description><rdf:Alt><rdf:li xml:lang="x-default">At the sea</rdf:li></rdf:Alt></dc:description>
   <dc:subject><rdf:Bag>
    <rdf:li>sea</rdf:li><rdf:li> summer </rdf:li><rdf:li>sea</rdf:li><rdf:li/>
   </rdf:Bag></dc:subject>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""


def test_packet() -> None:
    assert parse_xmp(PACKET.encode() + b"\0\0") == Captions(
        title="Größe",
        description="At the sea",
        tags=("sea", "summer"),
        taken_at="2020-01-02T03:04:05+01:00",
        lens="Lens 50",
    )


@pytest.mark.parametrize(
    "packet",
    [
        None,
        b"",
        b"<x",
        b"\xff\xfe\0\0",
        b"<a><b></a>",
        PACKET[:-300].encode(),
        f"<!DOCTYPE a [<!ENTITY b 'bomb'>]>{PACKET[PACKET.index('<x:') :]}".encode(),
        PACKET.replace("sea", "s" * (1 << 20)).encode(),
    ],
    ids=["missing", "empty", "cut", "binary", "unbalanced", "truncated", "entities", "huge"],
)
def test_packets_that_are_refused(packet: object) -> None:
    assert parse_xmp(packet) == Captions()


def test_many_and_long_tags_are_bounded() -> None:
    items = "".join(f"<rdf:li>{number}{'x' * 500}</rdf:li>" for number in range(500))
    tags = parse_xmp(PACKET.replace("<rdf:li/>", items)).tags
    assert len(tags) == 100
    assert max(map(len, tags)) == 200


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
def test_xmp_is_found_in_every_format(format_name: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    image = Image.new("RGB", (40, 30))
    if format_name == "PNG":
        text = PngInfo()
        text.add_itxt("XML:com.adobe.xmp", PACKET)
        image.save(path, format_name, pnginfo=text)
    elif format_name == "TIFF":
        image.save(path, format_name, tiffinfo={700: PACKET.encode()})
    else:
        image.save(path, format_name, xmp=PACKET.encode())
    known = prepared(path).metadata
    assert (known.title, known.tags, known.lens) == ("Größe", ["sea", "summer"], "Lens 50")
    assert known.taken_at == "2020-01-02T03:04:05+01:00"


def test_iptc_keywords_alone(tmp_path: Path) -> None:
    """The photograph has its keyword in XMP and in IPTC; without the XMP the IPTC one is left."""
    whole = photo("jpg/xmp/no_exif.jpg").read_bytes()
    path = tmp_path / "a.jpg"
    path.write_bytes(whole.replace(b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xxx/1.0/\0"))
    assert prepared(path).metadata.tags == prepared(photo("jpg/xmp/no_exif.jpg")).metadata.tags == ["tag"]
