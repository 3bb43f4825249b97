"""Every thumbnail and rendition is sRGB, whatever way the file states its colours.

Expected values come from the definitions of the spaces, computed here on their own, or from an ICC profile of them.
"""

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from cli.samples.dng import encode_dng
from tests.unit.imaging import tiffs
from tests.unit.imaging.pngs import chunk, png
from tests.unit.imaging.preparing import colour, decoded, prepared
from tests.unit.imaging.test_pixels import near

Colour = tuple[int, int, int]
STORED: Colour = (200, 100, 60)
ADOBE: Colour = (227, 100, 56)
"""What (200, 100, 60) in Adobe RGB is in sRGB, by Adobe RGB (1998), 4.3."""
P3: Colour = (215, 95, 52)
"""What it is in Display P3, by CSS Color 4."""


def of(content: bytes, tmp_path: Path, name: str = "a") -> Colour:
    path = tmp_path / name
    path.write_bytes(content)
    result = prepared(path)
    found = colour(decoded(result.rendition), 0.5, 0.5)
    assert near(colour(decoded(result.thumbnail), 0.5, 0.5), found)
    return found


def saved(format_name: str, stored: Colour = STORED, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), stored).save(buffer, format_name, **options)
    return buffer.getvalue()


def exif(colour_space: int, index: str | None) -> bytes:
    """Return an EXIF block of a camera that follows DCF."""
    block = Image.Exif()
    camera = block.get_ifd(0x8769)
    camera[0xA001] = colour_space
    if index is not None:
        camera[0xA005] = {1: index}
    return block.tobytes()


FORMATS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95},
    "PNG": {},
    "WEBP": {"lossless": True},
    "HEIF": {"quality": -1},
    "AVIF": {"quality": 100, "speed": 10},
}


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize(
    ("block", "wanted"),
    [
        pytest.param(exif(65535, "R03"), ADOBE, id="option file"),
        pytest.param(exif(2, None), ADOBE, id="a value that some cameras write"),
        pytest.param(exif(65535, None), STORED, id="uncalibrated"),
        pytest.param(exif(65535, "R98"), STORED, id="uncalibrated R98"),
        pytest.param(exif(1, "R98"), STORED, id="sRGB"),
        pytest.param(exif(1, "R03"), STORED, id="sRGB goes first"),
    ],
)
def test_adobe_rgb_by_exif(format_name: str, block: bytes, wanted: Colour, tmp_path: Path) -> None:
    content = saved(format_name, exif=block, **FORMATS[format_name])
    if format_name in {"HEIF", "AVIF"}:
        content = with_code_points(content, 2, 2)  # unspecified, as others would go before it
    assert near(of(content, tmp_path), wanted)


def test_a_profile_goes_before_exif(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for format_name, options in FORMATS.items():
        content = saved(format_name, exif=exif(65535, "R03"), icc_profile=profile, **options)
        assert near(of(content, tmp_path), STORED), format_name


def with_code_points(content: bytes, primaries: int, transfer: int) -> bytes:
    """Put other code points into the `nclx` of a HEIF or AVIF."""
    place = content.index(b"colrnclx") + 8
    return content[:place] + struct.pack(">HH", primaries, transfer) + content[place + 4 :]


def linear_2020_to_srgb(light: list[float]) -> Colour:
    """By the matrix of ITU-R BT.2087, annex 2, turned round, and IEC 61966-2-1."""
    matrix = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])
    rgb = np.clip(matrix @ np.array(light), 0, 1)
    encoded = np.where(rgb <= 0.0031308, 12.92 * rgb, 1.055 * rgb ** (1 / 2.4) - 0.055)
    red, green, blue = (int(value) for value in np.round(encoded * 255))
    return red, green, blue


def srgb_light(stored: Colour) -> list[float]:
    return [((one / 255 + 0.055) / 1.055) ** 2.4 for one in stored]


