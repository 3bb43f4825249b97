"""Qdrant, the vector store: the only code that speaks to it.

client     what can be asked of it
schema     collections as Darkroom makes them
filters    filters of a request, as Qdrant names them
pages      reading in an order, page by page
measure    how long it takes to answer
errors     its errors, as ours
records    what it holds
"""

import sys

# qdrant-client imports fastembed where that is installed, for models of its own that nobody here uses:
# half a second and the ONNX runtime in each process.
if "fastembed" not in sys.modules:
    sys.modules["fastembed"] = None  # type: ignore[assignment]
    import qdrant_client  # noqa: F401

    del sys.modules["fastembed"]

from gateways.qdrant.client import Qdrant
from gateways.qdrant.records import CollectionInfo, Hit, Point, Record

__all__ = ["CollectionInfo", "Hit", "Point", "Qdrant", "Record"]
