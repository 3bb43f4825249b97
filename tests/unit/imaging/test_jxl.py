"""JPEG XL shows its colours, however it states them, upright, with its metadata; or fails in words."""

import io
import subprocess
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from core.errors import ContentError
from imaging import jxl
from imaging.thumbnails import upright
from tests.unit.imaging.preparing import decoded, prepared
from tests.unit.imaging.test_pixels import near
from tests.unit.imaging.test_stated_colours import ADOBE, P3, STORED, hlg, of, pq
from tests.unit.imaging.test_tiff import SOFT, agree, expected, patches, shown
from tests.unit.imaging.tiffs import SIDE, chart


def encoded(samples: NDArray[Any], **options: Any) -> bytes:
    return bytes(imagecodecs.jpegxl_encode(samples, **options))


def box(kind: bytes, content: bytes) -> bytes:
    return (len(content) + 8).to_bytes(4, "big") + kind + content


def contained(stream: bytes, *boxes: bytes, parts: int = 1) -> bytes:
    """Lay a code stream into a container, maybe in parts."""
    start = box(b"JXL ", b"\r\n\x87\n") + box(b"ftyp", b"jxl \0\0\0\0jxl ") + b"".join(boxes)
    if parts == 1:
        return start + box(b"jxlc", stream)
    size = len(stream) // parts
    cuts = [stream[one * size : (one + 1) * size if one < parts - 1 else None] for one in range(parts)]
    last = 1 << 31
    numbered = [(one | last * (one == parts - 1)).to_bytes(4, "big") + cut for one, cut in enumerate(cuts)]
    return start + b"".join(box(b"jxlp", cut) for cut in numbered)


def lossless(pixels: NDArray[np.uint8]) -> bytes:
    """Return a bare code stream of 8 bits."""
    content = encoded(pixels, lossless=True, usecontainer=False)
    assert content.startswith(b"\xff\x0a")
    return content


def _number(value: int, bits: int) -> str:
    return format(value, f"0{bits}b")[::-1] if bits else ""


def _name(value: int) -> str:
    """Write `Enum()`."""
    return (
        _number(value, 2)
        if value < 2
        else "01" + _number(value - 2, 4)
        if value < 18
        else "11" + _number(value - 18, 6)
    )


def rgb(primaries: str, transfer: str, white: str = _name(1)) -> str:
    """Write a ColourEncoding of names: neither default nor by ICC, RGB, and a rendering intent."""
    return "00" + _name(0) + white + primaries + transfer + _name(1)


def named(transfer: int) -> str:
    return "0" + _name(transfer)


def _custom(*points: tuple[float, float]) -> str:
    written = ""
    for number in (round(one * 1_000_000) for point in points for one in point):
        packed = 2 * number if number >= 0 else -2 * number - 1
        ways = ((0, 19), (524_288, 19), (1_048_576, 20), (2_097_152, 21))
        way = max(one for one in range(4) if ways[one][0] <= packed)
        written += _number(way, 2) + _number(packed - ways[way][0], ways[way][1])
    return _name(2) + written


