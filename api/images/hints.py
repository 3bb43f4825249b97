"""What would help where a search finds nothing, or cannot compare meaning."""

from gateways.qdrant import Qdrant
from gateways.qdrant.filters import Filters
from rules.search.query import Named, Query

NO_TEXT = (
    "The model knows no text, so only words were looked up. `darkroom models get` fetches one that finds pictures by "
    "what they show, for collections that are made with it (docs/models.md)."
)
AWAY = "The ML service is away, so only words were looked up: darkroom doctor says why."


def another_model(of_collection: str | None, now: str) -> str:
    """Say why meaning could not be compared."""
    models = f"The collection was made by the model {of_collection!r}, and ML now runs {now!r}"
    return f"{models}, so only words were looked up. `darkroom models use NAME` brings the former one back."


async def of_nothing(
    qdrant: Qdrant, collection: str, query: Query, filters: Filters, *, without_meaning: str, is_ours: bool
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
    if not is_ours:
        said.append("The collection was made by another program: its words cannot be looked up.")
    if without_meaning:
        said.append(without_meaning)
    return " ".join(said) or "Try other words, or a lower min_score."


def _listed(conditions: list[Named]) -> str:
    return " and ".join(named.text for named in conditions)
