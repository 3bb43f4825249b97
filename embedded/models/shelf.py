"""The models that are on this machine: `models` in the data folder, one folder a model.

A model is here once its folder has its name: it is made elsewhere and renamed when it is whole and checked, so
nothing half-fetched is ever seen. Beside them lie, by names that no model can have:

    .fetching/   what is on its way, kept for the next try
    .lock        held by who fetches or takes in, one at a time
    .trusted     hashes of what came first, for entries without hashes of ours
    .chosen      which model is used where nothing else is said
    .measured    how fast each is here, and how much memory it takes
    .learned     on how many threads each runs best, and with how many pictures at once
"""

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from core.errors import FatalError
from embedded.models.manifest import CAPTIONER, MANIFEST, Manifest, read_manifest
from embedded.models.table import NAME

BUILT_IN = "visual"
"""The name of what needs no weights: it compares colours and shapes."""


class Trusted(BaseModel):
    """What came first for an entry."""

    sources: dict[str, str] = {}
    files: dict[str, str] = {}


class _Trust(BaseModel):
    models: dict[str, Trusted] = {}


class Measured(BaseModel):
    """What a trial found: milliseconds an image takes, and bytes of memory with pictures and texts loaded.

    `dimension` is None for a captioner.
    """

    dimension: int | None
    ms: float
    memory: int


class _Measurements(BaseModel):
    models: dict[str, Measured] = {}


class _Chosen(BaseModel):
    model: str | None = None
    captioner: str | None = None


_Shape = TypeVar("_Shape", bound=BaseModel)


