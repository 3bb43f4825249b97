"""RGB colour spaces that a file states without an ICC profile, and the way from them to sRGB.

Sources: ITU-T H.273 (code points), ITU-R BT.2100 (PQ, HLG), BT.2390 (tone mapping), BT.2408 (the white of graphics in
HDR), IEC 61966-2-1 (sRGB), Adobe RGB (1998), ROMM RGB (ISO 22028-2).
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Chromaticity = tuple[float, float]
Transfer = Literal["srgb", "gamma", "pq", "hlg"]

D65: Chromaticity = (0.3127, 0.3290)
_D50: Chromaticity = (0.3457, 0.3585)
_SRGB_PRIMARIES: tuple[Chromaticity, ...] = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))

HDR_WHITE = 203.0
"""cd/m² of paper white in HDR: what becomes white in sRGB where nothing is brighter."""
_HLG_PEAK = 1000.0
_PQ_PEAK = 10_000.0
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


@dataclass(frozen=True, slots=True)
class ColourSpace:
    """Chromaticities of red, green, blue and white, and how the stored values become light."""

    primaries: tuple[Chromaticity, ...]
    white: Chromaticity = D65
    transfer: Transfer = "srgb"
    gamma: float = 1.0
    """The exponent, where `transfer` is `gamma`."""

    @property
    def is_hdr(self) -> bool:
        """Whether values may be brighter than white."""
        return self.transfer in {"pq", "hlg"}


SRGB = ColourSpace(_SRGB_PRIMARIES)
ADOBE_RGB = ColourSpace(((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), transfer="gamma", gamma=563 / 256)
PROPHOTO = ColourSpace(((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)), _D50, transfer="gamma", gamma=1.8)

_C: Chromaticity = (0.310, 0.316)
_PRIMARIES: dict[int, tuple[tuple[Chromaticity, ...], Chromaticity]] = {
    1: (_SRGB_PRIMARIES, D65),
    4: (((0.67, 0.33), (0.21, 0.71), (0.14, 0.08)), _C),
    5: (((0.64, 0.33), (0.29, 0.60), (0.15, 0.06)), D65),
    6: (((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)), D65),
    7: (((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)), D65),
    8: (((0.681, 0.319), (0.243, 0.692), (0.145, 0.049)), _C),
    9: (((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)), D65),
    10: (((1.0, 0.0), (0.0, 1.0), (0.0, 0.0)), (1 / 3, 1 / 3)),
    11: (((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), (0.314, 0.351)),
    12: (((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)), D65),
    22: (((0.630, 0.340), (0.295, 0.605), (0.155, 0.077)), D65),
}
"""ColourPrimaries of H.273, table 2."""
_TRANSFERS: dict[int, tuple[Transfer, float]] = {
    4: ("gamma", 2.2),
    5: ("gamma", 2.8),
    8: ("gamma", 1.0),
    16: ("pq", 1.0),
    17: ("gamma", 2.6),
    18: ("hlg", 1.0),
}
"""TransferCharacteristics of H.273, table 3. The curves of video cameras (BT.709, BT.601, BT.2020 and the like) count
as sRGB's: pictures are made on screens, and every viewer shows them so."""


def of_code_points(primaries: int, transfer: int) -> ColourSpace | None:
    """Return the space of two code points of H.273; None where they say sRGB, or nothing."""
    colours, white = _PRIMARIES.get(primaries, (_SRGB_PRIMARIES, D65))
    curve, gamma = _TRANSFERS.get(transfer, ("srgb", 1.0))
    found = ColourSpace(colours, white, curve, gamma)
    return None if found == SRGB else found


def to_srgb(pixels: NDArray[np.uint8], space: ColourSpace) -> NDArray[np.uint8]:
    """Convert RGB pixels, shape (rows, columns, 3). What sRGB cannot show is cut; what is too bright is tone-mapped."""
    light = _linear(space)[pixels]
    if space.transfer == "hlg":
        light = _of_display(light)
    light = light @ _matrix(space.primaries, space.white).T
    if space.is_hdr:
        light = _tone_mapped(light)
    return (encoded(np.clip(light, 0.0, 1.0)) * 255 + 0.5).astype(np.uint8)


