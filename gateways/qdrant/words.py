"""Words of a query, as Qdrant looks them up: through indexes of the texts that `rules.search.lookup` makes.

A hit has one of the words at least. Its score is BM25 as Qdrant computes it (k1 1.2, b 0.75; Robertson & Zaragoza,
"The Probabilistic Relevance Framework", 2009); plus half of the same rarity for words that only begin so; times the
square of the share of the query's words that the hit has (`coord` of Lucene's classic similarity is the share): a
picture with both of two words comes before one that has the rarer one as a tag.
"""

import math
from collections.abc import Mapping, Sequence

from qdrant_client import models

from gateways.qdrant.filters import TEXT_FIELDS, to_filter
from rules.search.lookup import BEGUN, LETTERS, VERSION, WHOLE, WORDS
from rules.search.query import Condition, InField, Known, Named, Phrase, Query, Wanted, Word

VERSION_FIELD = f"{WORDS}.v"
_TEXT, _MARKED = f"{WORDS}.text", f"{WORDS}.marked"
_BEGUN_WEIGHT = 0.5
_OLD_WEIGHT = 0.001
INDEXES: dict[str, models.PayloadSchemaType | models.TextIndexParams | models.KeywordIndexParams] = {
    _TEXT: models.TextIndexParams(
        type=models.TextIndexType.TEXT,
        tokenizer=models.TokenizerType.WHITESPACE,
        lowercase=False,
        phrase_matching=True,
        scoring=True,
    ),
    _MARKED: models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, prefix=True),
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


def or_all(where: models.Filter) -> models.Filter | None:
    """Return None for a filter that says nothing: Qdrant would ask it about each point."""
    return where if where.must or where.must_not or where.should else None


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


def begun(query: Query) -> dict[Word, models.Filter]:
    """Return what matches the beginnings of words, for the words that are looked for so."""
    return {word: models.Filter(should=_beginnings(word)) for word in query.words if word.is_begun}


def ranked(
    query: Query, where: models.Filter, limit: int, *, points: int, have: Mapping[Word, int], is_filled: bool
) -> models.Prefetch:
    """Return what gives the `limit` best points with a word of the query, with their scores, and some more.

    `where`: what else holds for them. `have`: how many of all `points` have words that begin as a word of the query.
    Those without words yet, if not all are filled, come last.
    """
    parts = [way for one in query.sought for way in ([one.words] if isinstance(one, Phrase) else one.ways)]
    others = [(word,) for one in query.sought if isinstance(one, Phrase) for word in one.others]
    whole = dict.fromkeys(part for way in (*parts, *others) for part in way)
    text, having = models.TextQuery(text=" ".join(whole)), _with_a_whole_word(query, where)
    prefetch = [models.Prefetch(query=text, using=_TEXT, filter=having, limit=limit)]
    scores: list[models.Expression] = ["$score[0]"]
    for word, beginning in begun(query).items():
        prefetch.append(models.Prefetch(filter=models.Filter(must=[where, beginning]), limit=limit))
        scores.append(models.MultExpression(mult=[_BEGUN_WEIGHT * _rarity(points, have[word]), beginning]))
    has: list[models.Expression] = [models.Filter(should=[_condition(word)]) for word in query.sought]
    share = models.DivExpression(div=models.DivParams(left=models.SumExpression(sum=has), right=float(len(has))))
    formula: models.Expression = models.MultExpression(mult=[models.SumExpression(sum=scores), share, share])
    if not is_filled:
        prefetch.append(models.Prefetch(filter=models.Filter(must=[where, _in_the_old_way(query)]), limit=limit))
        last = models.MultExpression(mult=[_OLD_WEIGHT, without_words()])
        formula = models.SumExpression(sum=[formula, last])
    # All that were fetched: of those that have one score, Qdrant would leave out any.
    return models.Prefetch(
        prefetch=prefetch,
        query=models.FormulaQuery(formula=formula, defaults={"$score[0]": 0.0}),
        limit=limit * len(prefetch),
    )


