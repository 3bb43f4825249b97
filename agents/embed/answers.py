"""What ML answered, kept for a while: a content that is asked for again costs no second call.

What a killed stage had not committed is done again, and so `embed` may get a request twice: when
hash or prepare were killed, or when a rebalance hands it the same messages anew.
"""

import asyncio
from array import array
from collections import OrderedDict
from dataclasses import dataclass

# With vectors of 512 dimensions, about 16 MiB.
REMEMBERED = 4096
MAX_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    """The embedding of a content, and its caption where one was asked for."""

    vector: "array[float]"
    caption: str | None

    @property
    def size(self) -> int:
        """Bytes in memory, about."""
        return len(self.vector) * self.vector.itemsize + 4 * len(self.caption or "")


@dataclass(frozen=True, slots=True)
class Question:
    """What ML's answer depends on, and the file that asks: another one means a claim that was made anew, on purpose."""

    file_id: str
    sha256: str
    model_id: str
    caption: bool


class Answers:
    """The newest `limit` questions, with at most `max_bytes` of answers.

    Each is a future, whose result is None where ML had no answer.
    """

    def __init__(self, limit: int = REMEMBERED, max_bytes: int = MAX_BYTES) -> None:
        self._limit = limit
        self._max_bytes = max_bytes
        self._bytes = 0
        self._asked: OrderedDict[Question, asyncio.Future[Answer | None]] = OrderedDict()

    def earlier(self, question: Question) -> "asyncio.Future[Answer | None] | None":
        """Return what was or will be answered to this question; None where it is new."""
        found = self._asked.get(question)
        if found is not None:
            self._asked.move_to_end(question)
        return found

    def ask(self, question: Question) -> None:
        """Note that a question goes to ML."""
        self._asked[question] = asyncio.get_running_loop().create_future()
        self._forget_oldest()

    def answer(self, question: Question, answer: Answer | None) -> None:
        """Note what ML answered. What it could not answer may be asked again."""
        asked = self._asked.get(question)
        if asked is None or asked.done():
            return
        asked.set_result(answer)
        if answer is None:
            del self._asked[question]
            return
        self._bytes += answer.size
        self._forget_oldest()

    def _forget_oldest(self) -> None:
        # One that is still with ML has somebody who waits for it; those are as few as the window is wide.
        while len(self._asked) > self._limit or self._bytes > self._max_bytes:
            oldest = next(iter(self._asked))
            if not self._asked[oldest].done():
                return
            forgotten = self._asked.pop(oldest).result()
            self._bytes -= 0 if forgotten is None else forgotten.size
