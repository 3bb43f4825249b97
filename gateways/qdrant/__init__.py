"""Qdrant, the vector store: the only code that speaks to it.

client      all that can be asked of it, which is
collections   of collections
points        of points, by their ids
finding       of points, by what they are
searching     of points, by a query of the search box
paths         of the paths of a content that has very many
succession  of the generations of a collection, of which one serves
survey      of what points lack
connection  what these share
generations   which of them serves
schema      collections as Darkroom makes them
storage     how they are kept: on disk, in eight bits
filters     filters of a request, as Qdrant names them
revisions   writing what follows from what was read
path_lists  the collections beside ours that hold further paths
pages       reading in an order, page by page
ranking     the order of hits, without the hits
words       conditions and scores of words
filling     words for points that have none
measure     how long it takes to answer
errors      its errors, as ours
records     what it holds
lean        its client, without what comes along
"""

from gateways.qdrant.lean import without_fastembed

with without_fastembed():
    import qdrant_client  # noqa: F401 - before all that is below

from gateways.qdrant.client import Qdrant
from gateways.qdrant.records import BoundCollection, CollectionInfo, Hit, ListedPoint, Ranked, Storage
from rules.payload import Point

__all__ = ["BoundCollection", "CollectionInfo", "Hit", "ListedPoint", "Point", "Qdrant", "Ranked", "Storage"]
