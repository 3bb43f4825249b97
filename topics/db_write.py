"""`db-write`: one point to be upserted, and the outcome that its file has once Qdrant confirmed it."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Tag

from topics.content import Content
from topics.departure import Left, LeftEnd, Tally
from topics.erasure import Erase
from topics.files import HashedFileOfJob, Sha256
from topics.limits import Name
from topics.record import Topic


class DBWrite(HashedFileOfJob):
    """A point of Qdrant: its id follows from the SHA-256, its vector and payload from `content`.

    `former`: the content that its path held before, where this one differs in metadata alone. A new point goes on with
    the history of that one's.
    """

    point_id: Name
    outcome: Literal["stored", "cached", "duplicate"]
    content: Content
    former: Sha256 | None = None


AnyDBWrite = DBWrite | Left | LeftEnd | Tally | Erase


def _kind(value: Any) -> str:
    """Return what a record is: a point to be written has no kind, as in version 0.1.0."""
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return kind if isinstance(kind, str) else "point"


_Record = Annotated[
    Annotated[DBWrite, Tag("point")]
    | Annotated[Left, Tag("left")]
    | Annotated[LeftEnd, Tag("left-end")]
    | Annotated[Tally, Tag("tally")]
    | Annotated[Erase, Tag("erase")],
    Discriminator(_kind),
]
DB_WRITE: Topic[AnyDBWrite] = Topic("db-write", key="sha256", record=_Record, has_bundles=True, brings_files=True)
