"""Vectors that pictures are to be near, and what nearness means."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

SURE = 0.5
"""Probability from which on a model says rather yes than no."""
MAYBE = 0.05
"""Probability from which on a picture is worth a look: models with a sigmoid are stingy, as most pairs do not match."""

_MOST_SCALE = 20.0
"""Of a logarithm: training stops at 4.6 (CLIP) or about 4.8 (SigLIP)."""


def target(like: Sequence[Sequence[float]], unlike: Sequence[Sequence[float]]) -> list[float]:
    """Return a vector near to some and away from others, as Qdrant's recommendation by `average_vector` has it.

    Raises ValueError where they take each other away.
    """
    near, away = _mean(like), _mean(unlike)
    if not unlike:
        found = near
    elif not like:
        found = [-value for value in away]
    else:
        found = [2 * a - b for a, b in zip(near, away, strict=True)]
    if not any(found):
        raise ValueError("these pictures take each other away")
    return found


def _mean(vectors: Sequence[Sequence[float]]) -> list[float]:
    return [sum(values) / len(vectors) for values in zip(*vectors, strict=True)]


@dataclass(frozen=True, slots=True)
class TrainedScale:
    """What a model that was trained with a sigmoid makes of a cosine: how probable it is that a text fits a picture.

    SigLIP (Zhai et al., 2023, "Sigmoid Loss for Language Image Pre-Training", algorithm 1): sigmoid(exp(scale) * cosine
    + bias); `scale` and `bias` as the model's files have them, `logit_scale` and `logit_bias`.
    """

    scale: float
    bias: float

    @staticmethod
    def of(scale: float | None, bias: float | None) -> "TrainedScale | None":
        """Return the scale, if both are told and are such as training leaves."""
        if scale is None or bias is None or not math.isfinite(scale + bias) or abs(scale) > _MOST_SCALE:
            return None
        return TrainedScale(scale, bias)

    def probability(self, cosine: float) -> float:
        """Return the probability for a cosine."""
        logit = math.exp(self.scale) * cosine + self.bias
        odds = math.exp(-abs(logit))
        return 1 / (1 + odds) if logit >= 0 else odds / (1 + odds)

    def cosine(self, probability: float) -> float:
        """Return the cosine from which on the probability is so high; -1 where it always is."""
        if not 0 < probability < 1:
            return -1.0 if probability <= 0 else 1.0
        return max(-1.0, min(1.0, (math.log(probability / (1 - probability)) - self.bias) / math.exp(self.scale)))
