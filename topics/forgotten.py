"""`forgotten`: collections that were forgotten as a whole, each with Kafka's time of its record. Compacted.

What was published about one before that time is left out of replays, which would make the collection anew.
"""

from typing import Annotated

from pydantic import Field

from topics.limits import MAX_NAME
from topics.record import Record, Topic


class ForgottenCollection(Record):
    """A collection was forgotten, and all that is known of it."""

    collection: Annotated[str, Field(min_length=1, max_length=MAX_NAME)]


FORGOTTEN: Topic[ForgottenCollection] = Topic("forgotten", key="collection", record=ForgottenCollection, compacted=True)
