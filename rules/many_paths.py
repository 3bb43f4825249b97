"""Which paths of a content stand in its point: there may be very many copies, and a point is written whole.

A point holds the first hundred in `paths`. Where there are more, its `more_paths` names the list that holds the others;
it stands beside the collection.
"""

import uuid
from collections.abc import Collection, Mapping
from typing import Any

from rules.identity import POINT_NAMESPACE

MAX_PATHS = 100
MORE_PATHS = "more_paths"


def listed(payload: Mapping[str, Any]) -> list[str]:
    """Return the texts in `paths` of a payload, which any program may have written."""
    paths = payload.get("paths")
    return [path for path in paths if isinstance(path, str)] if isinstance(paths, list) else []


def list_name(payload: Mapping[str, Any]) -> str | None:
    """Return the name of the list that holds the other paths of a point; None: there are none."""
    name = payload.get(MORE_PATHS)
    return name if name and isinstance(name, str) else None


def divide(paths: Collection[str], known: Collection[str], first: str | None) -> tuple[list[str], list[str]]:
    """Return the paths that stand in the point, sorted, and the others, sorted.

    What the point is `known` to hold it keeps, as far as there is room, and of those its `first` file rather.
    """
    held = set(known)
    order = sorted(set(paths), key=lambda path: (path not in held, path != first, path))
    return sorted(order[:MAX_PATHS]), sorted(order[MAX_PATHS:])


def entry_id(name: str, path: str) -> str:
    """Name the entry of a path in a list: whoever writes it again writes the same one."""
    return str(uuid.uuid5(POINT_NAMESPACE, f"{name}/{path}"))
