"""Which models there are: those that can be had, those that are here, and which of them is in use."""

from collections.abc import Collection
from typing import Literal

from pydantic import BaseModel

from embedded.models.manifest import CAPTIONER, Manifest
from embedded.models.shelf import BUILT_IN, Measured, Shelf
from embedded.models.table import Entry, entries


class Listed(BaseModel):
    """A model. `bytes` of disk, None where that is known only once it was fetched; `partly`: bytes of an earlier try.

    `memory_bytes` and `ms_per_image` are what its trial here measured. `gives`: vectors that compare colours, or
    meaning; or captions, beside another.
    """

    name: str
    gives: Literal["colours", "meaning", "captions"]
    about: str
    here: bool
    in_use: bool
    partly: int
    bytes: int | None
    memory_bytes: int | None
    ms_per_image: float | None
    dimension: int | None
    languages: str
    licence: str
    verified: bool


def listed(shelf: Shelf, used: Collection[str]) -> list[Listed]:
    """Return all models, the one that comes along first; `used` names those in use. Raises FatalError as `entries`."""
    known, here, measured = entries(shelf.table), shelf.all(), shelf.measured()
    names = [*known, *(name for name in here if name not in known)]
    return [
        _built_in(used),
        *(
            _listed(name, known.get(name), here.get(name), measured.get(name)).model_copy(
                update={"in_use": name in used, "partly": 0 if name in here else shelf.partly(name)}
            )
            for name in names
        ),
    ]


def _built_in(used: Collection[str]) -> Listed:
    return Listed(
        name=BUILT_IN,
        gives="colours",
        about="colours and shapes; comes along, and knows no words but those of colours",
        here=True,
        in_use=BUILT_IN in used,
        partly=0,
        bytes=0,
        memory_bytes=None,
        ms_per_image=None,
        dimension=512,
        languages="none",
        licence="",
        verified=True,
    )


def _listed(name: str, known: Entry | None, here: Manifest | None, measured: Measured | None) -> Listed:
    said = here or known
    assert said is not None  # noqa: S101 - a name comes from one of the two
    return Listed(
        name=name,
        gives="captions" if said.family == CAPTIONER else "meaning",
        about=known.about if known else "",
        here=here is not None,
        in_use=False,
        partly=0,
        bytes=said.bytes,
        memory_bytes=measured.memory if here and measured else None,
        ms_per_image=measured.ms if here and measured else None,
        dimension=said.dimension,
        languages=said.languages,
        licence=said.licence,
        verified=said.is_verified,
    )
