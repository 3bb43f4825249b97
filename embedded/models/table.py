"""The models that can be had, as data: `table.toml` beside this file, and `models/table.toml` in the data folder.

An entry says which files of which repository make a model, what they must be, and how the model is used.
"""

import tomllib
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from core.errors import FatalError

TABLE = Path(__file__).with_name("table.toml")
Licence = Literal["Apache-2.0", "MIT"]
"""Those whose text we lay beside the weights. They allow every use: a model that forbids one is not offered."""

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
Family = Literal["siglip", "clip", "captioner"]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Strict):
    """Where a hub has a file, and what it must be: `bytes` and `sha256` where they are known for sure."""

    at: str
    repo: str | None = None
    """None: the entry's."""
    revision: str | None = None
    bytes: int | None = None
    sha256: Sha256 | None = None


class Entry(_Strict):
    """A model that can be fetched. `files` is keyed by where a file lies in the model's folder."""

    name: Annotated[str, Field(pattern=NAME)]
    about: str
    family: Family
    languages: str
    licence: Licence
    notice: str
    """Whose it is; of MIT, the line that its text begins with."""
    dimension: int | None = None
    logit_scale: float | None = None
    """With `logit_bias`: makes a probability of a cosine, sigmoid(exp(scale) * cosine + bias), as it was trained."""
    logit_bias: float | None = None
    repo: str
    revision: str | None = None
    """A commit. None: the newest when it is fetched first, and from then on that."""
    files: dict[str, Source]

    @field_validator("files")
    @classmethod
    def _stay_in_the_folder(cls, files: dict[str, Source]) -> dict[str, Source]:
        for name in files:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or len(path.parts) < 2:
                raise ValueError(f"{name!r} is no place in a model's folder, such as vision/model.onnx")
        return files

    @property
    def bytes(self) -> int | None:
        """Size of all files, as far as it is known before they are fetched."""
        sizes = [source.bytes for source in self.files.values()]
        return None if None in sizes else sum(size for size in sizes if size)

    @property
    def is_verified(self) -> bool:
        """Whether we know the hash of every file."""
        return all(source.sha256 for source in self.files.values())

    def source(self, name: str) -> tuple[str, str | None]:
        """Return the repository and the revision of a file."""
        file = self.files[name]
        return (self.repo, self.revision) if file.repo is None else (file.repo, file.revision)

    def licence_text(self) -> str:
        """Return the text of the licence, for people who get the weights from here."""
        text = (TABLE.parent / "licences" / f"{self.licence}.txt").read_text(encoding="utf-8")
        if "{notice}" in text:
            return text.replace("{notice}", self.notice)
        return f"{self.notice}\n\n{text}"


def entries(own: Path) -> dict[str, Entry]:
    """Return all entries by name, the default first: ours, then those of the file `own`, if there is one.

    Raises FatalError that names what is wrong in it.
    """
    found = _read(TABLE)
    if own.is_file():
        found |= _read(own)
    return found


def entry(known: dict[str, Entry], name: str | None) -> Entry:
    """Return the entry of a name, or the default. Raises FatalError that names those that there are."""
    if name is None:
        return next(iter(known.values()))
    if name not in known:
        raise FatalError(f"There is no model {name!r} to fetch; these are: {', '.join(known)}.")
    return known[name]


def _read(file: Path) -> dict[str, Entry]:
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
        return {name: Entry.model_validate({"name": name} | fields) for name, fields in table.items()}
    except (OSError, tomllib.TOMLDecodeError, TypeError) as error:
        raise FatalError(f"{file} is no table of models: {error}. Correct it, or take it away.") from error
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(map(str, problem["loc"])) or "an entry"
        raise FatalError(f"In {file}, {error.title} {where} cannot be used: {problem['msg']}.") from error
