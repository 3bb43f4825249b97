"""Words of a query, as Qdrant looks them up: through indexes of the texts that `rules.search.lookup` makes.

A hit has one of the words at least. Its score is BM25 as Qdrant computes it (k1 1.2, b 0.75; Robertson & Zaragoza,
"The Probabilistic Relevance Framework", 2009), summed over whole words and, at half the weight, words that only begin
so; times the square of the share of the query's words that the hit has (`coord` of Lucene's classic similarity is the
share): a picture with both of two words comes before one that has the rarer one as a tag.
"""

from collections.abc import Sequence

from qdrant_client import models

from gateways.qdrant.filters import TEXT_FIELDS, to_filter
from rules.search.lookup import END, LETTERS, VERSION, WORDS
from rules.search.query import Condition, InField, Known, Named, Phrase, Query, Wanted, Word

_TEXT, _STARTS, _FIELDS = f"{WORDS}.text", f"{WORDS}.starts", f"{WORDS}.fields"
_WEIGHTS = {_TEXT: 1.0, _STARTS: 0.5}
_OLD_WEIGHT = 0.001
VERSION_FIELD = f"{WORDS}.v"
_LONGEST_START = 24
"""Characters by which words are found by their beginning: of longer ones the first."""


_BY_START = models.TextIndexParams(
    type=models.TextIndexType.TEXT,
    tokenizer=models.TokenizerType.PREFIX,
    min_token_len=1,
    max_token_len=_LONGEST_START,
    lowercase=False,
)
INDEXES: dict[str, models.PayloadSchemaType | models.TextIndexParams] = {
    _TEXT: models.TextIndexParams(
        type=models.TextIndexType.TEXT,
        tokenizer=models.TokenizerType.WHITESPACE,
        lowercase=False,
        phrase_matching=True,
        scoring=True,
    ),
    _STARTS: _BY_START.model_copy(update={"scoring": True}),
    _FIELDS: _BY_START,
    VERSION_FIELD: models.PayloadSchemaType.INTEGER,
}


def without_words() -> models.Filter:
    """Match points whose words are missing, or of an earlier version."""
    return models.Filter(must_not=[models.FieldCondition(key=VERSION_FIELD, range=models.Range(gte=float(VERSION)))])


def narrowed(query: Query, where: models.Filter | None) -> models.Filter:
    """Match what must and must not be, and what `where` matches. Raises RequestError(422)."""
    unliked = [*query.like, *query.unlike]
    must_not = [_condition(named.condition) for named in query.must_not]
    if unliked:
        must_not.append(models.HasIdCondition(has_id=list(unliked)))
    must = [_condition(named.condition) for named in query.must]
    return models.Filter(must=[*must, *([where] if where else [])] or None, must_not=must_not or None)


def alone(named: Named) -> models.Filter:
    """Match what one condition of a query matches."""
    return models.Filter(must=[_condition(named.condition)])


def with_a_word(query: Query, base: models.Filter, *, is_filled: bool) -> models.Filter:
    """Match those of `base` that have one of the words at least. Beside a phrase, none need be.

    Not `is_filled`: there are pictures without words yet. Of these, captions and names of files are looked through.
    """
    if len(query.sought) > len(query.words) or not query.words:
        return base
    found = [_condition(word) for word in query.words]
    if not is_filled:
        found.append(_in_the_old_way(query))
    return models.Filter(must=[base, models.Filter(should=found)])


def _in_the_old_way(query: Query) -> models.Filter:
    """Match pictures without words that have one of the query's words, as Qdrant cuts them."""
    parts = dict.fromkeys(part for word in query.words for part in word.ways[0])
    places: list[models.Condition] = [
        models.FieldCondition(key=field, match=models.MatchTextAny(text_any=" ".join(parts))) for field in TEXT_FIELDS
    ]
    return models.Filter(must=[without_words(), models.Filter(should=places)])


def ranked(query: Query, where: models.Filter, limit: int, *, is_filled: bool) -> models.Prefetch:
    """Return what gives the `limit` best points with a word of the query, with their scores.

    Those without words yet, if not all are filled, come last.
    """
    asked = {field: words for field, words in zip(_WEIGHTS, _all_words(query.sought), strict=True) if words}
    prefetch = [
        models.Prefetch(query=models.TextQuery(text=" ".join(words)), using=field, filter=where, limit=limit)
        for field, words in asked.items()
    ]
    scores = [models.MultExpression(mult=[_WEIGHTS[field], f"$score[{at}]"]) for at, field in enumerate(asked)]
    has: list[models.Expression] = [models.Filter(should=[_condition(word)]) for word in query.sought]
    share = models.DivExpression(div=models.DivParams(left=models.SumExpression(sum=has), right=float(len(has))))
    formula: models.Expression = models.MultExpression(mult=[models.SumExpression(sum=[*scores]), share, share])
    defaults = {f"$score[{at}]": 0.0 for at in range(len(prefetch))}
    if not is_filled:
        prefetch.append(models.Prefetch(filter=models.Filter(must=[where, without_words()]), limit=limit))
        last = models.MultExpression(mult=[_OLD_WEIGHT, without_words()])
        formula = models.SumExpression(sum=[formula, last])
    return models.Prefetch(
        prefetch=prefetch, query=models.FormulaQuery(formula=formula, defaults=defaults), limit=limit
    )


def _all_words(sought: Sequence[Word | Phrase]) -> tuple[list[str], list[str]]:
    """Return the words that are scored whole, and those that are scored by their beginning."""
    words = [one for one in sought if isinstance(one, Word)]
    phrases = [one.words for one in sought if isinstance(one, Phrase)]
    ways = [way for word in words for way in word.ways]
    begun = [way for word in words if word.is_begun for way in word.ways]
    whole = dict.fromkeys(part for way in (*ways, *phrases) for part in way)
    return list(whole), list(dict.fromkeys(part for way in begun for part in way))


def _condition(wanted: Condition) -> models.Condition:
    match wanted:
        case Word():
            return models.Filter(should=[place for way in wanted.ways for place in _places(way, wanted.is_begun)])
        case Phrase():
            return models.FieldCondition(key=_TEXT, match=models.MatchPhrase(phrase=" ".join(wanted.words)))
        case InField():
            return models.Filter(should=[_in_field(wanted, way) for way in wanted.ways])
        case Known():
            empty = [models.IsEmptyCondition(is_empty=models.PayloadField(key=field)) for field in wanted.fields]
            return models.Filter(should=[models.Filter(must_not=[one]) for one in empty])
        case Wanted():
            filters = [to_filter({wanted.field: value}) for value in wanted.values]
            return models.Filter(should=[one for one in filters if one])


def _places(way: tuple[str, ...], is_begun: bool) -> list[models.Condition]:
    text = models.MatchText(text=" ".join(way))
    return [models.FieldCondition(key=field, match=text) for field in ((_TEXT, _STARTS) if is_begun else (_TEXT,))]


def _in_field(wanted: InField, way: tuple[str, ...]) -> models.Condition:
    letter = LETTERS[wanted.field]
    *first, last = [f"{letter}{word}" for word in way]
    words = [*(f"{word}{END}" for word in first), last if wanted.is_begun else f"{last}{END}"]
    return models.FieldCondition(key=_FIELDS, match=models.MatchText(text=" ".join(words)))
