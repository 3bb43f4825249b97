from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from imaging.captions import Captions, together
from imaging.iptc import Block
from imaging.xmp import Packet
from tests.photos import photo
from tests.unit.imaging.blocks import with_properties
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


def said(packet: object) -> Captions:
    return together([Packet(packet)], Block(b""), {})


def test_packet() -> None:
    assert said(PACKET.encode() + b"\0\0") == Captions(
        title="Größe",
        description="At the sea",
        tags=("sea", "summer"),
        original="2020-01-02T03:04:05+01:00",
        lens="Lens 50",
    )


def test_nothing_is_what_an_empty_packet_says() -> None:
    assert together([], Block(b""), {}) == said(b"") == Captions()


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_packets_in_utf_16(encoding: str) -> None:
    packet = f"\ufeff<?xml version='1.0' encoding='UTF-16'?>{PACKET[PACKET.index('<x:') :]}"
    assert said(packet.encode(encoding)).title == "Größe"


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
        b"<a>" * 300_000,
        b"<a>" * 80_000 + b"</a>" * 80_000,
    ],
    ids=["missing", "empty", "cut", "binary", "unbalanced", "truncated", "entities", "huge", "open", "deep"],
)
def test_packets_that_are_refused(packet: object) -> None:
    assert said(packet) == Captions()


def test_values_of_which_more_is_said() -> None:
    """A value with qualifiers lies a level further down."""
    found = said(
        with_properties(
            elements='<xmp:Rating rdf:parseType="Resource"><rdf:value>4</rdf:value></xmp:Rating><dc:subject><rdf:Bag>'
            '<rdf:li rdf:parseType="Resource"><rdf:value>sea</rdf:value><dc:source>me</dc:source></rdf:li>'
            "<rdf:li><rdf:Description><rdf:value>sky</rdf:value></rdf:Description></rdf:li></rdf:Bag></dc:subject>"
        )
    )
    assert (found.rating, found.tags) == (4, ("sea", "sky"))


def test_what_lies_behind_a_packet_does_not_count() -> None:
    packet = with_properties('xmp:Rating="4"')
    assert said(packet + "left of an older packet: /></a>").rating == 4
    assert said(f"{packet}\n  <?xpacket end='w'?>\0\0").rating == 4


@pytest.mark.parametrize(
    ("packet", "wanted"),
    [
        (with_properties('xmp:Label="Red"').replace("xmpmeta", "xapmeta"), "Red"),
        (with_properties('xmp:Label="Red"').replace('xmlns:xmp="http://ns.adobe.com/xap/1.0/"', ""), "Red"),
        (with_properties('xmp:Label="Red"').replace('xap/1.0/"', 'xap/1.0"'), "Red"),
        (with_properties('xmp:Label="Red"').replace('xap/1.0/"', 'xap/1.0/ "'), "Red"),
        (with_properties('xmp:Label="Red & blue"'), "Red & blue"),
        (with_properties('xmp:Label="Red &amp; &lt;blue&gt;"'), "Red & <blue>"),
        (with_properties('xmp:Label="caf&eacute; &#233; &#xe9;"'), "caf&eacute; é é"),
        (with_properties('xmp:Label="a&#1;b&#x0;c&#xD800;d&#99999999;e"'), "abcde"),
        (with_properties('xmp:Label="Größe"').encode("latin-1"), "Größe"),
        (with_properties('xmp:Label="Red"').replace("<rdf:RDF", "<!-- > --><rdf:RDF"), "Red"),
    ],
    ids=[
        "old name",
        "undeclared",
        "no slash",
        "space",
        "ampersand",
        "escaped",
        "references",
        "no letters",
        "latin-1",
        "comment",
    ],
)
def test_packets_that_are_nearly_xml(packet: str | bytes, wanted: str) -> None:
    assert said(packet).label == wanted


def test_many_and_long_tags_are_bounded() -> None:
    items = "".join(f"<rdf:li>{number}{'x' * 500}</rdf:li>" for number in range(500))
    tags = said(PACKET.replace("<rdf:li/>", items)).tags
    assert len(tags) == 100
    assert max(map(len, tags)) == 200


@pytest.mark.parametrize(
    ("attributes", "wanted"),
    [
        ('xmp:Rating="4"', 4),
        ('xmp:Rating="-1"', -1),
        ('xmp:Rating="3.5"', 3.5),
        ('xmp:Rating="5" MicrosoftPhoto:Rating="25"', 5),
        ('acdsee:rating="2"', 2),
        ('xmp:Rating="5" acdsee:rating="2"', 5),
        ('xmp:Rating="nan"', None),
        ('xmp:Rating="many"', None),
    ],
)
def test_ratings(attributes: str, wanted: float | None) -> None:
    assert said(with_properties(attributes)).rating == wanted


@pytest.mark.parametrize(
    ("percent", "wanted"),
    [("1", 1), ("25", 2), ("50", 3), ("75", 4), ("99", 5), ("0", None), ("-1", None), ("65535", None)],
)
def test_windows_ratings(percent: str, wanted: float | None) -> None:
    assert said(with_properties(f'MicrosoftPhoto:Rating="{percent}"')).windows_rating == wanted


