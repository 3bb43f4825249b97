"""What a collection may be called."""

import re

from core.errors import RequestError

PATHS_SUFFIX = "~paths"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def check_name(name: str) -> None:
    """Raise RequestError(422) unless `name` can name a collection.

    1 to 64 ASCII letters, digits, `_`, `-` and `.`, the first one a letter or digit. Such a name is safe
    as a folder, in a URL and in a log line.
    """
    if not _NAME.fullmatch(name):
        raise RequestError(
            f"{name[:80]!r} cannot name a collection: use 1 to 64 letters, digits, '_', '-' or '.', "
            "starting with a letter or digit.",
            status=422,
        )


def paths_collection(name: str) -> str:
    """Return where the paths are that do not stand in the points of a collection. No user can give such a name."""
    return name + PATHS_SUFFIX
