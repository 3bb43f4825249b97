"""Filters, orders and options of REST requests, as the engine names them.

Some annotations are quoted: those types exist only in the stubs of the engine.
"""

from datetime import date
from typing import assert_never

import qdrant_edge as edge
from qdrant_client import models

from core.errors import RequestError

DISTANCES = {
    models.Distance.COSINE: edge.Distance.Cosine,
    models.Distance.DOT: edge.Distance.Dot,
    models.Distance.EUCLID: edge.Distance.Euclid,
    models.Distance.MANHATTAN: edge.Distance.Manhattan,
}
_INDEX_TYPES = {
    "keyword": edge.PayloadSchemaType.Keyword,
    "integer": edge.PayloadSchemaType.Integer,
    "float": edge.PayloadSchemaType.Float,
    "geo": edge.PayloadSchemaType.Geo,
    "text": edge.PayloadSchemaType.Text,
    "bool": edge.PayloadSchemaType.Bool,
    "datetime": edge.PayloadSchemaType.Datetime,
    "uuid": edge.PayloadSchemaType.Uuid,
}
_TOKENIZERS = {
    models.TokenizerType.PREFIX: edge.TokenizerType.Prefix,
    models.TokenizerType.WHITESPACE: edge.TokenizerType.Whitespace,
    models.TokenizerType.WORD: edge.TokenizerType.Word,
    models.TokenizerType.MULTILINGUAL: edge.TokenizerType.Multilingual,
}


def unsupported(what: str) -> RequestError:
    """Make the error for a part of Qdrant's API that is not here."""
    return RequestError(f"Not supported by the embedded Qdrant: {what}", status=400)


def to_edge_filter(found: models.Filter | None) -> edge.Filter | None:
    """Translate a filter with all it contains."""
    if found is None:
        return None
    if found.min_should is not None:
        raise unsupported("min_should")
    return edge.Filter(
        must=_conditions(found.must), should=_conditions(found.should), must_not=_conditions(found.must_not)
    )


def _conditions(found: list[models.Condition] | models.Condition | None) -> "list[edge.ConditionType] | None":
    if found is None:
        return None
    return [to_edge_condition(one) for one in (found if isinstance(found, list) else [found])]


def to_edge_condition(found: models.Condition) -> "edge.ConditionType":
    """Translate one condition of a filter."""
    match found:
        case models.Filter():
            return to_edge_filter(found) or edge.Filter()
        case models.IsEmptyCondition():
            return edge.IsEmptyCondition(found.is_empty.key)
        case models.IsNullCondition():
            return edge.IsNullCondition(found.is_null.key)
        case models.HasIdCondition():
            return edge.HasIdCondition({one if isinstance(one, int) else str(one) for one in found.has_id})
        case models.FieldCondition():
            return _field_condition(found)
    raise unsupported(f"the condition {type(found).__name__}")


def _field_condition(found: models.FieldCondition) -> edge.FieldCondition:
    if found.geo_polygon or found.values_count or found.is_empty or found.is_null:
        raise unsupported(f"this condition on {found.key!r}")
    return edge.FieldCondition(
        found.key,
        match=None if found.match is None else _match(found.match),
        range=None if found.range is None else _range(found.range),
        geo_bounding_box=None if found.geo_bounding_box is None else _box(found.geo_bounding_box),
        geo_radius=None if found.geo_radius is None else _circle(found.geo_radius),
    )


def _match(found: models.Match) -> "edge.MatchType":
    match found:
        case models.MatchValue():
            return edge.MatchValue(found.value)
        case models.MatchText():
            return edge.MatchText(found.text)
        case models.MatchTextAny():
            return edge.MatchTextAny(found.text_any)
        case models.MatchAny():
            return edge.MatchAny(found.any)
        case models.MatchExcept():
            return edge.MatchExcept(found.except_)
        case models.MatchPhrase():
            return edge.MatchPhrase(found.phrase)
        case models.MatchPrefix():
            return edge.MatchPrefix(found.prefix)
        case models.MatchSubstring():
            raise unsupported(type(found).__name__)
    assert_never(found)


def _range(found: models.RangeInterface) -> "edge.RangeType":
    if isinstance(found, models.Range):
        return edge.RangeFloat(gte=found.gte, gt=found.gt, lte=found.lte, lt=found.lt)
    return edge.RangeDateTime(gte=_iso(found.gte), gt=_iso(found.gt), lte=_iso(found.lte), lt=_iso(found.lt))


def _iso(moment: date | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _box(found: models.GeoBoundingBox) -> edge.GeoBoundingBox:
    return edge.GeoBoundingBox(
        edge.GeoPoint(found.top_left.lon, found.top_left.lat),
        edge.GeoPoint(found.bottom_right.lon, found.bottom_right.lat),
    )


def _circle(found: models.GeoRadius) -> edge.GeoRadius:
    return edge.GeoRadius(edge.GeoPoint(found.center.lon, found.center.lat), found.radius)


def to_edge_order(found: models.OrderByInterface | None) -> edge.OrderBy | None:
    """Translate the order of a scroll."""
    if found is None:
        return None
    if isinstance(found, str):
        return edge.OrderBy(found)
    start = found.start_from
    return edge.OrderBy(
        found.key,
        direction=edge.Direction.Desc if found.direction == models.Direction.DESC else edge.Direction.Asc,
        start_from=_iso(start) if isinstance(start, date) else start,
    )


def to_edge_payload_selector(found: models.WithPayloadInterface | None, default: bool) -> "edge.WithPayloadType":
    """Translate which payload fields are wanted; `default` is what the endpoint gives unasked."""
    match found:
        case None:
            return default
        case models.PayloadSelectorInclude():
            return edge.PayloadSelector.Include(found.include)
        case models.PayloadSelectorExclude():
            return edge.PayloadSelector.Exclude(found.exclude)
    return found


def to_edge_index(
    found: models.PayloadFieldSchema | None,
) -> edge.PayloadSchemaType | edge.TextIndexParams | edge.KeywordIndexParams:
    """Translate the kind of a payload index; of its parameters, those of a text index, and beginnings of keywords."""
    if found is None:
        raise unsupported("an index without field_schema")
    if isinstance(found, models.TextIndexParams) and found.tokenizer is not None:
        return edge.TextIndexParams(
            tokenizer=_TOKENIZERS[found.tokenizer],
            lowercase=found.lowercase,
            min_token_len=found.min_token_len,
            max_token_len=found.max_token_len,
            phrase_matching=found.phrase_matching,
            scoring=bool(found.scoring),
        )
    if isinstance(found, models.KeywordIndexParams) and found.prefix:
        return edge.KeywordIndexParams(prefix=True)
    return _INDEX_TYPES[found.value if isinstance(found, models.PayloadSchemaType) else found.type.value]


def index_type_name(found: edge.PayloadSchemaType) -> str:
    """Name a kind of payload index as REST does."""
    return next(name for name, kind in _INDEX_TYPES.items() if kind == found)
