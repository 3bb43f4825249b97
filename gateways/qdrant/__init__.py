"""Qdrant, the vector store: the only code that speaks to it.

client     what can be asked of it
schema     collections as Darkroom makes them
filters    filters of a request, as Qdrant names them
revisions  writing what follows from what was read
pages      reading in an order, page by page
measure    how long it takes to answer
errors     its errors, as ours
records    what it holds
lean       its client, without what comes along
"""

from gateways.qdrant.lean import without_fastembed

with without_fastembed():
    import qdrant_client  # noqa: F401 - before all that is below

from gateways.qdrant.client import Qdrant
from gateways.qdrant.records import CollectionInfo, Hit, Point, Record

__all__ = ["CollectionInfo", "Hit", "Point", "Qdrant", "Record"]
