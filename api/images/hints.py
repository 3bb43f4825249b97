"""What would help where a search finds nothing, or cannot compare meaning."""

from dataclasses import dataclass
from typing import Literal

from gateways.qdrant import Qdrant
from gateways.qdrant.filters import Filters
from rules.search.query import Named, Query

Lacks = Literal["text-model", "same-model", "ml"]
"""What is missing to compare meaning: a model that knows text, the model that the collection is of, or ML itself."""


@dataclass(frozen=True, slots=True)
class Lack:
    """Why meaning could not be compared: the kind, and in words for a person."""

    kind: Lacks
    text: str


AWAY = Lack("ml", "The ML service is away, so only words were looked up: darkroom doctor says why.")


def no_text(collection: str, *, is_ours: bool) -> Lack:
    """Say that the model knows no text, and what brings one that does; `is_ours`: the ML service can get it."""
    mend = "`darkroom models get` fetches one that finds pictures by what they show"
    if not is_ours:
        mend += ", which the ML service that ML_INFERENCE_SERVICE_URL names has to run"
    anew = f"`darkroom reembed {collection} --model NAME` has this collection found so, too (docs/models.md)."
    return Lack("text-model", f"The model knows no text, so only words were looked up. {mend}; {anew}")


def another_model(collection: str, its: str | None, now: str) -> Lack:
    """Say that a collection is of another model than ML runs."""
    models = f"The collection was made by the model {its!r}, and ML now runs {now!r}, so only words were looked up."
    mend = f"`darkroom models use NAME` brings the former one back, and `darkroom reembed {collection} --model NAME`"
    return Lack("same-model", f"{models} {mend} gives the collection vectors of the one that runs.")


async def of_nothing(
    qdrant: Qdrant,
    collection: str,
    query: Query,
    filters: Filters,
    *,
    lack: Lack | None,
    is_ours: bool,
    by_colour: bool,
) -> str:
    """Say what would help: which condition no picture meets, or which words none has."""
    said = []
    if not await qdrant.count(collection):
        return "The collection is empty."
    unmet = [named for named in query.must if not await qdrant.count_named(collection, named)]
    if unmet:
        said.append(f"No picture meets {_listed(unmet)}.")
    elif filters and not await qdrant.count(collection, filters):
        said.append("No picture meets the filters.")
    elif query.must or query.must_not or filters:
        said.append("No picture meets all conditions at once: take one away.")
    if query.words and not unmet:
        words = ", ".join(f"“{word.text}”" for word in query.words)
        if not (query.must or query.must_not or filters):
            said.append(f"No picture has {words} in its tags, title, names, camera, caption or date.")
    if by_colour:
        said.append("Nor has one much of that colour." if said else "No picture has much of that colour.")
    if not is_ours:
        said.append("The collection was made by another program: its words cannot be looked up.")
    if lack:
        said.append(lack.text)
    return " ".join(said) or "Try other words, or a lower min_score."


def _listed(conditions: list[Named]) -> str:
    return " and ".join(named.text for named in conditions)