class Shelf:
    """The models below a data folder."""

    def __init__(self, data: Path) -> None:
        self.folder = data / "models"

    @property
    def table(self) -> Path:
        """Where people write entries of their own."""
        return self.folder / "table.toml"

    def at(self, name: str) -> Path:
        """Return the folder of a model, be it here or not. Raises FatalError for what is no name of a model."""
        return self.folder / _checked(name)

    def fetching(self, name: str) -> Path:
        """Return where a model is put together. Raises as `at` does."""
        return self.folder / ".fetching" / _checked(name)

    def all(self) -> dict[str, Manifest]:
        """Return what is here, by name."""
        names = sorted(file.parent.name for file in self.folder.glob(f"*/{MANIFEST}"))
        return {name: self.manifest(name) for name in names if _is_name(name)}

    def has(self, name: str) -> bool:
        """Whether a model is here, whole."""
        return _is_name(name) and (self.at(name) / MANIFEST).is_file()

    def manifest(self, name: str) -> Manifest:
        """Read what a model says of itself. Raises FatalError where it is not here, or its manifest is broken."""
        return read_manifest(self.at(name))

    def begin(self, name: str) -> Path:
        """Return an empty place in which a model is put together from what is on this machine."""
        shutil.rmtree(self.fetching(name), ignore_errors=True)
        made = self.fetching(name) / "model"
        made.mkdir(parents=True)
        return made

    def keep(self, name: str, made: Path) -> None:
        """Make a model that was put together, and checked, one that is here."""
        for file in [*made.rglob("*")]:
            if file.is_file():
                with file.open("rb") as content:
                    os.fsync(content.fileno())
        made.rename(self.at(name))
        shutil.rmtree(self.fetching(name), ignore_errors=True)

    def partly(self, name: str) -> int:
        """Return how many bytes of a model on its way are here; about, while who brings it moves its files."""
        size = 0
        for folder, _, files in os.walk(self.fetching(name)):
            for file in files:
                with contextlib.suppress(FileNotFoundError):
                    size += Path(folder, file).stat().st_size
        return size

    def remove(self, name: str) -> None:
        """Remove a model, at once for whoever looks, or what came of one. Raises FatalError where nothing is here."""
        with self.alone():
            away = self.fetching(name)
            if not away.exists():
                self.manifest(name)
            shutil.rmtree(away, ignore_errors=True)
            if self.at(name).exists():
                away.parent.mkdir(exist_ok=True)
                self.at(name).rename(away)
                shutil.rmtree(away)

    def measured(self) -> dict[str, Measured]:
        """Return what trials found, by model."""
        return _read(self.folder / ".measured", _Measurements).models

    def measure(self, name: str, found: Measured) -> None:
        """Record what a trial found."""
        measurements = _read(self.folder / ".measured", _Measurements)
        measurements.models[name] = found
        _write(self.folder / ".measured", measurements)

    def trusted(self, name: str) -> Trusted:
        """Return what came first for an entry; empty where nothing did."""
        return _read(self.folder / ".trusted", _Trust).models.get(name, Trusted())

    def trust(self, manifest: Manifest) -> None:
        """Record what came first."""
        trust = _read(self.folder / ".trusted", _Trust)
        files = {name: file.sha256 for name, file in manifest.files.items()}
        trust.models[manifest.name] = Trusted(sources=manifest.sources, files=files)
        _write(self.folder / ".trusted", trust)

    @property
    def learned(self) -> Path:
        """Where the ML service remembers how a model runs best."""
        return self.folder / ".learned"

    def in_use(self, name: str | None) -> Path | None:
        """Return the folder of a model, or of the chosen one; None: the one that needs no weights.

        Raises FatalError where it is not here.
        """
        wanted = name or self.chosen or BUILT_IN
        if wanted == BUILT_IN:
            return None
        if self.manifest(wanted).family == CAPTIONER:
            raise FatalError(
                f"{wanted} describes pictures, and does not compare them: `darkroom models use {wanted}` has it in use "
                "beside another model."
            )
        return self.at(wanted)

    @property
    def captioner(self) -> Path | None:
        """The folder of the captioner that was chosen; None: none was, or it is gone."""
        name = _read(self.folder / ".chosen", _Chosen).captioner
        return self.at(name) / CAPTIONER if name is not None and self.has(name) else None

    @property
    def chosen(self) -> str | None:
        """The model that was chosen; None: none was."""
        return _read(self.folder / ".chosen", _Chosen).model

    def is_chosen(self, name: str) -> bool:
        """Whether a model was chosen, to compare or to describe pictures."""
        chosen = _read(self.folder / ".chosen", _Chosen)
        return name in {chosen.model, chosen.captioner}

    def choose(self, name: str) -> None:
        """Choose the model that is used from the next start on, or the captioner beside it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        chosen = _read(self.folder / ".chosen", _Chosen)
        if name != BUILT_IN and self.manifest(name).family == CAPTIONER:
            chosen.captioner = name
        else:
            chosen.model = name
        _write(self.folder / ".chosen", chosen)

    def unchoose(self, name: str) -> None:
        """Use a model no longer."""
        chosen = _read(self.folder / ".chosen", _Chosen)
        chosen.model = None if chosen.model == name else chosen.model
        chosen.captioner = None if chosen.captioner == name else chosen.captioner
        _write(self.folder / ".chosen", chosen)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Be the only one who brings models here. Raises FatalError that names the process that is."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / ".lock").open("a+")
        except OSError as error:
            raise FatalError(f"{self.folder} cannot be written: {error.strerror}. Set DARKROOM_DATA.") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise FatalError(
                    f"A model is being brought to {self.folder} already, by process {lock.read().strip()}. "
                    "Wait until it has ended: one comes at a time."
                ) from None
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield


def _is_name(name: str) -> bool:
    return re.fullmatch(NAME, name) is not None and name != BUILT_IN


def _checked(name: str) -> str:
    """Return a name that leads to no other folder: what lies in a model's folder is removed with it."""
    if name == BUILT_IN:
        raise FatalError(f"{BUILT_IN} has no files: it comes along, and is there always.")
    if not _is_name(name):
        raise FatalError(
            f"{name!r} is no name of a model: letters, digits, dots, dashes and underscores make one. `darkroom models "
            "list` shows those that there are."
        )
    return name


def _read(file: Path, shape: type[_Shape]) -> _Shape:
    try:
        return shape.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return shape()
    except ValidationError as error:
        raise FatalError(f"{file} is broken: remove it. Hashes that it held are recorded anew.") from error


def _write(file: Path, content: BaseModel) -> None:
    draft = file.with_name(f"{file.name}.new")
    draft.write_text(content.model_dump_json(indent=1), encoding="utf-8")
    draft.replace(file)
