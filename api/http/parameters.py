"""What a route does not know in a request is refused by name: misspelt, it would be no use in silence.

So is what is said twice. Bodies of JSON see to it themselves (`api/schemas/body.py`), where a route takes one.
"""

import json
from collections import Counter
from collections.abc import Iterable

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.params import Form
from fastapi.routing import APIRoute

from core.errors import RequestError

NOTHING = (b"", b"{}", b"null")
"""What programs send as the body of a request that has none."""


async def only_known(request: Request) -> None:
    """Raise RequestError(422) for a query parameter, a field of a form or a body that the route does not have."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return
    if request.query_params:
        sent = [name for name, _ in request.query_params.multi_items()]
        _check(request, "parameter", sent, _known(route.dependant), "its address")
    if fields := {field.alias for field in route.dependant.body_params if isinstance(field.field_info, Form)}:
        # The framework has read it before any dependency.
        _check(request, "field", [name for name, _ in (await request.form()).multi_items()], fields, "its form")
    # A route that describes its body itself reads it itself.
    elif not route.dependant.body_params and "requestBody" not in (route.openapi_extra or {}):
        await _check_no_body(request)


def _check(request: Request, what: str, sent: Iterable[str], known: set[str], where: str) -> None:
    times = Counter(sent)
    if unknown := sorted(set(times) - known):
        raise RequestError(
            f"{request.method} {request.url.path} has no {what} {', '.join(map(repr, unknown))}; "
            + (f"it has: {', '.join(sorted(known))}." if known else f"it has none in {where}."),
            422,
        )
    if twice := sorted(name for name, count in times.items() if count > 1):
        raise RequestError(f"{', '.join(map(repr, twice))} is given more than once in {where}: say it once.", 422)


async def _check_no_body(request: Request) -> None:
    body = (await request.body()).strip()
    if body in NOTHING:
        return
    try:
        sent = json.loads(body)
    except ValueError:
        sent = None
    names = f" ({', '.join(map(repr, sent))})" if isinstance(sent, dict) else ""
    raise RequestError(
        f"{request.method} {request.url.path} takes no body{names}: its parameters, where it has any, go into its "
        "address.",
        422,
    )


def _known(dependant: Dependant) -> set[str]:
    """Return the names of the parameters of a route, and of what it depends on."""
    known = {field.alias for field in dependant.query_params}
    return known.union(*map(_known, dependant.dependencies))