def _with_a_whole_word(query: Query, where: models.Filter) -> models.Filter | None:
    """Match those that the words of the query find in texts, where each of their parts would find more."""
    if len(query.sought) > len(query.words) or all(len(way) == 1 for word in query.words for way in word.ways):
        return or_all(where)
    return models.Filter(must=[where, models.Filter(should=[one for word in query.words for one in _whole(word)])])


def _rarity(points: int, have: int) -> float:
    """Return the inverse document frequency, as BM25 of Qdrant and Lucene has it."""
    return math.log(1 + (max(points, have) - have + 0.5) / (have + 0.5))


def _condition(wanted: Condition) -> models.Condition:
    match wanted:
        case Word():
            return models.Filter(should=[*_whole(wanted), *(_beginnings(wanted) if wanted.is_begun else [])])
        case Phrase():
            others = _anywhere([(word,) for word in wanted.others])
            return models.Filter(should=[_phrase(wanted.words), *others])
        case InField():
            return models.Filter(should=[_in_field(wanted, way) for way in wanted.ways])
        case Known():
            return models.Filter(should=[_known(field) for field in wanted.fields])
        case Wanted():
            filters = [to_filter({wanted.field: value}) for value in wanted.values]
            return models.Filter(should=[one for one in filters if one])


def _known(field: str) -> models.Filter:
    unknown: list[models.Condition] = [models.IsEmptyCondition(is_empty=models.PayloadField(key=field))]
    if field == "rating":  # programs write 0 stars for none
        unknown.append(models.FieldCondition(key=field, range=models.Range(gte=0.0, lte=0.0)))
    return models.Filter(must_not=unknown)


def _in_field(wanted: InField, way: tuple[str, ...]) -> models.Filter:
    marked = _marked(LETTERS[wanted.field], way, is_begun=wanted.is_begun)
    whole = way[:-1] if wanted.is_begun else way
    return models.Filter(must=[marked, _phrase(whole)]) if wanted.is_phrase and len(whole) > 1 else marked


def _phrase(words: tuple[str, ...]) -> models.FieldCondition:
    return models.FieldCondition(key=_TEXT, match=models.MatchPhrase(phrase=" ".join(words)))


def _whole(word: Word) -> list[models.Condition]:
    # By keywords: for a word that no text has, an index of texts reads every picture.
    return _anywhere(word.ways)


def _beginnings(word: Word) -> list[models.Condition]:
    """Match points with words of which the last need not be whole."""
    # What begins as `raptors` begins as `raptor`.
    ways = [way for way in word.ways if not any(_begins_so(way, other) for other in word.ways if other != way)]
    return [_marked(BEGUN, way, is_begun=True) for way in ways]


def _begins_so(way: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return way[:-1] == other[:-1] and way[-1].startswith(other[-1])


def _anywhere(ways: Sequence[tuple[str, ...]]) -> list[models.Condition]:
    """Match points with all words of a way in any fields; ways of one word are one condition."""
    single = [way[0] for way in ways if len(way) == 1]
    found: list[models.Condition] = [_one_of(single)] if single else []
    return found + [models.Filter(must=[_one_of([word]) for word in way]) for way in ways if len(way) > 1]


def _one_of(words: Sequence[str]) -> models.FieldCondition:
    marked = [f"{mark}{word}" for word in words for mark in (WHOLE, BEGUN)]
    return models.FieldCondition(key=_MARKED, match=models.MatchAny(any=marked))


def _marked(letter: str, way: tuple[str, ...], *, is_begun: bool) -> models.Filter:
    *first, last = [f"{letter}{word}" for word in way]
    matches: list[models.Match] = [models.MatchValue(value=word) for word in first]
    matches.append(models.MatchPrefix(prefix=last) if is_begun else models.MatchValue(value=last))
    return models.Filter(must=[models.FieldCondition(key=_MARKED, match=match) for match in matches])
