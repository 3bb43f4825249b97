"""What a request asks to be walked, and what of that is left out."""

import os

from agents.leaving_out import Chosen
from core.errors import MISSING, RequestError
from core.settings import Settings
from rules import paths as paths_of
from rules.leaving_out import Patterns
from rules.paths import normal
from topics.scan_request import ScanRequest


def chosen_of(request: ScanRequest, settings: Settings) -> Chosen:
    """Return what a walk leaves out. Raises RequestError for a pattern that is none."""
    try:
        patterns = Patterns(request.exclude)
    except ValueError as error:
        raise RequestError(f"What is to be left out has no pattern: {error}. Send it as .gitignore has it.") from error
    return Chosen(patterns, Patterns(settings.scan_exclude), frozenset(normal(os.fsencode(s)) for s in request.sources))


def places_of(request: ScanRequest) -> list[bytes]:
    """Return what is walked. Raises RequestError; of a source also for what is no folder that can be listed."""
    places = outermost(request.sources)
    for folder in places if request.source is not None else ():
        try:
            with os.scandir(folder) as entries:
                next(entries, None)
        except OSError as error:
            shown, why = paths_of.readable(folder), error.strerror or error
            raise RequestError(f"{shown} cannot be listed on the machine of the scan stage: {why}.") from error
    return places


def outermost(sources: list[str]) -> list[bytes]:
    """Return the sources without those that lie inside another: each file is walked once.

    Raises RequestError for one that is missing, does not answer or is not an absolute path. Blocks on the file system.
    """
    paths: set[bytes] = set()
    for source in sources:
        if not source.startswith("/"):
            raise RequestError(f"{source} is not an absolute path. Send the whole path from / on.")
        path = normal(os.fsencode(source))
        try:
            os.stat(path)  # noqa: PTH116 - bytes
        except (*MISSING, ValueError) as error:
            raise RequestError(f"{source} does not exist on the machine of the scan stage.") from error
        except OSError as error:
            raise RequestError(f"{source} cannot be read: {error.strerror or error}.") from error
        paths.add(path)
    return paths_of.outermost(paths)
