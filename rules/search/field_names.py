"""The fields of the language, the names that people try for them, and an example of each."""

import difflib

from rules.search.folding import fold
from rules.search.query import QueryError

# Names that people try, and the field that is meant.
NAMES = {
    **dict.fromkeys(("camera", "cameras", "make", "model"), "camera"),
    **dict.fromkeys(("lens", "lenses"), "lens"),
    **dict.fromkeys(("tag", "tags", "keyword", "keywords"), "tag"),
    **dict.fromkeys(("person", "people", "persons", "who", "face"), "person"),
    "title": "title",
    "caption": "caption",
    **dict.fromkeys(("description", "desc"), "description"),
    **dict.fromkeys(("name", "file", "filename"), "name"),
    **dict.fromkeys(("folder", "path", "in", "dir", "directory", "album"), "folder"),
    **dict.fromkeys(("label", "color", "colour"), "label"),
    **dict.fromkeys(("format", "type", "ext"), "format"),
    **dict.fromkeys(("date", "taken", "when", "time"), "date"),
    **dict.fromkeys(("rating", "stars"), "rating"),
    "iso": "iso",
    **dict.fromkeys(("aperture", "f", "fstop"), "aperture"),
    **dict.fromkeys(("focal", "focal_length", "focallength", "mm"), "focal"),
    **dict.fromkeys(("exposure", "shutter", "exposure_time"), "exposure"),
    "width": "width",
    "height": "height",
    **dict.fromkeys(("has", "with"), "has"),
    **dict.fromkeys(("near", "around"), "near"),
    **dict.fromkeys(("like", "similar"), "like"),
}
EXAMPLES = {
    "camera": "camera:canon",
    "lens": 'lens:"50mm f/1.8"',
    "tag": "tag:holiday",
    "person": 'person:"Ann Lee"',
    "title": "title:harbour",
    "caption": "caption:boat",
    "description": "description:market",
    "name": "name:IMG_26",
    "folder": "folder:iceland",
    "label": "label:red",
    "format": "format:jpeg",
    "date": "date:2024-05..2024-08",
    "rating": "rating:>=4",
    "iso": "iso:100..800",
    "aperture": "aperture:<=2.8",
    "focal": "focal:24..70",
    "exposure": "exposure:1/250",
    "width": "width:>=4000",
    "height": "height:>=3000",
    "has": "has:gps",
    "near": "near:48.86,2.35,5",
    "like": "like:6f1f6f0a-6d0c-5b0e-9d1c-2f6a3b1c9e57",
}
COMPARED = frozenset({"date", "rating", "iso", "aperture", "focal", "exposure", "width", "height"})
"""Fields that may stand before a sign without a colon: `rating>=4`."""


def field_named(name: str, at: int) -> str:
    """Return the field that is meant. Raises QueryError, which lists what there is."""
    found = NAMES.get(fold(name))
    if found is not None:
        return found
    near = difflib.get_close_matches(fold(name), NAMES, 1)
    meant = f" Is {NAMES[near[0]]}: meant?" if near else " In quotes it is text."
    raise QueryError(
        at,
        len(name) + 1,
        f"there is no field {name!r}.{meant} One of {', '.join(f'{field}:' for field in EXAMPLES)} is expected",
        EXAMPLES[NAMES[near[0]]] if near else EXAMPLES["camera"],
    )


def wrong(field: str, value: str, at: int, expected: str) -> QueryError:
    """Return the error of a value that stands at a place of a query, maybe with spaces around it."""
    bare = value.lstrip()
    return QueryError(at + len(value) - len(bare), max(1, len(bare.rstrip())), expected, EXAMPLES[field])
