"""What the `darkroom up` that started this service knows of its other parts: which of them cannot stay up."""

import os
from pathlib import Path

import orjson

WORKER = "worker-"


def failed_parts(data: Path) -> dict[str, str]:
    """Return why parts have failed: `kafka`, `qdrant`, `ml`, and `stages` for the workers. Empty without a supervisor.

    It writes `state.json` (`embedded.state`), which is nobody's where another process has started this one.
    """
    try:
        state = orjson.loads((data / "state.json").read_bytes())
        if state["pid"] != os.getppid():
            return {}
        failed = {name: part["failed"] for name, part in state["parts"].items() if part.get("failed")}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    workers = "; ".join(reason for name, reason in failed.items() if name.startswith(WORKER))
    others = {name: reason for name, reason in failed.items() if not name.startswith(WORKER)}
    return others | ({"stages": workers} if workers else {})
