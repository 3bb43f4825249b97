"""How many images go into one request to ML."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

Item = TypeVar("Item")


class SafeBatches(Protocol):
    """What ML says it can take at once, in images."""

    @property
    def safe_clip_batch(self) -> int:
        """Images that can be embedded at once."""

    @property
    def safe_blip_batch(self) -> int:
        """Images that can be captioned at once."""


def batch_size(setting: int | None, capabilities: SafeBatches, caption: bool) -> tuple[int, str | None]:
    """Images in one request, and a warning when that is more than ML calls safe.

    `setting` (`ML_INFERENCE_BATCH_SIZE`) overrides what ML offers: whoever set it may know
    the machine better. With captions both models run, so the smaller of their limits counts.
    """
    safe = capabilities.safe_clip_batch
    if caption:
        safe = min(safe, capabilities.safe_blip_batch)
    if setting is None:
        return safe, None
    if setting > safe:
        return setting, (
            f"ML_INFERENCE_BATCH_SIZE is {setting}, but the ML service calls {safe} images safe"
            f"{' with captions' if caption else ''}: it may run out of memory. Lower or unset it."
        )
    return setting, None


def halves(items: Sequence[Item]) -> tuple[Sequence[Item], Sequence[Item]]:
    """Split two or more items into two parts that differ by at most one; the first is not the smaller.

    Raises ValueError for fewer than two items: one cannot be split.
    """
    if len(items) < 2:
        raise ValueError(f"{len(items)} items cannot be split in two")
    middle = (len(items) + 1) // 2
    return items[:middle], items[middle:]