@lru_cache(maxsize=16)
def _linear(space: ColourSpace) -> Floats:
    """Return the light of each of the 256 values; 1.0 is white, of a scene for HLG."""
    values = np.arange(256) / 255
    match space.transfer:
        case "gamma":
            return values**space.gamma
        case "pq":
            return _pq_to_nits(values) / HDR_WHITE
        case "hlg":
            a, b, c = 0.17883277, 0.28466892, 0.55991073
            return np.where(values <= 0.5, values**2 / 3, (np.exp((values - c) / a) + b) / 12)
        case _:
            return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _of_display(scene: Floats) -> Floats:
    """Return the light of a display of 1,000 cd/m² for HLG's scene light (BT.2100, table 5)."""
    luminance = scene @ np.array([0.2627, 0.6780, 0.0593])
    return np.asarray(scene * np.power(np.maximum(luminance, 1e-9), 0.2)[..., None] * (_HLG_PEAK / HDR_WHITE))


def _pq_to_nits(values: Floats) -> Floats:
    m1, m2, c1, c2, c3 = 1305 / 8192, 2523 / 32, 107 / 128, 2413 / 128, 2392 / 128
    powered = np.power(np.clip(values, 0, 1), 1 / m2)
    return np.asarray(_PQ_PEAK * np.power(np.maximum(powered - c1, 0) / (c2 - c3 * powered), 1 / m1))


def _nits_to_pq(nits: Floats) -> Floats:
    m1, m2, c1, c2, c3 = 1305 / 8192, 2523 / 32, 107 / 128, 2413 / 128, 2392 / 128
    powered = np.power(np.clip(nits / _PQ_PEAK, 0, 1), m1)
    return np.asarray(np.power((c1 + c2 * powered) / (1 + c3 * powered), m2))


def _tone_mapped(light: Floats) -> Floats:
    """Bring light that is brighter than white into sRGB: dark and middle tones stay, bright ones move together.

    The curve is that of BT.2390, from the brightest value of the picture to paper white. All three colours are scaled
    alike, so that their hue stays.
    """
    strongest = np.maximum(light.max(axis=-1), 1e-9)
    peak = float(_nits_to_pq(np.array(strongest.max() * HDR_WHITE)))
    target = float(_nits_to_pq(np.array(HDR_WHITE)))
    if peak <= target:
        return light
    brightness = _nits_to_pq(strongest * HDR_WHITE) / peak
    most = target / peak
    knee = 1.5 * most - 0.5
    t = np.clip((brightness - knee) / (1 - knee), 0, 1)
    above = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * most
    mapped = _pq_to_nits(np.where(brightness > knee, above, brightness) * peak) / HDR_WHITE
    return np.asarray(light * (mapped / strongest)[..., None])


def encoded(light: Floats | NDArray[np.float32]) -> Floats:
    """Return what sRGB stores for light from 0 to 1."""
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * np.power(np.maximum(light, 1e-9), 1 / 2.4) - 0.055)


@lru_cache(maxsize=16)
def _matrix(primaries: tuple[Chromaticity, ...], white: Chromaticity) -> Floats:
    """Return what takes linear RGB of these primaries to linear sRGB; white stays white (Bradford)."""
    source, target = _white_xyz(white), _white_xyz(D65)
    cones, wanted = _BRADFORD @ source, _BRADFORD @ target
    adaptation = np.linalg.inv(_BRADFORD) @ np.diag(wanted / cones) @ _BRADFORD
    return np.asarray(np.linalg.inv(_to_xyz(_SRGB_PRIMARIES, D65)) @ adaptation @ _to_xyz(primaries, white))


def _to_xyz(primaries: tuple[Chromaticity, ...], white: Chromaticity) -> Floats:
    columns = np.array([[x, y, 1 - x - y] for x, y in primaries]).T
    return np.asarray(columns * np.linalg.solve(columns, _white_xyz(white)))


def _white_xyz(white: Chromaticity) -> Floats:
    x, y = white
    return np.array([x / y, 1.0, (1 - x - y) / y])
