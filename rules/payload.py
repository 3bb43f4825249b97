"""The payload of a point: what search shows and filters by."""

from collections.abc import Mapping
from typing import Any

from rules.name_key import name_key

# Kept from the first file that stored the content, so that a replay changes no point.
FIRST_FILE_FIELDS = ("filename", "full_path", "job_id", "ingested_at")
CAMERA_FIELDS = ("camera_make", "camera_model", "lens")
# What a vector store sorts and looks words up by, and nobody is shown.
HELPERS = ("name_key", "camera_words")
FIELDS_READ_BACK = (*FIRST_FILE_FIELDS, "paths", "caption")


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
