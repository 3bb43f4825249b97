"""What a model's folder says of itself, and whether that is so."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ValidationError

from core.errors import FatalError

MANIFEST = "model.json"
LICENCE = "LICENSE"
CAPTIONER = "captioner"
"""The family of models that describe pictures; one may be in use beside one that compares them."""


class FileFact(BaseModel):
    """What a file is. `pinned`: its hash is one of ours; else it is what came first."""

    bytes: int
    sha256: str
    pinned: bool


class Manifest(BaseModel):
    """What a model's folder says of itself. `sources`: the commit of each repository that its files came from."""

    name: str
    family: str
    languages: str
    licence: str
    dimension: int | None = None
    logit_scale: float | None = None
    logit_bias: float | None = None
    sources: dict[str, str]
    files: dict[str, FileFact]
    fetched_at: str

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(file.bytes for file in self.files.values())

    @property
    def is_verified(self) -> bool:
        """Whether each file was compared with a hash of ours."""
        return all(file.pinned for file in self.files.values())


def read_manifest(folder: Path) -> Manifest:
    """Read what a model's folder says of itself. Raises FatalError where it says nothing that can be read."""
    file = folder / MANIFEST
    try:
        return Manifest.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        raise FatalError(
            f"The model {folder.name!r} is not here ({file} does not exist). `darkroom models list` shows which are, "
            "and `darkroom models get NAME` fetches one."
        ) from None
    except (OSError, ValidationError) as error:
        raise FatalError(
            f"{file} cannot be read. Remove the model with `darkroom models remove {folder.name}`, and fetch it again."
        ) from error


def faults(folder: Path, manifest: Manifest) -> Iterator[str]:
    """Compare a model's files with what its manifest says of them; yield what is wrong, in words."""
    for name, fact in manifest.files.items():
        file = folder / name
        if not file.is_file():
            yield f"{file} is missing"
        elif file.stat().st_size != fact.bytes:
            yield f"{file} has {file.stat().st_size} bytes in place of {fact.bytes}"
        elif (found := sha256(file)) != fact.sha256:
            yield f"{file} has other content: its SHA-256 is {found} in place of {fact.sha256}"


def model_id_of(folder: Path, manifest: Manifest) -> str:
    """Return the id of a model that compares pictures: named by its content, other weights are another model."""
    weights = "vision/model.onnx"
    fact = manifest.files.get(weights)
    return f"{manifest.family}-{(fact.sha256 if fact else sha256(folder / weights))[:12]}"


def sha256(file: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def megabytes(count: int) -> str:
    """Return a number of bytes as people read it."""
    return f"{count / 1e6:,.0f} MB"
