"""What is told of files that are not taken in: how many of which kind, in one line."""

import re
from collections.abc import Mapping

from rules.wording import plural

MOST_KINDS = 20
OTHERS = "others"
_EXTENSION = re.compile(r"\.[A-Za-z0-9_~-]{1,10}")
_BY_REASON = {
    "job cancelled": "cancelled",
    "forgotten": "forgotten",
    "not a regular file": "no regular files",
    "a link to a folder that contains it": "links to a folder around them",
}


def kind_of(path: str, reason: str | None) -> str:
    """Return the kind of a skipped file: its extension, such as `.mov`, unless it was skipped for something else."""
    if reason in _BY_REASON:
        return _BY_REASON[reason]
    name = path.rpartition("/")[2]
    stem, dot, extension = name.rpartition(".")
    found = dot + extension.lower()
    return found if stem and _EXTENSION.fullmatch(found) else "without extension"


def counted(kinds: Mapping[str, int], kind: str, by: int) -> dict[str, int]:
    """Return the counts with one kind's changed. What comes when there are many kinds counts among others."""
    if kind not in kinds and (by < 0 or len(kinds) >= MOST_KINDS):
        kind = OTHERS
    changed = {**kinds, kind: kinds.get(kind, 0) + by}
    return {kind: files for kind, files in changed.items() if files > 0}


def skipped_line(files: int, kinds: Mapping[str, int]) -> str:
    """Return such as `12 files skipped: .mov 7, .txt 5`, the most first; empty where there are none."""
    if not files:
        return ""
    told = ", ".join(f"{kind} {n}" for kind, n in sorted(kinds.items(), key=lambda one: (-one[1], one[0])) if n)
    return f"{plural(files, 'file')} skipped" + (f": {told}" if told else "")


def left_out_line(files: int, folders: int, *, more: bool) -> str:
    """Return such as `left out: 8 files in 3 folders`; empty where nothing was."""
    if not files and not more:
        return ""
    return f"left out: {'more than ' if more else ''}{plural(files, 'file')} in {plural(folders, 'folder')}"
