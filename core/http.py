"""What httpx is spared in each process that sends requests with it."""

import sys
from importlib.util import find_spec


def without_sniffio() -> None:
    """Let httpcore know at once that sniffio is not installed, where it is not.

    It asks at each request, and several times: Python then looks through all folders that it imports from, which takes
    longer than the request to a service of this machine.
    """
    if "sniffio" not in sys.modules and find_spec("sniffio") is None:
        sys.modules["sniffio"] = None  # type: ignore[assignment]
