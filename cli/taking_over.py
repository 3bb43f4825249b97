"""Has the ML service of a Darkroom that runs here take over a model at once, as the page does."""

from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import httpx

from core.errors import FatalError
from embedded import state

PART = "ml"
LOADING_SECONDS = 600.0
ASKING_SECONDS = 10.0

Took = Literal["took over", "was told another", "does not answer"]


def take_over(data: Path, name: str) -> Took | None:
    """Have a model used that is here; None where no ML service of our own runs from this data folder.

    A service that was told its model at its start, and one that does not answer, stay as they are. Raises FatalError
    where the model cannot be used: the former one runs on.
    """
    running = state.read(data)
    if running is None or PART not in running.parts:
        return None
    url = f"{running.addresses['ML_INFERENCE_SERVICE_URL']}/api/v1/models"
    with httpx.Client(timeout=ASKING_SECONDS, trust_env=False) as client:
        try:
            if _answer(client.get(url)).get("fixed"):
                return "was told another"
            used = client.post(f"{url}/{quote(name, safe='')}/use", timeout=LOADING_SECONDS)
        except httpx.TransportError:
            return "does not answer"
    if not used.is_success:
        reason = _answer(used).get("detail", f"The ML service at {url} answers {used.status_code}.")
        raise FatalError(f"{reason} What was in use stays in use.")
    return "took over"


def _answer(response: httpx.Response) -> dict[str, Any]:
    try:
        answer = response.json()
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}
