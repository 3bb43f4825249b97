"""A point, and its payload: what search shows and filters by."""

import math
import operator
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rules import camera_clock
from rules.many_paths import MORE_PATHS, listed
from rules.name_key import name_key
from rules.search.lookup import WORDS
from rules.text import nfc

# Kept from the first file that stored the content, so that a replay changes no point.
FIRST_FILE_FIELDS = ("filename", "full_path", "job_id", "ingested_at")
# What a vector store sorts and looks words up by, and nobody is shown.
GONE_AT = "gone_at"  # since when a picture has no path; no query finds it then
KEEP_UNTIL = "keep_until"  # before which a person wants a picture that is gone not to be purged
REVISION = "revision"  # of the point: who writes what follows from it writes only what has not changed meanwhile
HELPERS = (
    *("name_key", "label_key", "people_key", "taken_local", WORDS, "read_at", REVISION),
    "camera_words",  # of points that versions before the search of today stored
)
# What a picture keeps without any path, and hands on to an edit of its metadata: here belongs what people decide.
HISTORY = ("job_id", "ingested_at")
FIELDS_READ_BACK = (*FIRST_FILE_FIELDS, "paths", MORE_PATHS, "caption", "read_at", GONE_AT, REVISION)
# Paths are bytes: composed, they would name no file.
PATH_FIELDS = ("full_path", "paths")


@dataclass(frozen=True)
class Point:
    """A photograph's vector and payload; `id` is a UUID."""

    id: str
    vector: Sequence[float]
    payload: dict[str, Any]


def merge(known: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the payload of a point that gets one more file: paths are united, nothing known is lost."""
    merged = {name: value for name, value in new.items() if value is not None}
    kept = FIRST_FILE_FIELDS if known.get(GONE_AT) is None else HISTORY
    merged |= {name: known[name] for name in kept if name in known}
    if "caption" in known and "caption" not in merged:
        merged["caption"] = known["caption"]
    merged |= {name: _composed(value) for name, value in merged.items() if name not in PATH_FIELDS}
    merged["paths"] = sorted({*known.get("paths", ()), *new["paths"]})
    return merged | _helpers(merged)


def of_former(known: Mapping[str, Any], paths: Sequence[str]) -> dict[str, Any]:
    """Return what a point keeps when it is embedded anew: of its first file, all paths, and its caption."""
    kept = {name: known[name] for name in (*FIRST_FILE_FIELDS, "caption") if known.get(name) is not None}
    return kept | {"paths": list(paths)}


def embedded_anew(former: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the payload of a point with what `of_former` gives; a caption that it got now stays."""
    caption = {"caption": new["caption"]} if new.get("caption") is not None else {}
    return {**new, **former, **caption}


def named(path: str) -> dict[str, Any]:
    """Return the fields that follow from the path of a picture's first file."""
    filename = nfc(path.rpartition("/")[2])
    return {"full_path": path, "filename": filename, "name_key": name_key(filename)}


def _helpers(merged: Mapping[str, Any]) -> dict[str, Any]:
    helpers: dict[str, Any] = {"name_key": name_key(merged["filename"])}
    if "label" in merged:
        helpers["label_key"] = name_key(merged["label"])
    if merged.get("people"):
        helpers["people_key"] = name_key(min(merged["people"], key=str.casefold))
    if (local := camera_clock.sortable(merged.get("taken_at", ""))) is not None:
        helpers["taken_local"] = local
    return helpers


def _composed(value: Any) -> Any:
    """Texts in one form, also those of contents that were read before all were composed."""
    if isinstance(value, str):
        return nfc(value)
    if isinstance(value, list):
        return [_composed(one) for one in value]
    return value


def was_read_later(known: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Tell whether what is stored of a content was read after what is to be stored: the new one is a replay."""
    return _read_at(known) > _read_at(new)


def _read_at(payload: Mapping[str, Any]) -> float:
    """Return when a payload was read; those of version 0.1.0 do not say it, and were read before all others."""
    at = payload.get("read_at")
    return float(at) if isinstance(at, int | float) else 0.0


def with_paths(known: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the payload of a point that gets one more file, and nothing else."""
    united = {**known, "paths": sorted({*known.get("paths", ()), *new["paths"]})}
    if united.pop(GONE_AT, None) is not None:
        united.pop(KEEP_UNTIL, None)
        united |= named(new["full_path"])
    return united


def without_paths(
    known: Mapping[str, Any], gone: Collection[str], others: Sequence[str] = (), at: str | None = None
) -> dict[str, Any]:
    """Return the fields of a point that change as paths leave it. The last one stays in `full_path`: it was there.

    `others`: paths that take the place of the last one that stands in the point. `at`: when they left for good; a point
    that has none then is gone.
    """
    before = listed(known)
    left = [path for path in before if path not in gone] or sorted(others)
    fields: dict[str, Any] = {"paths": left}
    if not left:
        return fields | ({GONE_AT: at} if at is not None and before else {})
    return fields | (named(left[0]) if known.get("full_path") in gone else {})


def is_same(known: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Tell whether two payloads differ in nothing but when they were read and written, and in their paths.

    What is looked up follows from the rest, and is found where a point is written.
    """
    aside = {"read_at": None, REVISION: None, "paths": None, MORE_PATHS: None, WORDS: None}
    return {**known, **aside} == {**new, **aside}


def is_same_direction(known: Sequence[float], new: Sequence[float]) -> bool:
    """Tell whether two vectors are one to a search, up to what a vector store rounds. It may normalise them."""
    lengths = math.hypot(*known) * math.hypot(*new)
    return len(known) == len(new) and lengths > 0 and sum(map(operator.mul, known, new)) / lengths > 1 - 1e-6
