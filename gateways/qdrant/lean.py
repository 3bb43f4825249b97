"""qdrant-client without fastembed."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_fastembed() -> Iterator[None]:
    """Hide fastembed meanwhile.

    qdrant-client imports it where it is installed, for models of its own that nobody here uses: that costs
    half a second, and the memory of the ONNX runtime, in each process.
    """
    missing = object()
    hidden = sys.modules.get("fastembed", missing)
    sys.modules["fastembed"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["fastembed"]
        if hidden is not missing:
            sys.modules["fastembed"] = hidden  # type: ignore[assignment]
