"""Carries models to machines without a network: one file out, and in from such a file or a folder.

What comes in is believed as little as what a hub sends: its files are compared with the hashes of our table, or with
what came first under that name, and with those that it brings itself.
"""

import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from pydantic import ValidationError

from core.errors import FatalError
from embedded.models.fetching import require_room
from embedded.models.manifest import LICENCE, MANIFEST, FileFact, Manifest, faults, sha256
from embedded.models.progress import Progress
from embedded.models.shelf import Measured, Shelf
from embedded.models.table import Entry

CHUNK_BYTES = 1 << 20
KNOWN = {"family", "languages", "licence", "dimension", "logit_scale", "logit_bias"}
BY_HAND = "by hand"
"""The family of files that name none: what they say of themselves is believed."""


class _Source(Protocol):
    """A folder or an archive. Reading raises KeyError where a file is not in it."""

    def open(self, name: str) -> IO[bytes]: ...


def export(shelf: Shelf, name: str, file: Path, progress: Progress, *, reserve: int) -> None:
    """Write a model that is here into one file. Raises FatalError where it is broken, or there is no room."""
    manifest, folder = shelf.manifest(name), shelf.at(name)
    if file.exists():
        raise FatalError(f"{file} exists already: remove it, or name another file.")
    broken = next(faults(folder, manifest), None)
    if broken is not None:
        raise FatalError(f"{name} is not exported, as it is broken: {broken}. Remove it, and fetch it again.")
    draft = file.with_name(f"{file.name}.part")
    try:
        require_room(draft.absolute().parent, name, manifest.bytes, reserve)
        progress.begin(manifest.bytes, 0)
        with tarfile.open(draft, "w") as archive:
            for one in (MANIFEST, LICENCE, *manifest.files):
                if (folder / one).is_file():
                    archive.add(folder / one, f"{name}/{one}", filter=_of_nobody)
                progress.advance(manifest.files[one].bytes if one in manifest.files else 0)
        draft.rename(file)
    except OSError as error:
        raise FatalError(f"{file} cannot be written: {error.strerror}. Name a file elsewhere.") from error
    finally:
        draft.unlink(missing_ok=True)


def take_in(
    shelf: Shelf,
    known: dict[str, Entry],
    source: Path,
    progress: Progress,
    *,
    named: tuple[str, str] | None,
    reserve: int,
    trial: Callable[[Path], Measured],
) -> Manifest | None:
    """Take in a model from a folder or an exported file; None: it is here already.

    `named`: a name and a family, for files that were put into a folder by hand and have no manifest. Raises
    FatalError that says what is wrong with which file; nothing is taken in then.
    """
    with shelf.alone(), _opened(source) as opened:
        manifest = _by_hand(source, *named) if named else _manifest(source, opened)
        if shelf.has(manifest.name):
            return None
        entry = known.get(manifest.name)
        ours = {name: file.sha256 for name, file in entry.files.items() if file.sha256} if entry else {}
        expected = shelf.trusted(manifest.name).files | ours
        for name, fact in manifest.files.items():
            if expected.get(name, fact.sha256) != fact.sha256:
                raise FatalError(
                    f"{name} in {source} is not the one of {manifest.name}: its SHA-256 is {fact.sha256}, and "
                    f"should be {expected[name]}. Nothing was taken in."
                )
        require_room(shelf.folder, manifest.name, manifest.bytes, reserve)
        progress.begin(manifest.bytes, 0)
        made = shelf.begin(manifest.name)
        for name in manifest.files:
            _copy(opened, source, name, made / name, progress)
        broken = next(faults(made, manifest), None)
        if broken is not None:
            raise FatalError(f"{source} is damaged: {broken}. Nothing was taken in: export it again, or copy it again.")
        files = {name: fact.model_copy(update={"pinned": name in ours}) for name, fact in manifest.files.items()}
        # How a model that we know is used, we know better than what comes in.
        ours_too = entry.model_dump(include=KNOWN) if entry else {}
        manifest = manifest.model_copy(update={"files": files} | ours_too)
        (made / MANIFEST).write_text(manifest.model_dump_json(indent=1), encoding="utf-8")
        try:
            (made / LICENCE).write_bytes(_read(opened, LICENCE))
        except KeyError:
            if entry is not None:
                (made / LICENCE).write_text(entry.licence_text(), encoding="utf-8")
        shelf.measure(manifest.name, trial(made))
        if not manifest.is_verified:
            shelf.trust(manifest)
        shelf.keep(manifest.name, made)
    return manifest


