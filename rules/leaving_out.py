"""Which entries of a folder are no photographs of anyone: those of systems and programs, and those that a person names.

Names are compared in NFC, as a name on disk may be in NFD; what Darkroom knows by itself, without regard to case.
"""

import re
import unicodedata
from collections.abc import Iterable
from fnmatch import translate
from functools import lru_cache
from pathlib import PurePosixPath

from pathspec import GitIgnoreSpec, RegexPattern

from rules import brackets

IGNORE_FILE = ".darkroomignore"
"""Patterns for the folder that it lies in, and all below it."""
NO_MEDIA = ".nomedia"
"""Android's word that what is in a folder, and below, is not for galleries."""

_FOLDERS = (
    # thumbnails and previews
    "@eadir", ".@*", ".thumbnails", ".thumbs", ".kpathumbnails", ".cache", "ipod photo cache", "appdata_*",
    ".photoprism",
    # recycle bins
    "#recycle", "@recycle", "$recycle.bin", "recycler", "recycled", ".trash", ".trash-*", ".trashes", ".dtrash",
    "network trash folder", "files_trashbin",
    # snapshots, versions and backups
    ".snapshot", ".snapshots", "#snapshot", "~snapshot", "@recently-snapshot", ".zfs", ".btrfs", "@gmt-*",
    ".stversions", "files_versions", ".picasaoriginals", "backups.backupdb", ".mobilebackups",
    # what systems and programs that synchronize keep for themselves
    "__macosx", ".appledouble", ".appledb", ".appledesktop", ".spotlight-v100", ".fseventsd", ".temporaryitems",
    "temporary items", ".documentrevisions-v100", "system volume information", "found.[0-9][0-9][0-9]", "lost+found",
    "@tmp", "@sharebin", "@sharesnap", "@synologydrive", "@synologycloudsync", "@transcode",
    ".synologyworkingdirectory", ".stfolder", ".sync", ".dropbox.cache", ".tmp.drivedownload",
    ".tmp.driveupload", ".wdmc", ".streams", ".git", ".svn", ".hg", "node_modules", ".darkroom",
    # catalogues, and what programs write about pictures
    ".comments", "*.lrdata", "*.lrcat-data", "captureone",
)  # fmt: skip
_FILES = (
    "._*", ".ds_store", ".apdisk", ".localized", "icon\r", ".volumeicon.icns", "thumbs.db", "thumbs.db:*",
    "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", ".directory", NO_MEDIA, ".thumbdata*", ".trashed-*",
    ".pending-*", ".picasa.ini", "picasa.ini", ".bridgesort", ".bridgecache*", ".bridgelabelsandratings",
    "zbthumbnail.info", ".syncthing.*.tmp", "~syncthing~*.tmp",
    "*.lrcat", "*.lrcat-*", "*.lrcat.lock", "*.lrprev", "*.cocatalogdb*", "*.cosessiondb*",
    "digikam4.db*", "thumbnails-digikam.db*", "recognition.db*", "similarity.db*",
)  # fmt: skip
_PACKAGES = (
    "*.photoslibrary",
    "*.photolibrary",
    "*.migratedphotolibrary",
    "*.aplibrary",
    "*.migratedaplibrary",
    "*.cocatalog",
)
"""Folders that are a program's library: the photographs in them are anyone's, all else is derived from these."""
_ORIGINALS = frozenset({"originals", "masters"})
_ALL_BELOW = re.compile(r"/\*\*(/?) *$")
"""What is below a folder, however deep, but not the folder itself, as pathspec has it."""
_NEGATED = re.compile(r"(?<!\\)\[\^(?!/)")
"""What is none of some characters is no separator either."""
_TABS = re.compile(r"\t+$")
"""At the end of a line they are part of a name; spaces are not."""


def _any(patterns: Iterable[str]) -> "re.Pattern[str]":
    return re.compile("|".join(map(translate, patterns)))


_FOLDER, _FILE, _PACKAGE = _any(_FOLDERS), _any(_FILES), _any(_PACKAGES)


def is_left_out(name: str, parent: str, *, is_folder: bool) -> bool:
    """Tell whether Darkroom leaves an entry out by itself. `parent`: the name of the folder that it lies in."""
    name = _plain(name)
    if _is_package(parent):
        return not (is_folder and name in _ORIGINALS)
    return bool((_FOLDER if is_folder else _FILE).match(name))


@lru_cache(maxsize=256)
def _is_package(folder: str) -> bool:
    return bool(_PACKAGE.match(_plain(folder)))


class Patterns:
    """Patterns in gitignore's form, of one folder. Raises ValueError, which names the first that is none."""

    def __init__(self, lines: Iterable[str]) -> None:
        spec = GitIgnoreSpec.from_lines(map(_as_pathspec_has_it, lines))
        self._last_first = [
            (re.compile(_NEGATED.sub("[^/", pattern.regex.pattern)), pattern.include)
            for pattern in reversed(spec.patterns)
            if isinstance(pattern, RegexPattern) and pattern.regex is not None
        ]

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._last_first)

    def verdict(self, path: str, *, is_folder: bool) -> bool | None:
        """Tell whether a path below that folder is left out, taken in all the same (`!`), or not spoken of (None).

        As git does, of the path itself: what is said of the folders above it has been decided when they were met.
        """
        path = unicodedata.normalize("NFC", f"{path}/" if is_folder else path)
        name = path[path.rfind("/", 0, -1) + 1 :]
        for regex, include in self._last_first:
            # pathspec's expressions also match what is below, but for the whole of a path they do not. Those of `*`
            # and `*/` are for any part of a path.
            if regex.fullmatch(path) or (not regex.pattern.startswith("^") and regex.search(name)):
                return include
        return None


def _as_pathspec_has_it(line: str) -> str:
    line = _ALL_BELOW.sub(r"/**/*\1", brackets.plain(unicodedata.normalize("NFC", line)))
    return _TABS.sub(lambda tabs: "[\t]" * len(tabs[0]), line)


def left_out_name(sent: str, patterns: Patterns) -> bool:
    """Tell whether a file that is sent under this name, maybe with folders, would be left out of a folder's walk."""
    parts = PurePosixPath(sent.replace("\\", "/")).parts
    for number, name in enumerate(parts):
        is_folder = number < len(parts) - 1
        said = patterns.verdict("/".join(parts[: number + 1]).lstrip("/"), is_folder=is_folder)
        if said is None:
            said = is_left_out(name, parts[number - 1] if number else "", is_folder=is_folder)
        if said:
            return True
    return False


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name).lower()