@pytest.mark.parametrize(
    ("attributes", "original", "digitised"),
    [
        ('photoshop:DateCreated="2004"', "2004", None),
        ('photoshop:DateCreated="2004-06"', "2004-06", None),
        ('xmp:CreateDate="2004-06-05T10:07:05.25+02:00"', None, "2004-06-05T10:07:05.25+02:00"),
        ('exif:DateTimeDigitized="2004-06-05"', None, "2004-06-05"),
        ('exif:DateTimeOriginal="2003" photoshop:DateCreated="2004" xmp:CreateDate="2005"', "2003", "2005"),
        ('photoshop:DateCreated="soon" xmp:CreateDate="2005"', None, "2005"),
    ],
)
def test_dates(attributes: str, original: str | None, digitised: str | None) -> None:
    found = said(with_properties(attributes))
    assert (found.original, found.digitised) == (original, digitised)


@pytest.mark.parametrize(
    ("latitude", "longitude", "wanted"),
    [
        ("48,51.5N", "2,21.05E", (48.858333, 2.350833)),
        ("33,30,36S", "70,0,0W", (-33.51, -70.0)),
        ("48,51,30n", "2.5w", (48.858333, -2.5)),
        ("-33.51", "+70.25", (-33.51, 70.25)),
        ("48 51 30 N", "2 21 0 W", (48.858333, -2.35)),
        ("48\u00b0 51' 30&quot; N", "2\u00b021\u20320\u2033W", (48.858333, -2.35)),
        ("S48,51.5", "E2,21", (-48.858333, 2.35)),
        ("48:51:30", "2d21m0W", (48.858333, -2.35)),
        ("48.86S", "002.35W", (-48.86, -2.35)),
        ("0,0.0N", "0,0.0E", None),
        ("-91.5", "2.0", None),
        ("91,0N", "2,0E", None),
        ("48,51.5N", "", None),
        ("north", "east", None),
    ],
)
def test_positions(latitude: str, longitude: str, wanted: tuple[float, float] | None) -> None:
    found = said(with_properties(f'exif:GPSLatitude="{latitude}" exif:GPSLongitude="{longitude}"')).position
    assert found == (None if wanted is None else pytest.approx(wanted, abs=1e-6))


def test_exposure() -> None:
    found = said(
        with_properties(
            'exif:FNumber="28/10" exif:ExposureTime="1/250" exif:FocalLength="50/0" tiff:Make="Canon"',
            "<exif:ISOSpeedRatings><rdf:Seq><rdf:li>400</rdf:li></rdf:Seq></exif:ISOSpeedRatings>",
        )
    )
    assert (found.aperture, found.exposure_time, found.focal_length, found.iso, found.make) == (
        2.8,
        0.004,
        None,
        400,
        "Canon",
    )


