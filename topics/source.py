"""`source`: a folder that is kept in step, as it is wanted. Compacted: the newest record of a name holds.

A message without a value removes the source. What is wanted stands here alone: whoever may write here, such as the API,
may add a source, change it, pause it and remove it.
"""

from typing import Annotated

from pydantic import Field

from topics.limits import AbsolutePath, Name, Paths
from topics.record import Record, Topic

SOURCE_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
SourceName = Annotated[str, Field(pattern=SOURCE_NAME)]
LEAST_SECONDS = 60
MOST_SECONDS = 366 * 24 * 3600


class Source(Record):
    """A folder whose pictures are those of a collection.

    `every_seconds`: how often it is looked at; None: once as it is added, and when someone asks. `watch`: also whenever
    the system tells of a change in it.
    `exclude`: what is left out, in gitignore's form. `roots`: as in topics.files, of every file that is found.
    """

    name: SourceName
    folder: AbsolutePath
    collection: Name
    every_seconds: Annotated[int, Field(ge=LEAST_SECONDS, le=MOST_SECONDS)] | None = None
    watch: bool = False
    exclude: Paths = []
    caption: bool = False
    roots: Paths | None = None
    paused: bool = False
    # Raised to take what the folder is on now for right, where it was on something else before.
    accepted: int = 0


SOURCE: Topic[Source] = Topic(
    "source", key="name", record=Source, compacted=True, event_id=lambda source, _: source.name
)
