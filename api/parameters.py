"""Query parameters that a route does not know are refused by name: one that is misspelt would be no use in silence."""

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from errors import RequestError


async def only_known(request: Request) -> None:
    """Raise RequestError(422) for a query parameter that the route of a request does not have."""
    route = request.scope.get("route")
    if not request.query_params or not isinstance(route, APIRoute):
        return
    known = _known(route.dependant)
    if unknown := sorted(set(request.query_params) - known):
        raise RequestError(
            f"{request.method} {request.url.path} has no parameter {', '.join(map(repr, unknown))}; "
            + (f"it has: {', '.join(sorted(known))}." if known else "it has none in its address."),
            422,
        )


def _known(dependant: Dependant) -> set[str]:
    """Return the names of the parameters of a route, and of what it depends on."""
    known = {field.alias for field in dependant.query_params}
    return known.union(*map(_known, dependant.dependencies))