CODE_POINTS = [
    pytest.param(1, 13, STORED, id="sRGB"),
    pytest.param(1, 1, STORED, id="BT.709"),
    pytest.param(1, 6, STORED, id="BT.601"),
    pytest.param(2, 2, STORED, id="unspecified"),
    pytest.param(12, 13, P3, id="Display P3"),
    pytest.param(9, 13, linear_2020_to_srgb(srgb_light(STORED)), id="BT.2020"),
    pytest.param(9, 14, linear_2020_to_srgb(srgb_light(STORED)), id="BT.2020 of a camera"),
    pytest.param(9, 8, linear_2020_to_srgb([one / 255 for one in STORED]), id="BT.2020, linear"),
    pytest.param(9, 4, linear_2020_to_srgb([(one / 255) ** 2.2 for one in STORED]), id="BT.2020, gamma 2.2"),
]


@pytest.mark.parametrize(("primaries", "transfer", "wanted"), CODE_POINTS)
@pytest.mark.parametrize("format_name", ["HEIF", "AVIF", "PNG"])
def test_code_points(format_name: str, primaries: int, transfer: int, wanted: Colour, tmp_path: Path) -> None:
    if format_name == "PNG":
        samples = np.broadcast_to(np.array(STORED), (64, 64, 3))
        content = png(samples, 8, 2, chunk(b"cICP", bytes([primaries, transfer, 0, 1])))
    else:
        content = with_code_points(saved(format_name, **FORMATS[format_name]), primaries, transfer)
    assert near(of(content, tmp_path), wanted, within=8)


