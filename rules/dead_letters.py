"""Which dead letters may be published again, and which need not be."""

from collections.abc import Set
from typing import Literal

from rules.paths import parent_of

DeadLetterState = Literal["open", "replayed", "dropped"]


OfAMoment = Literal["forget", "purge", "sync"]
"""What a message asks for because it was wanted, or was so, at that moment: no stage does it for a replay."""
_ANEW: dict[OfAMoment, str] = {
    "forget": "It is about pictures to be forgotten, or taken in again, as someone wanted then; a replay does nothing. "
    "Use `darkroom forget` or `unforget` once more, and drop it.",
    "purge": "It is about a picture that was to be purged then; a replay does nothing. While that is due, it is asked "
    "for again each minute: drop it.",
    "sync": "It is about what had left the folder of a source then; a replay does nothing. Have it looked at by "
    "`darkroom sync`, and drop it.",
}


def why_not_again(
    state: DeadLetterState,
    attempt: int,
    restart_topic: str,
    *,
    of: OfAMoment | None,
    is_sentinel: bool,
    max_attempts: int,
    force: bool,
) -> str | None:
    """Return why a letter is not published again, or None if it is.

    `attempt`: how often it was tried, the first time included. `of`: what it asks for that a replay does not. `force`
    overrides what was decided before and the limit, but not what is impossible.
    """
    if not restart_topic:
        return "It does not say which topic restarts it (header restart-topic)."
    if of is not None:
        return _ANEW[of]
    if is_sentinel:
        return "It is an end marker without a file: close the job instead."
    if force:
        return None
    if state != "open":
        return f"It was {state} already. Force it, if you mean it."
    if attempt >= max_attempts:
        return f"It was tried {attempt} times, the limit is {max_attempts}. Mend the cause, or force it."
    return None


def is_mended(path: bytes, failed: Set[bytes]) -> bool:
    """Tell whether a file that had failed does so no more, by a later look at where it lies.

    `failed`: all that this look has failed on. Where a folder could not be read, it tells nothing of what is below it.
    """
    while path not in failed:
        if path == b"/":
            return True
        path = parent_of(path)
    return False
