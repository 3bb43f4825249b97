"""How well a model finds pictures by texts that people wrote about them: the share of the texts that find theirs."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

FIRST = (1, 5, 10)
"""Among how many pictures, the best first, a text is to find its own."""


@dataclass(frozen=True, slots=True)
class Caption:
    """A text about a picture, and the line that it stands in."""

    line: int
    file: str
    text: str


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a line."""

    line: int
    reason: str


class _Line(BaseModel):
    file: str
    text: str | list[str]


def captions(lines: Iterable[bytes]) -> Iterator[Caption | Fault]:
    """Read JSON lines with `file` and `text`, one text or several; empty lines are passed over."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            said = _Line.model_validate(json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8")))
        except UnicodeDecodeError:
            yield Fault(number, "it is not UTF-8")
        except json.JSONDecodeError as error:
            yield Fault(number, f"it is no JSON ({error.msg} at column {error.colno})")
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in problem["loc"][:1])
            yield Fault(
                number, f'it must look like {{"file": "a.jpg", "text": "a dog"}} ({where or "all of it"} does not)'
            )
        else:
            texts = [said.text] if isinstance(said.text, str) else said.text
            if not texts or not all(text.strip() for text in texts):
                yield Fault(number, "its text is empty")
            else:
                yield from (Caption(number, said.file, text) for text in texts)


def ranks(pictures: NDArray[np.float64], texts: NDArray[np.float64], own: Sequence[int]) -> list[int]:
    """Return at which place, from 1, each text finds its own picture; of pictures that are as near, that is the last.

    `pictures` and `texts` have vectors of length 1, shape (number, dimension); `own` is the picture of each text.
    """
    found = []
    for text, right in zip(texts, own, strict=True):
        near = pictures @ text
        found.append(int(np.count_nonzero(near >= near[right])))
    return found


def recall(places: Sequence[int]) -> dict[int, float]:
    """Return the share of the texts, from 0 to 1, that find theirs among the first 1, 5 and 10."""
    return {first: sum(place <= first for place in places) / len(places) for first in FIRST}
