"""Which generation of a collection serves: one piece of truth, in the metadata of the collection that has the name.

Vectors of another model are made in a collection of their own, the next generation, while the former serves. One change
of the metadata switches. Qdrant cannot rename a collection, and an alias cannot have the name of one that is there: so
the first generation stays, without points once it has been followed, and says where they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from qdrant_client import models

from rules.collections import generation

_FIRST = 1


@dataclass(frozen=True, slots=True)
class Generations:
    """The numbers of a collection's generations: the one that serves, the one that is being filled, the one that goes.

    `former`: models that it was of before, and is no more. `line`: tells it from one of that name that was deleted.
    """

    serving: int = _FIRST
    filling: int | None = None
    leaving: int | None = None
    former: tuple[str, ...] = ()
    line: str | None = None

    @classmethod
    def of(cls, info: models.CollectionInfo) -> Self:
        """Read them from what Qdrant says of the collection that has the name."""
        return cls.read(info.config.metadata or {})

    @classmethod
    def read(cls, metadata: Mapping[str, Any]) -> Self:
        """Read them from metadata; one that was never embedded anew has none."""
        return cls(
            serving=metadata.get("serving") or _FIRST,
            filling=metadata.get("filling") or None,
            leaving=metadata.get("leaving") or None,
            former=tuple(metadata.get("former") or ()),
            line=metadata.get("line"),
        )

    def metadata(self) -> dict[str, Any]:
        """Return them as metadata, all at once. Qdrant leaves what is null as it was."""
        return {
            "serving": self.serving,
            "filling": self.filling or 0,
            "leaving": self.leaving or 0,
            "former": list(self.former),
            "line": self.line,
        }

    @property
    def numbers(self) -> list[int]:
        """All that are there, the one that serves first."""
        return [one for one in (self.serving, self.filling, self.leaving) if one is not None]

    def address(self, name: str) -> str:
        """Return the address of the one that serves."""
        return generation(name, self.serving)

    def switched(self, former: str, now: str) -> "Generations":
        """Return them as they are when the filled one serves. `former`, `now`: the models of the two."""
        assert self.filling is not None  # noqa: S101 - the caller has seen it
        models_before = (*(one for one in self.former if one not in (former, now)), former)
        return replace(self, serving=self.filling, filling=None, leaving=self.serving, former=models_before)
