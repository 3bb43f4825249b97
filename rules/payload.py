"""The payload of a point: what search shows and filters by."""

import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any

from rules.name_key import name_key

# Kept from the first file that stored the content, so that a replay changes no point.
FIRST_FILE_FIELDS = ("filename", "full_path", "job_id", "ingested_at")
CAMERA_FIELDS = ("camera_make", "camera_model", "lens")
# What a vector store sorts and looks words up by, and nobody is shown.
HELPERS = ("name_key", "camera_words", "read_at")
FIELDS_READ_BACK = (*FIRST_FILE_FIELDS, "paths", "caption", "read_at")


def merge(known: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the payload of a point that gets one more file: paths are united, nothing known is lost."""
    merged = {name: value for name, value in new.items() if value is not None}
    merged |= {name: known[name] for name in FIRST_FILE_FIELDS if name in known}
    if "caption" in known and "caption" not in merged:
        merged["caption"] = known["caption"]
    merged["paths"] = sorted({*known.get("paths", ()), *new["paths"]})
    merged["name_key"] = name_key(merged["filename"])
    if words := " ".join(str(merged[field]) for field in CAMERA_FIELDS if field in merged):
        merged["camera_words"] = words
    return merged


def was_read_later(known: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Tell whether what is stored of a content was read after what is to be stored: the new one is a replay."""
    return _read_at(known) > _read_at(new)


def _read_at(payload: Mapping[str, Any]) -> float:
    """Return when a payload was read; those of version 0.1.0 do not say it, and were read before all others."""
    at = payload.get("read_at")
    return float(at) if isinstance(at, int | float) else 0.0


def with_paths(known: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the payload of a point that gets one more file, and nothing else."""
    return {**known, "paths": sorted({*known.get("paths", ()), *new["paths"]})}


def is_same(known: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Tell whether two payloads differ in nothing but when they were read."""
    return {**known, "read_at": None} == {**new, "read_at": None}


def is_same_direction(known: Sequence[float], new: Sequence[float]) -> bool:
    """Tell whether two vectors are one to a search, up to what a vector store rounds. It may normalise them."""
    lengths = math.hypot(*known) * math.hypot(*new)
    return len(known) == len(new) and lengths > 0 and sum(map(operator.mul, known, new)) / lengths > 1 - 1e-6
