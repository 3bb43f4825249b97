"""`forgotten`: collections that were forgotten as a whole, each with Kafka's time of its record. Compacted.

What was published about one before that time is left out of replays, which would make the collection anew.
"""

from topics.limits import Name
from topics.record import Record, Topic


class ForgottenCollection(Record):
    """A collection was forgotten, and all that is known of it."""

    collection: Name


FORGOTTEN: Topic[ForgottenCollection] = Topic("forgotten", key="collection", record=ForgottenCollection, compacted=True)
