"""What a collection may be called, and what those are called that stand beside it, which no user can name so.

NAME~paths     the paths that do not stand in the points of NAME
NAME~2         the second generation of NAME, whose vectors are of another model; NAME~2~paths beside it
NAME~1         the first generation, where it is meant and no other: Qdrant has it as NAME
"""

import re

from core.errors import RequestError

PATHS_SUFFIX = "~paths"
_BESIDE = "~"
_FIRST = "~1"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_GENERATION = re.compile(r"~[1-9][0-9]{0,8}$")


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


def generation(name: str, number: int) -> str:
    """Return the address of one generation of a collection."""
    return f"{name}{_BESIDE}{number}"


def is_address(name: str) -> bool:
    """Tell whether one generation is meant, and not whichever serves."""
    return _BESIDE in name


def public_name(address: str) -> str:
    """Return the name that people know a collection by."""
    return address.partition(_BESIDE)[0]


def in_qdrant(address: str) -> str:
    """Return what Qdrant calls a generation."""
    return address.removesuffix(_FIRST)


def check_stored_name(name: str) -> None:
    """Raise RequestError(422) unless `name` can name a collection, or one that stands beside it."""
    check_name(_GENERATION.sub("", name.removesuffix(PATHS_SUFFIX)))