@pytest.mark.parametrize(
    ("attributes", "elements", "field", "wanted"),
    [
        ('exif:ApertureValue="4/1"', "", "aperture", 4.0),
        ('exif:FNumber="28/10" exif:ApertureValue="4/1"', "", "aperture", 2.8),
        ('exif:FNumber="f/5.6"', "", "aperture", 5.6),
        ('exif:ApertureValue="1/0"', "", "aperture", None),
        ('exif:ShutterSpeedValue="3/1"', "", "exposure_time", 0.125),
        ('exif:ShutterSpeedValue="-2"', "", "exposure_time", 4.0),
        ('exif:ExposureTime="0.004 s"', "", "exposure_time", 0.004),
        ('exif:FocalLength="50 mm"', "", "focal_length", 50.0),
        ('exifEX:PhotographicSensitivity="400"', "", "iso", 400),
        ('exifEX:RecommendedExposureIndex="800"', "", "iso", 800),
        ('exifEX:ISOSpeed="1600"', "", "iso", 1600),
        ('MicrosoftPhoto:LensModel="EF 50"', "", "lens", "EF 50"),
        ('exifEX:LensModel="----" aux:Lens="EF 50"', "", "lens", "EF 50"),
        ('tiff:ImageDescription="SONY DSC" acdsee:notes="At the sea"', "", "description", "At the sea"),
        ('tiff:Orientation="6"', "", "orientation", 6),
        ('tiff:Orientation="9"', "", "orientation", None),
        ('aux:LensInfo="18/1 55/1 35/10 56/10"', "", "lens_range", "18-55mm f/3.5-5.6"),
        ('aux:LensInfo="18/1 55/1 0/0 0/0"', "", "lens_range", "18-55mm"),
        (
            "",
            "<exifEX:LensSpecification><rdf:Seq><rdf:li>50</rdf:li><rdf:li>50/1</rdf:li><rdf:li>18/10</rdf:li>"
            "<rdf:li>18/10</rdf:li></rdf:Seq></exifEX:LensSpecification>",
            "lens_range",
            "50mm f/1.8",
        ),
        ("", "<tiff:ImageDescription>At the sea</tiff:ImageDescription>", "description", "At the sea"),
        ("", "<exif:UserComment>At the sea</exif:UserComment>", "description", "At the sea"),
        ('acdsee:caption="Sea" acdsee:notes="At the sea"', "", "title", "Sea"),
        ('acdsee:caption="Sea" acdsee:notes="At the sea"', "", "description", "At the sea"),
        ("", "<acdsee:keywords><rdf:Bag><rdf:li>sea</rdf:li></rdf:Bag></acdsee:keywords>", "tags", ("sea",)),
        (
            "",
            "<mediapro:CatalogSets><rdf:Bag><rdf:li>Places|Rome</rdf:li></rdf:Bag></mediapro:CatalogSets>",
            "tags",
            ("Places|Rome", "Places", "Rome"),
        ),
        (
            "",
            "<MicrosoftPhoto:LastKeywordXMP><rdf:Bag><rdf:li>Places/Rome</rdf:li></rdf:Bag>"
            "</MicrosoftPhoto:LastKeywordXMP>",
            "tags",
            ("Places/Rome", "Places", "Rome"),
        ),
        (
            "",
            '<mwg-kw:Keywords rdf:parseType="Resource"><mwg-kw:Hierarchy><rdf:Bag><rdf:li rdf:parseType="Resource">'
            "<mwg-kw:Keyword>Places</mwg-kw:Keyword><mwg-kw:Children><rdf:Bag><rdf:li>"
            "<rdf:Description mwg-kw:Keyword='Rome'/></rdf:li></rdf:Bag></mwg-kw:Children></rdf:li></rdf:Bag>"
            "</mwg-kw:Hierarchy></mwg-kw:Keywords>",
            "tags",
            ("Places", "Rome"),
        ),
        ("", "<mediapro:People><rdf:Bag><rdf:li>Ann</rdf:li></rdf:Bag></mediapro:People>", "people", ("Ann",)),
        (
            "",
            '<Iptc4xmpExt:PersonInImageWDetails><rdf:Bag><rdf:li rdf:parseType="Resource"><Iptc4xmpExt:PersonName>'
            '<rdf:Alt><rdf:li xml:lang="x-default">Ann</rdf:li></rdf:Alt></Iptc4xmpExt:PersonName></rdf:li></rdf:Bag>'
            "</Iptc4xmpExt:PersonInImageWDetails>",
            "people",
            ("Ann",),
        ),
    ],
)
def test_places_that_single_programs_use(attributes: str, elements: str, field: str, wanted: object) -> None:
    found = getattr(said(with_properties(attributes, elements)), field)
    assert found == (pytest.approx(wanted) if isinstance(wanted, float) else wanted)


def test_trees_of_tags_are_found_by_each_level() -> None:
    tree = "<lr:hierarchicalSubject><rdf:Bag><rdf:li>Places|France|Paris</rdf:li></rdf:Bag></lr:hierarchicalSubject>"
    assert said(with_properties(elements=tree)).tags == ("Places|France|Paris", "Places", "France", "Paris")


def test_people() -> None:
    """By the Metadata Working Group, whose regions may be of something else; by Microsoft; and by IPTC."""
    elements = """
    <mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:RegionList><rdf:Bag>
      <rdf:li><rdf:Description mwg-rs:Name="Ann" mwg-rs:Type="face"/></rdf:li>
      <rdf:li rdf:parseType="Resource"><mwg-rs:Name>Bob</mwg-rs:Name><mwg-rs:Type>Face</mwg-rs:Type></rdf:li>
      <rdf:li><rdf:Description mwg-rs:Name="Rex" mwg-rs:Type="Pet"/></rdf:li>
      <rdf:li><rdf:Description mwg-rs:Type="Face"/></rdf:li>
    </rdf:Bag></mwg-rs:RegionList></mwg-rs:Regions>
    <MP:RegionInfo><rdf:Description><MPRI:Regions><rdf:Bag>
      <rdf:li MPReg:PersonDisplayName="Ann"/><rdf:li MPReg:PersonDisplayName="Zoë"/>
    </rdf:Bag></MPRI:Regions></rdf:Description></MP:RegionInfo>
    <Iptc4xmpExt:PersonInImage><rdf:Bag><rdf:li>Carl</rdf:li></rdf:Bag></Iptc4xmpExt:PersonInImage>"""
    assert said(with_properties(elements=elements)).people == ("Ann", "Bob", "Zoë", "Carl")


def test_what_is_kept_of_ancestors_is_not_of_this_picture() -> None:
    pantry = """<xmpMM:Pantry><rdf:Bag><rdf:li><rdf:Description><dc:title><rdf:Alt>
      <rdf:li xml:lang="x-default">Another</rdf:li></rdf:Alt></dc:title></rdf:Description></rdf:li></rdf:Bag>
      </xmpMM:Pantry>"""
    assert said(with_properties(elements=pantry)).title is None


def test_of_several_languages_the_default_counts() -> None:
    title = """<dc:title><rdf:Alt><rdf:li xml:lang="de">Haus</rdf:li><rdf:li xml:lang="x-default">House</rdf:li>
      </rdf:Alt></dc:title>"""
    assert said(with_properties(elements=title)).title == "House"


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
