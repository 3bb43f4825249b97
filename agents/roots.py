"""Which folders a stage may read files from: those that came with a message, else those of the settings."""

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from errors import UntrustedError
from settings import Settings


def allowed_roots(roots: Sequence[str] | None, settings: Settings) -> tuple[bytes, ...] | None:
    """Return the folders, absolute and without links; None where a file may lie anywhere.

    `roots` are a message's, set by the API to what it allowed; they are taken as they stand, so that a root which is
    replaced by a link leads nowhere. A program that publishes to Kafka itself and names none is bound to INGEST_ROOTS;
    without these it may have any file read where TRUST_KAFKA says so, and none else: UntrustedError.
    """
    if roots is not None:
        return tuple(os.fsencode(root) for root in roots)
    if settings.ingest_roots:
        return _real((*settings.ingest_roots, settings.uploads_folder))
    if settings.trust_kafka:
        return None
    raise UntrustedError(
        "The message names no folders that its files must lie in (roots), and this worker has no INGEST_ROOTS. Name "
        "roots in the message, or set INGEST_ROOTS for the workers; or TRUST_KAFKA=1, if everyone who can publish to "
        "Kafka may have every file of this machine read. Then try again what was refused: `darkroom retry-failed JOB`."
    )


@cache
def _real(roots: tuple[Path, ...]) -> tuple[bytes, ...]:
    return tuple(os.path.realpath(os.fsencode(root.expanduser())) for root in roots)
