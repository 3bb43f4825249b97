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


@dataclass(frozen=True, slots=True)
class Answer:
    """The embedding of a content, and its caption where one was asked for."""

    vector: "array[float]"
    caption: str | None


@dataclass(frozen=True, slots=True)
class Question:
    """What ML's answer depends on, and the file that asks: another one means a claim that was made anew, on purpose."""

    file_id: str
    sha256: str
    model_id: str
    caption: bool


class Answers:
    """The newest `limit` questions; each is a future, whose result is None where ML had no answer."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._limit = limit
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
        # One that is still with ML has somebody who waits for it; those are as few as the window is wide.
        while len(self._asked) > self._limit and self._asked[oldest := next(iter(self._asked))].done():
            del self._asked[oldest]

    def answer(self, question: Question, answer: Answer | None) -> None:
        """Note what ML answered. What it could not answer may be asked again."""
        asked = self._asked.get(question)
        if asked is None or asked.done():
            return
        asked.set_result(answer)
        if answer is None:
            del self._asked[question]