def with_header(stream: bytes, *, orientation: int = 1, colours: str = "1") -> bytes:
    """Write another orientation and other colours into the header of a lossless stream: pixels stay as they are."""
    bits = jxl._Bits(stream[2:])
    jxl._size(bits)
    size = bits.position
    assert (bits.flag(), bits.flag()) == (False, False)
    jxl._depth(bits)
    bits.flag()
    list(jxl._extra_channels(bits))
    assert not bits.flag()
    middle = bits.position
    jxl._colours(bits)
    bits.name()
    end = -(-(bits.position + 3) // 8)
    whole = "".join(_number(byte, 8) for byte in stream[2:])
    is_turned = orientation != 1
    further = f"1{_number(orientation - 1, 3)}000" if is_turned else "0"
    header = whole[:size] + "0" + further + whole[size + 2 : middle] + colours + "1" * is_turned + "001"
    header += "0" * (-len(header) % 8)
    packed = bytes(int(header[at : at + 8][::-1], 2) for at in range(0, len(header), 8))
    return stream[:2] + packed + stream[2 + end :]


@pytest.mark.parametrize("is_lossless", [True, False], ids=["lossless", "lossy"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("bits", [8, 10, 12, 16, 32])
def test_pixels(bits: int, channels: int, is_lossless: bool, tmp_path: Path) -> None:
    """Beyond 8 bits the encoder states linear light."""
    values = chart(channels)
    count = channels - (channels % 2 == 0)
    stored = values * 0.5 + 0.25 if not is_lossless else values.copy()
    wanted = stored[..., :count].copy()
    if bits > 8:
        stored[..., :count] = np.where(wanted <= 0.04045, wanted / 12.92, ((wanted + 0.055) / 1.055) ** 2.4)
    if channels % 2 == 0:
        wanted = wanted * stored[..., count:] + 1 - stored[..., count:]
    samples: NDArray[Any] = stored.astype(np.float32)
    if bits < 32:
        samples = np.round(stored * ((1 << bits) - 1)).astype(np.uint8 if bits == 8 else np.uint16)
    samples = samples[..., 0] if channels == 1 else samples
    options = {"lossless": True} if is_lossless else {"distance": 0.3}
    content = encoded(samples, **options, bitspersample=bits)
    agree(shown(content, tmp_path), expected(wanted), within=7 if is_lossless else 14)
    known = prepared(tmp_path / "a.tif").metadata
    assert (known.format, known.width, known.height, known.orientation) == ("JXL", SIDE, SIDE, 1)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_is_turned_once(orientation: int, tmp_path: Path) -> None:
    """By its header, whatever EXIF says: the standard has it so."""
    pixels = np.round(SOFT * 255).astype(np.uint8)[:, :64]
    exif = Image.Exif()
    exif[274] = 6
    block = b"\0\0\0\0" + exif.tobytes().removeprefix(b"Exif\0\0")
    stream = with_header(lossless(pixels), orientation=orientation)
    path = tmp_path / "a"
    path.write_bytes(contained(stream, box(b"Exif", block)))
    result = prepared(path)
    wanted = np.asarray(upright(Image.fromarray(pixels), orientation)).astype(int)
    found = np.asarray(decoded(result.rendition)).astype(int)
    assert found.shape == wanted.shape
    assert np.abs(found - wanted)[8::32, 8::32].max() < 7
    assert (result.metadata.width, result.metadata.height) == (wanted.shape[1], wanted.shape[0])
    assert result.metadata.orientation == orientation


_ADOBE_PRIMARIES = _custom((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
_GAMMA = "1" + _number(round(10_000_000 / (563 / 256)), 24)
COLOURS = [
    pytest.param("1", STORED, id="sRGB"),
    pytest.param(rgb(_name(1), named(13)), STORED, id="sRGB by names"),
    pytest.param(rgb(_name(1), named(1)), STORED, id="BT.709"),
    pytest.param(rgb(_name(11), named(13)), P3, id="Display P3"),
    pytest.param(rgb(_ADOBE_PRIMARIES, _GAMMA), ADOBE, id="Adobe RGB by numbers"),
    pytest.param(rgb(_ADOBE_PRIMARIES, _GAMMA, _custom((0.3127, 0.329))), ADOBE, id="with its white"),
]


@pytest.mark.parametrize("is_contained", [False, True], ids=["bare", "contained"])
@pytest.mark.parametrize(("colours", "wanted"), COLOURS)
def test_colours(colours: str, wanted: tuple[int, int, int], is_contained: bool, tmp_path: Path) -> None:
    stream = with_header(lossless(np.full((64, 64, 3), STORED, np.uint8)), colours=colours)
    assert near(of(contained(stream) if is_contained else stream, tmp_path), wanted)


@pytest.mark.parametrize("transfer", [16, 18])
def test_hdr_is_tone_mapped(transfer: int, tmp_path: Path) -> None:
    """Paper white of 203 cd/m² is white where nothing is brighter."""
    white = pq(203) if transfer == 16 else hlg((203 / 1000) ** (1 / 1.2))
    stored = np.full((64, 64, 3), round(white * 255), np.uint8)
    stream = with_header(lossless(stored), colours=rgb(_name(9), named(transfer)))
    assert near(of(stream, tmp_path), (255, 255, 255), within=6)


def test_metadata_of_a_container(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[271] = "Maker"
    block = b"\0\0\0\0" + exif.tobytes().removeprefix(b"Exif\0\0")
    packet = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4"/></rdf:RDF></x:xmpmeta>'
    )
    stream = lossless(np.full((64, 64, 3), STORED, np.uint8))
    for boxes in (
        (box(b"Exif", block), box(b"xml ", packet)),
        (
            box(b"brob", b"Exif" + bytes(imagecodecs.brotli_encode(block))),
            box(b"brob", b"xml " + bytes(imagecodecs.brotli_encode(packet))),
        ),
    ):
        for parts in (1, 3):
            (tmp_path / "a").write_bytes(contained(stream, *boxes, parts=parts))
            known = prepared(tmp_path / "a").metadata
            assert (known.camera_make, known.rating) == ("Maker", 4)


def test_of_an_animation_its_first_frame(tmp_path: Path) -> None:
    frames = np.stack([np.full((32, 32, 3), 50, np.uint8), np.full((32, 32, 3), 200, np.uint8)])
    assert near(of(encoded(frames), tmp_path), (50, 50, 50))


@pytest.mark.parametrize(
    "claimed", [b"\xff\x0a", b"\xff\x0a\x7f", b"\xff\x0a" + bytes(60), b"\0\0\0\x0cJXL \r\n\x87\n"]
)
def test_what_ends_too_early_fails_in_words(claimed: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(claimed)
    with pytest.raises(ContentError, match="a is damaged and cannot be decoded"):
        prepared(tmp_path / "a")
    stream = lossless(np.round(SOFT * 255).astype(np.uint8))
    (tmp_path / "a").write_bytes(stream[: len(stream) * 9 // 10])
    with pytest.raises(ContentError, match="a is damaged and cannot be decoded: it ends before the picture does"):
        prepared(tmp_path / "a")


def test_one_that_claims_to_be_huge_is_refused_from_its_header(tmp_path: Path) -> None:
    size = "0" + "11" + _number((1 << 29) - 1, 30) + _number(1, 3)
    header = (size + "1").ljust(48, "0")
    (tmp_path / "a").write_bytes(
        b"\xff\x0a" + bytes(int(header[at : at + 8][::-1], 2) for at in range(0, len(header), 8)) + bytes(99)
    )
    with pytest.raises(ContentError, match="pixels; at most"):
        prepared(tmp_path / "a")


@pytest.mark.system
@pytest.mark.parametrize("profile", [None, "P3"], ids=str)
def test_lossy_beside_a_profile(profile: str | None, tmp_path: Path) -> None:
    """As libvips writes it: the decoder gives linear light then. Dark tones stay smooth."""
    primaries = [0.68, 0.32, 1.0, 0.265, 0.69, 1.0, 0.15, 0.06, 1.0]
    made = imagecodecs.cms_profile("rgb", whitepoint=[0.3127, 0.329, 1.0], primaries=primaries, gamma=2.2)
    options: dict[str, Any] = {"icc_profile": bytes(made)} if profile else {}
    values = np.round((chart(3) * 0.2 + 0.02) * 255).astype(np.uint8)
    Image.fromarray(values).save(tmp_path / "a.png", **options)
    subprocess.run(["vips", "jxlsave", tmp_path / "a.png", tmp_path / "a.jxl", "--distance", "0.3"], check=True)
    wanted = patches(np.asarray(decoded(prepared(tmp_path / "a.png").rendition)))
    agree(patches(np.asarray(decoded(prepared(tmp_path / "a.jxl").rendition))), wanted, within=8)


@pytest.mark.system
def test_lossless_beside_a_profile_fails_in_words(tmp_path: Path) -> None:
    made = imagecodecs.cms_profile(
        "rgb", whitepoint=[0.3127, 0.329, 1.0], primaries=[0.5, 0.3, 1, 0.3, 0.6, 1, 0.2, 0.1, 1], gamma=1.7
    )
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), STORED).save(buffer, "PNG", icc_profile=bytes(made))
    (tmp_path / "a.png").write_bytes(buffer.getvalue())
    subprocess.run(["vips", "jxlsave", tmp_path / "a.png", tmp_path / "a.jxl", "--lossless"], check=True)
    with pytest.raises(ContentError, match=r"a\.jxl is a JPEG XL with an ICC profile .* Save it with sRGB"):
        prepared(tmp_path / "a.jxl")
