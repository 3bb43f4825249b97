"""Which folders a stage may read files from: those that came with a message, else those of the settings."""

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from settings import Settings


def allowed_roots(roots: Sequence[str] | None, settings: Settings) -> tuple[bytes, ...] | None:
    """Return the folders, absolute and without links; None where a file may lie anywhere.

    `roots` are a message's, set by the API to what it allowed; they are taken as they stand, so that a root which is
    replaced by a link leads nowhere. A program that publishes to Kafka itself and names none is trusted, within
    INGEST_ROOTS where that is set.
    """
    if roots is not None:
        return tuple(os.fsencode(root) for root in roots)
    if not settings.ingest_roots:
        return None
    return _real((*settings.ingest_roots, settings.uploads_folder))


@cache
def _real(roots: tuple[Path, ...]) -> tuple[bytes, ...]:
    return tuple(os.path.realpath(os.fsencode(root.expanduser())) for root in roots)
