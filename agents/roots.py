"""Which folders a stage may read files from: those of its message, as far as someone who may has allowed them."""

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from core import grants
from core.errors import UntrustedError
from core.settings import Settings
from rules.paths import common_roots, normal

MEND = (
    "or TRUST_KAFKA=1, if everyone who can publish to Kafka may have every file of this machine read. Then try again "
    "what was refused: `darkroom retry-failed JOB`."
)


def allowed_roots(roots: Sequence[str] | None, settings: Settings) -> tuple[bytes, ...] | None:
    """Return the folders, absolute and without links; None where a file may lie anywhere.

    `roots` are a message's, set by the API to what it allowed; they are taken as they are written, `/photos/` for
    `/photos`, so that a root which is replaced by a link leads nowhere. Whoever can publish could name any: they count
    as far as they lie in what this worker knows to be allowed. A message that names none is bound to INGEST_ROOTS.
    Raises UntrustedError where nothing is left. TRUST_KAFKA believes what a message says, and where it says nothing
    lets it have any file read.
    """
    if roots is None:
        return _of_settings(settings)
    asked = tuple(_as_written(os.fsencode(root)) for root in roots)
    granted = None if settings.trust_kafka else known_roots(settings)
    if granted is None or not asked:
        return asked
    if common := common_roots(asked, granted):
        return common
    raise UntrustedError(
        f"The message names folders (roots) that nobody has allowed here: {', '.join(map(repr, roots[:3]))}. Allow "
        f"them with INGEST_ROOTS, for the workers too; {MEND}"
    )


def known_roots(settings: Settings) -> tuple[bytes, ...] | None:
    """Return all that the settings and the API of this data folder allow; None where this worker knows of neither."""
    told = grants.told(settings.darkroom_data)
    if told is None and not settings.ingest_roots:
        return None
    return (*_real((*settings.ingest_roots, settings.uploads_folder)), *(told or ()))


def _as_written(root: bytes) -> bytes:
    return normal(root) if root.startswith(b"/") else root


def _of_settings(settings: Settings) -> tuple[bytes, ...] | None:
    if settings.ingest_roots:
        return _real((*settings.ingest_roots, settings.uploads_folder))
    if settings.trust_kafka:
        return None
    raise UntrustedError(
        "The message names no folders that its files must lie in (roots), and this worker has no INGEST_ROOTS. Name "
        f"roots in the message, or set INGEST_ROOTS for the workers; {MEND}"
    )


@cache
def _real(roots: tuple[Path, ...]) -> tuple[bytes, ...]:
    return tuple(os.path.realpath(os.fsencode(root.expanduser())) for root in roots)
