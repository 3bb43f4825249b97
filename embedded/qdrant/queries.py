"""Queries of REST requests, as the engine names them: nearest vectors, words and formulas."""

from collections.abc import Callable, Sequence
from typing import Any

import qdrant_edge as edge
from qdrant_client import models

from embedded.qdrant.translate import to_edge_condition, to_edge_filter, to_edge_payload_selector, unsupported

CheckedVector = Callable[[Any], list[float]]
"""Returns a vector of the collection, or raises RequestError."""


def to_edge_query(request: models.QueryRequest, checked: CheckedVector) -> edge.QueryRequest:
    """Translate a request with all that it fetches first."""
    if request.lookup_from:
        raise unsupported("lookup_from")
    return edge.QueryRequest(
        limit=request.limit or 10,
        offset=request.offset or 0,
        query=_query(request.query, request.using, checked),
        prefetches=_prefetches(request.prefetch, checked),
        filter=to_edge_filter(request.filter),
        with_payload=to_edge_payload_selector(request.with_payload, default=False),
        with_vector=request.with_vector or False,
        score_threshold=request.score_threshold,
    )


def _prefetches(found: Sequence[models.Prefetch] | models.Prefetch | None, checked: CheckedVector) -> Any:
    if found is None:
        return None
    return [_prefetch(one, checked) for one in ([found] if isinstance(found, models.Prefetch) else found)]


def _prefetch(found: models.Prefetch, checked: CheckedVector) -> edge.Prefetch:
    if found.lookup_from:
        raise unsupported("lookup_from")
    return edge.Prefetch(
        limit=found.limit or 10,
        query=_query(found.query, found.using, checked),
        prefetches=_prefetches(found.prefetch, checked),
        filter=to_edge_filter(found.filter),
        score_threshold=found.score_threshold,
    )


def _query(found: models.QueryInterface | None, using: str | None, checked: CheckedVector) -> Any:
    match found:
        case None:
            return None
        case models.TextQuery():
            return edge.TextQuery(using or "", found.text if isinstance(found.text, str) else found.text.query)
        case models.FormulaQuery():
            return edge.Formula(_expression(found.formula), found.defaults or {})
        case models.NearestQuery() if found.mmr is None:
            nearest = found.nearest
        case list():
            nearest = found
        case _:
            raise unsupported(f"the query {type(found).__name__}")
    if using:
        raise unsupported("named vectors")
    return edge.Query.Nearest(checked(nearest))


def _expression(found: models.Expression) -> edge.Expression:
    match found:
        case bool():
            raise unsupported("a formula with a truth value")
        case int() | float():
            return edge.Expression.Constant(float(found))
        case str():
            return edge.Expression.Variable(found)
        case models.MultExpression():
            return edge.Expression.Mult([_expression(one) for one in found.mult])
        case models.SumExpression():
            return edge.Expression.Sum([_expression(one) for one in found.sum])
        case models.DivExpression():
            div = found.div
            return edge.Expression.Div(_expression(div.left), _expression(div.right), div.by_zero_default)
        case models.Filter() | models.FieldCondition() | models.IsEmptyCondition() | models.HasIdCondition():
            return edge.Expression.Condition(to_edge_condition(found))
    raise unsupported(f"the expression {type(found).__name__}")