class _Folder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, name: str) -> IO[bytes]:
        file = self._folder / name
        if not file.is_file():
            raise KeyError(name)
        return file.open("rb")


class _Archive:
    """What `export` wrote: files below one folder. Members that are no plain files are not there."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self._members = {
            "/".join(PurePosixPath(member.name).parts[1:]): member for member in archive.getmembers() if member.isfile()
        }

    def open(self, name: str) -> IO[bytes]:
        opened = self._archive.extractfile(self._members[name])
        assert opened is not None  # noqa: S101 - a plain file
        return opened


@contextmanager
def _opened(source: Path) -> Iterator[_Source]:
    if source.is_dir():
        yield _Folder(source)
        return
    try:
        archive = tarfile.open(source)  # noqa: SIM115 - closed below
    except FileNotFoundError as error:
        raise FatalError(f"{source} does not exist.") from error
    except (OSError, tarfile.TarError) as error:
        raise FatalError(f"{source} is no file that `darkroom models export` wrote: {error}.") from error
    with archive:
        try:
            yield _Archive(archive)
        except (tarfile.TarError, EOFError) as error:
            raise FatalError(f"{source} is cut off or damaged ({error}): copy it again.") from error


def _manifest(source: Path, opened: _Source) -> Manifest:
    try:
        manifest = Manifest.model_validate_json(_read(opened, MANIFEST))
    except KeyError:
        raise FatalError(
            f"{source} has no {MANIFEST}, so it was not made by `darkroom models export`. Files of your own, laid out "
            "as docs/models.md says, are taken in with --name NAME, and --family where it is known."
        ) from None
    except ValidationError as error:
        raise FatalError(f"{MANIFEST} in {source} cannot be read: it is damaged, or of a newer version.") from error
    for name in manifest.files:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or len(path.parts) < 2:
            raise FatalError(f"{source} names a file {name!r}, which lies in no model's folder. Nothing was taken in.")
    return manifest


def _by_hand(source: Path, name: str, family: str) -> Manifest:
    """Return the manifest of files that were put into a folder by hand."""
    if not (source / "vision/model.onnx").is_file():
        raise FatalError(f"{source} has no vision/model.onnx: docs/models.md says how the files are laid out.")
    files = {
        file.relative_to(source).as_posix(): FileFact(bytes=file.stat().st_size, sha256=sha256(file), pinned=False)
        for part in ("vision", "text", "captioner")
        for file in sorted((source / part).glob("*"))
        if file.is_file()
    }
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Manifest(
        name=name, family=family, languages="", licence="as you know", sources={}, files=files, fetched_at=now
    )


def _read(opened: _Source, name: str) -> bytes:
    with opened.open(name) as content:
        return content.read()


def _copy(opened: _Source, source: Path, name: str, goal: Path, progress: Progress) -> None:
    goal.parent.mkdir(parents=True, exist_ok=True)
    try:
        with opened.open(name) as content, goal.open("wb") as file:
            while chunk := content.read(CHUNK_BYTES):
                file.write(chunk)
                progress.advance(len(chunk))
    except KeyError:
        raise FatalError(f"{source} lacks {name}: export it again, or copy it again. Nothing was taken in.") from None
    except OSError as error:
        raise FatalError(f"{name} of {source} cannot be copied to {goal}: {error.strerror or error}.") from error


def _of_nobody(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leave out who had the file, and when."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    member.mode = 0o644
    return member