def pq(nits: float) -> float:
    """SMPTE ST 2084, the inverse EOTF."""
    y = (nits / 10_000) ** 0.1593017578125
    return float(((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375)


def hlg(scene: float) -> float:
    """ARIB STD-B67, the OETF."""
    return float((3 * scene) ** 0.5 if scene <= 1 / 12 else 0.17883277 * np.log(12 * scene - 0.28466892) + 0.55991073)


def strips(values: list[float], format_name: str, transfer: int) -> bytes:
    """Return grey strips of these encoded values."""
    grey = np.round(np.array(values) * 255).astype(np.uint8).repeat(64)
    pixels = np.broadcast_to(grey[None, :, None], (64, len(grey), 3))
    if format_name.startswith("PNG"):
        bits = int(format_name[3:])
        return png(pixels.astype(int) * (257 if bits == 16 else 1), bits, 2, chunk(b"cICP", bytes([9, transfer, 0, 1])))
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, format_name, **FORMATS[format_name])
    return with_code_points(buffer.getvalue(), 9, transfer)


@pytest.mark.parametrize("format_name", ["HEIF", "AVIF", "PNG8", "PNG16"])
@pytest.mark.parametrize("transfer", [16, 18])
def test_hdr_is_tone_mapped(format_name: str, transfer: int, tmp_path: Path) -> None:
    """Dark and middle greys keep their light, with paper white at 203 cd/m²; brighter lights stay apart below white."""
    nits = [5, 20, 50, 203, 500, 1000]
    # BT.2100, table 5: the display's light of a grey is its scene's to the power of 1.2.
    values = [pq(one) if transfer == 16 else hlg((one / 1000) ** (1 / 1.2)) for one in nits]
    path = tmp_path / "a"
    path.write_bytes(strips(values, format_name, transfer))
    image = decoded(prepared(path).rendition)
    found = [colour(image, (number + 0.5) / len(nits), 0.5) for number in range(len(nits))]
    for red, green, blue in found:
        assert max(red, green, blue) - min(red, green, blue) <= 3, "grey stays grey"
    greys = [one[1] for one in found]
    for one, shown in list(zip(nits, greys, strict=True))[:3]:
        light = one / 203
        wanted = 255 * (12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055)
        assert abs(shown - wanted) <= 8
    assert greys == sorted(greys)
    assert 215 < greys[3] < greys[4] < greys[5]
    assert greys[5] >= 250


def test_hdr_without_lights_is_not_darkened(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(strips([pq(50), pq(203)], "PNG16", 16))
    image = decoded(prepared(path).rendition)
    assert abs(colour(image, 0.25, 0.5)[1] - 136) <= 4
    assert colour(image, 0.75, 0.5)[1] >= 250


def test_hdr_keeps_its_hue(tmp_path: Path) -> None:
    """A red of BT.2020 light that sRGB has, at the brightness of paper and at four times it."""
    for nits in (100, 800):
        values = [pq(nits * share) for share in (0.5, 0.2, 0.15)]
        stored = np.broadcast_to(np.round(np.array(values) * 65_535).astype(int), (64, 64, 3))
        red, green, blue = of(png(stored, 16, 2, chunk(b"cICP", bytes([9, 16, 0, 1]))), tmp_path)
        assert red > 1.5 * green > 1.4 * blue > 40


def chroma(*numbers: float) -> bytes:
    return chunk(b"cHRM", struct.pack(">8I", *(round(one * 100_000) for one in numbers)))


def gamma(value: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(value * 100_000)))


SRGB_CHROMA = chroma(0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
ADOBE_CHROMA = chroma(0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
LINEAR: Colour = (228, 166, 132)
"""What (200, 100, 60) is in sRGB where it is stored as light."""


@pytest.mark.parametrize(
    ("chunks", "wanted"),
    [
        pytest.param([gamma(0.45455), SRGB_CHROMA], STORED, id="sRGB by numbers"),
        pytest.param([gamma(0.45455)], STORED, id="a gamma like sRGB's"),
        pytest.param([gamma(256 / 563), ADOBE_CHROMA], (226, 101, 57), id="Adobe RGB by numbers"),
        pytest.param([gamma(1.0)], LINEAR, id="linear"),
        pytest.param([gamma(1.0), chunk(b"sRGB", b"\0")], STORED, id="sRGB goes before gAMA"),
        pytest.param([gamma(1.0), chunk(b"cICP", b"\1\15\0\1")], STORED, id="cICP goes before gAMA"),
        pytest.param([gamma(0.0)], STORED, id="an impossible gamma"),
        pytest.param([gamma(0.45455), chroma(*([0.0] * 8))], STORED, id="impossible chromaticities"),
        pytest.param([gamma(0.45455), chroma(*([0.3] * 8))], STORED, id="no triangle"),
        pytest.param([chunk(b"cICP", b"\1")], STORED, id="half a cICP"),
    ],
)
def test_png_by_numbers(chunks: list[bytes], wanted: Colour, tmp_path: Path) -> None:
    content = png(np.broadcast_to(np.array(STORED), (64, 64, 3)), 8, 2, *chunks)
    assert near(of(content, tmp_path), wanted)


def test_grey_png_with_gamma(tmp_path: Path) -> None:
    for depth, value in ((8, 100), (16, 100 * 257)):
        content = png(np.full((64, 64, 1), value), depth, 0, gamma(1.0))
        assert near(of(content, tmp_path), (166, 166, 166))


def grey_profile(exponent: float) -> bytes:
    """Return an ICC profile (2.1) for grey with this gamma."""
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", round(0.9642 * 65536), 65536, round(0.8249 * 65536))
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(exponent * 256)) + b"\0\0"
    name = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"grey\0" + bytes(4 + 4 + 2 + 1 + 67)
    name += bytes(-len(name) % 4)
    place, tags, body = 128 + 4 + 3 * 12, b"", b""
    for signature, data in ((b"desc", name), (b"wtpt", white), (b"kTRC", curve)):
        tags += signature + struct.pack(">II", place + len(body), len(data))
        body += data
    size = place + len(body)
    head = struct.pack(">I", size) + b"lcms\2\x10\0\0mntrGRAYXYZ " + struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp"
    head = head.ljust(68, b"\0") + struct.pack(">3i", round(0.9642 * 65536), 65536, round(0.8249 * 65536))
    return head.ljust(128, b"\0") + struct.pack(">I", 3) + tags + body


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "TIFF"])
def test_grey_profile(format_name: str, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("L", (64, 64), 100).save(buffer, format_name, icc_profile=grey_profile(1.0))
    assert near(of(buffer.getvalue(), tmp_path), (166, 166, 166))


def test_grey_picture_with_a_profile_for_colours(tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    buffer = io.BytesIO()
    Image.new("L", (64, 64), 100).save(buffer, "JPEG", icc_profile=srgb)
    assert near(of(buffer.getvalue(), tmp_path), (100, 100, 100))


@pytest.mark.parametrize("mode", ["RGB", "CMYK", "L"])
def test_a_profile_for_pixels_of_another_kind_says_nothing(mode: str, tmp_path: Path) -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for profile in (lab, grey_profile(1.0), b"rubbish", lab[:200]):
        if mode == "L" and profile == grey_profile(1.0):
            continue
        buffer = io.BytesIO()
        Image.new("RGB", (64, 64), STORED).convert(mode).save(buffer, "JPEG", quality=95, icc_profile=profile)
        wanted = (120, 120, 120) if mode == "L" else STORED
        assert near(of(buffer.getvalue(), tmp_path), wanted, within=8)


@pytest.mark.parametrize(("space", "wanted"), [(3, ADOBE), (2, STORED), (None, STORED)])
def test_preview_of_a_dng_states_its_space(space: int | None, wanted: Colour, tmp_path: Path) -> None:
    """By the tag PreviewColorSpace of DNG. The picture below it is as large, so that the preview is taken."""
    path = tmp_path / "a.dng"
    path.write_bytes(encode_dng(np.full((600, 900, 3), STORED, dtype=np.uint8), preview=True))
    content = bytearray(path.read_bytes())
    if space is not None:
        _add_to_first_directory(content, 50970, space)
    assert near(of(bytes(content), tmp_path), wanted, within=8)


def test_preview_of_a_raw_by_its_exif(tmp_path: Path) -> None:
    path = tmp_path / "a.dng"
    path.write_bytes(encode_dng(np.full((600, 900, 3), STORED, dtype=np.uint8), preview=True))
    content = bytearray(path.read_bytes())
    _add_camera(content)
    assert near(of(bytes(content), tmp_path), ADOBE, within=8)


def _add_camera(content: bytearray) -> None:
    """Add an EXIF directory that says Adobe RGB as DCF has it."""
    content += bytes(len(content) % 2)
    camera = len(content)
    interoperability = camera + 2 + 2 * 12 + 4
    content += struct.pack("<HHHIIHHIII", 2, 0xA001, 3, 1, 65535, 0xA005, 4, 1, interoperability, 0)
    content += struct.pack("<HHHI4sI", 1, 1, 2, 4, b"R03\0", 0)
    _add_to_first_directory(content, 34665, camera)


def _add_to_first_directory(content: bytearray, tag: int, value: int) -> None:
    (start,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, start)
    entries = bytes(content[start + 2 : start + 2 + 12 * count])
    all_entries = [entries[12 * one : 12 * one + 12] for one in range(count)]
    all_entries = [one for one in all_entries if struct.unpack_from("<H", one)[0] != tag]
    all_entries.append(struct.pack("<HHII", tag, 4, 1, value))
    all_entries.sort(key=lambda one: int(struct.unpack_from("<H", one)[0]))
    content[4:8] = struct.pack("<I", len(content))
    content += struct.pack("<H", len(all_entries)) + b"".join(all_entries) + bytes(4)


def test_cmyk_in_jpeg_and_tiff_looks_alike(tmp_path: Path) -> None:
    """Adobe writes JPEG inverted, and says so; a file without that mark is not inverted."""
    inks = (0, 128, 255, 20)
    for name in ("JPEG", "TIFF"):
        buffer = io.BytesIO()
        Image.new("CMYK", (64, 64), inks).save(buffer, name, **({"quality": 95} if name == "JPEG" else {}))
        assert near(of(buffer.getvalue(), tmp_path), (235, 117, 0), within=8), name
    assert b"Adobe" in buffer.getvalue() or name == "TIFF"


@pytest.mark.parametrize("bits", [8, 16])
def test_adobe_rgb_by_exif_in_a_tiff(bits: int, tmp_path: Path) -> None:
    """As a RAW converter may leave it, without a profile."""
    samples = np.broadcast_to(np.array(STORED) * (257 if bits == 16 else 1), (64, 64, 3))
    content = bytearray(tiffs.tiff(samples, bits=bits, photometric=tiffs.RGB))
    _add_camera(content)
    assert near(of(bytes(content), tmp_path), ADOBE)
