"""Names of lenses that the notes of a camera's maker give by number alone.

Which number is which lens was collected by the users of ExifTool over twenty years, and is taken from its tables
(exiftool.org/TagNames, version 12.57), in `lens_names.tsv`: maker, number, then the name, or, where makers use one
number for several lenses, what all of these are called and the name of each. Lenses with Sony's E-mount, which some
cameras give no number at all, are one row, and are called nothing in common.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import log
from pathlib import Path

_RANGE = re.compile(r"(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?mm.*?[fF]/?\s*(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?")
E_MOUNT = "e-mount"
_FOCAL_ERROR, _APERTURE_ERROR = 0.5, 0.15
"""Cameras round what they write: millimetres, f-numbers."""


@dataclass(frozen=True, slots=True)
class Range:
    """Focal lengths in millimetres, and the f-number wide open at either."""

    shortest: float
    longest: float
    widest: float
    widest_at_longest: float

    def widest_at(self, focal_length: float) -> float:
        """Return the f-number that is to be expected wide open, between both ends in even ratios."""
        if self.shortest == self.longest or self.widest == self.widest_at_longest:
            return self.widest
        within = min(max(focal_length, self.shortest), self.longest)
        share = log(within / self.shortest) / log(self.longest / self.shortest)
        return float(self.widest * (self.widest_at_longest / self.widest) ** share)

    def is_of(self, other: "Range") -> bool:
        """Whether another range is this one, as cameras round it."""
        return (
            abs(self.shortest - other.shortest) <= _FOCAL_ERROR
            and abs(self.longest - other.longest) <= _FOCAL_ERROR
            and abs(self.widest - other.widest) <= _APERTURE_ERROR
            and abs(self.widest_at_longest - other.widest_at_longest) <= _APERTURE_ERROR
        )

    def fits(self, focal_length: float | None, widest: float | None) -> bool:
        """Whether a picture of this focal length and f-number wide open may be of this lens."""
        at_focal = focal_length is None or (self.shortest - _FOCAL_ERROR <= focal_length <= self.longest + _FOCAL_ERROR)
        return at_focal and (
            widest is None or self.widest - _APERTURE_ERROR <= widest <= self.widest_at_longest + _APERTURE_ERROR
        )


@dataclass(frozen=True, slots=True)
class LensNumber:
    """A lens as notes have it: a number, or several with spaces between, of one of the makers in the table."""

    maker: str
    number: str
    widest: float | None = None
    """The f-number wide open at the picture's focal length, where the notes say it."""
    range: Range | None = None
    """What the lens itself told the camera."""


def name(lens: LensNumber, focal_length: float | None, widest: float | None) -> str | None:
    """Return the lens's name; where its number is that of several which fit the picture, theirs with `or` between.

    Where none fits, it is what all of them are called, which is empty for lenses that have no more than their mount in
    common; of those, one of the two facts alone tells too little.
    """
    names = _names().get((lens.maker, lens.number))
    if names is None or len(names) == 1:
        return names[0] if names else None
    widest = lens.widest or widest
    if not (names[0] or lens.range or (focal_length and widest)):
        return ""
    possible: list[tuple[str, Range]] = []
    for each in (names[0].partition(" or ")[0], *names[1:]):
        known = range_of(each)
        if known and (known.is_of(lens.range) if lens.range else known.fits(focal_length, widest)):
            possible.append((each, known))
    if focal_length and widest and not lens.range:
        away = [abs(widest - known.widest_at(focal_length)) for _, known in possible]
        possible = [one for one, error in zip(possible, away, strict=True) if error <= min(away) + _APERTURE_ERROR]
    return " or ".join(dict.fromkeys(each for each, _ in possible)) or names[0]


def range_of(name: str) -> Range | None:
    """Return what a name says about focal lengths and f-numbers."""
    found = _RANGE.search(name)
    if found is None:
        return None
    shortest, longest, widest, narrowest = found.groups()
    return Range(float(shortest), float(longest or shortest), float(widest), float(narrowest or widest))


def range_text(numbers: Sequence[float]) -> str | None:
    """Return `18-70mm f/3.5-4.5`, or `50mm f/1.8`: focal lengths, and f-numbers at both, where they are known."""
    if len(numbers) != 4 or numbers[0] <= 0:
        return None
    shortest, longest, widest, narrowest = (f"{part:.5g}" for part in numbers)
    lengths = shortest if longest in (shortest, "0") else f"{shortest}-{longest}"
    if numbers[2] <= 0:
        return f"{lengths}mm"
    return f"{lengths}mm f/{widest if narrowest in (widest, '0') else f'{widest}-{narrowest}'}"


@cache
def _names() -> Mapping[tuple[str, str], tuple[str, ...]]:
    lines = Path(__file__).with_name("lens_names.tsv").read_text("utf-8").splitlines()
    rows = (line.split("\t") for line in lines)
    return {(maker, number): tuple(names) for maker, number, *names in rows}
