"""What ML offers, by model, and how many pictures go to it at once; used by embed."""

from typing import NamedTuple

import structlog

from core.errors import MLUnavailableError
from gateways.ml import ML, Capabilities
from rules.batching import batch_size
from topics.ml_request import MLRequest

# What ML offers is not used beyond this without ML_INFERENCE_BATCH_SIZE: it bounds the memory of the window.
LARGEST_BATCH = 128
# While ML has not said what it can take.
SMALLEST_BATCH = 32

log = structlog.get_logger()


class Kind(NamedTuple):
    """What pictures must share to go to ML in one request. Without `embed`, captions alone are asked for."""

    model_id: str
    caption: bool
    embed: bool


def kind_of(request: MLRequest) -> Kind:
    """Return the kind of a picture."""
    return Kind(request.model_id, request.caption, request.known is None)


class Offers:
    """`setting` is ML_INFERENCE_BATCH_SIZE; `limit` what was learned from ML running out of memory."""

    def __init__(self, ml: ML, setting: int | None) -> None:
        self._ml = ml
        self._setting = setting
        # By the model that was asked for: a service that runs one alone answers as that.
        self._said: dict[str, Capabilities] = {}
        self._asked: set[str] = set()
        self.limit: int | None = None

    async def ask_once(self, model_id: str) -> None:
        """Ask before the first batch of a model, if ML answers now."""
        if model_id in self._asked:
            return
        self._asked.add(model_id)
        try:
            said = await self.of(model_id)
        except MLUnavailableError:
            return
        _, warning = batch_size(self._setting, said, caption=False)
        if warning:
            log.warning("ml-batch-size", reason=warning, stage="embed")

    async def of(self, model_id: str) -> Capabilities:
        """Return what ML says of a model, or of itself where it has not that. Raises MLUnavailableError, FatalError."""
        if model_id not in self._said:
            self._said[model_id] = await self._ml.capabilities(model_id)
        return self._said[model_id]

    def forget(self) -> None:
        """Ask again: ML may have come back as another one."""
        self._said.clear()

    def size(self, kind: Kind) -> int:
        """Return how many pictures go into one request."""
        said = self._said.get(kind.model_id)
        if said is None:
            size = self._setting or SMALLEST_BATCH
        else:
            size, _ = batch_size(self._setting, said, caption=kind.caption)
            size = size if self._setting else min(size, LARGEST_BATCH)
        return size if self.limit is None else min(size, self.limit)
