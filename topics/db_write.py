"""`db-write`: one point to be upserted, and the outcome that its file has once Qdrant confirmed it."""

from typing import Literal

from topics.content import Content
from topics.files import HashedFileOfJob
from topics.limits import Name
from topics.record import Topic


class DBWrite(HashedFileOfJob):
    """A point of Qdrant: its id follows from the SHA-256, its vector and payload from `content`."""

    point_id: Name
    outcome: Literal["stored", "cached", "duplicate"]
    content: Content


DB_WRITE: Topic[DBWrite] = Topic("db-write", key="sha256", record=DBWrite, has_bundles=True, brings_files=True)
