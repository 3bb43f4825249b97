"""What a route does not know in an address or a form is refused by name: misspelt, it would be no use in silence.

Bodies of JSON see to it themselves (`api/schemas/body.py`).
"""

from collections.abc import Iterable

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.params import Form
from fastapi.routing import APIRoute

from errors import RequestError


async def only_known(request: Request) -> None:
    """Raise RequestError(422) for a query parameter or a field of a form that the route does not have."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return
    if request.query_params:
        _check(request, "parameter", request.query_params, _known(route.dependant), "its address")
    if fields := {field.alias for field in route.dependant.body_params if isinstance(field.field_info, Form)}:
        # The framework has read it before any dependency.
        _check(request, "field", await request.form(), fields, "its form")


def _check(request: Request, what: str, sent: Iterable[str], known: set[str], where: str) -> None:
    if unknown := sorted(set(sent) - known):
        raise RequestError(
            f"{request.method} {request.url.path} has no {what} {', '.join(map(repr, unknown))}; "
            + (f"it has: {', '.join(sorted(known))}." if known else f"it has none in {where}."),
            422,
        )


def _known(dependant: Dependant) -> set[str]:
    """Return the names of the parameters of a route, and of what it depends on."""
    known = {field.alias for field in dependant.query_params}
    return known.union(*map(_known, dependant.dependencies))
