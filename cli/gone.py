"""The commands about pictures whose files have all left: `gone list|keep|forget`."""

from collections.abc import Iterator
from typing import Annotated, Any
from uuid import UUID

import typer
from pydantic import BaseModel

from cli import render
from cli.client import Client
from cli.console import on_one_line, results
from cli.forgetting import MANY_SECONDS, ForgettingClient, Yes, forget_pictures
from cli.jobs import Json
from core import settings
from rules.wording import plural

PAGE = 200
# In one request.
MOST_IDS = 1000

group = typer.Typer(help="Pictures whose files have all left, until they are purged.", no_args_is_help=True)

Ids = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]...", help="Pictures, as `darkroom gone list` shows them.")
]
All = Annotated[bool, typer.Option("--all", help="All that are gone of the collection.")]
Collection = Annotated[str, typer.Option(help="Default: the active one.")]


class GoneShown(BaseModel):
    """A picture that is gone, as the API tells it."""

    id: str
    sha256: str
    filename: str
    path: str
    gone_at: str
    purge_at: str | None
    kept: bool


class GoneClient(Client):
    """The part of the API that is about them. An empty collection is the active one."""

    def gone(self, collection: str) -> Iterator[GoneShown]:
        """Return all, page by page, those that have gone last first."""
        return self._pages(GoneShown, "/images/gone", "images", per_page=PAGE, **_of(collection))

    def keep(self, chosen: dict[str, Any], collection: str, days: int | None) -> int:
        """Have pictures kept so many days longer; None: for good. Return how many these are."""
        body = chosen | {"days": days}
        return int(
            self._call("POST", "/images/gone/keep", json=body, params=_of(collection), timeout=MANY_SECONDS)["count"]
        )

    def release(self, chosen: dict[str, Any], collection: str) -> int:
        """Have pictures kept no longer than others; return how many these are."""
        return int(
            self._call("POST", "/images/gone/release", json=chosen, params=_of(collection), timeout=MANY_SECONDS)[
                "count"
            ]
        )

    def active(self) -> str:
        """Return the active collection."""
        return str(self._call("GET", "/collections/active")["name"])


@group.command("list")
def list_gone(
    *,
    collection: Collection = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """List the pictures of a collection whose files have all left, those that went last first."""
    with GoneClient.of(settings.load()) as client:
        found = client.gone(collection)
        if as_json:
            for one in found:
                results.out(one.model_dump_json(), highlight=False)
        else:
            render.show_rows({"ID": 36, "UNTIL": 10, "FILE": 0}, ((one.id, _until(one), one.path) for one in found))


@group.command()
def keep(
    ids: Ids = None,
    *,
    every: All = False,
    days: Annotated[int | None, typer.Option(min=1, max=36_500, help="So many days longer than is planned.")] = None,
    for_good: Annotated[bool, typer.Option("--for-good", help="Never purge them.")] = False,
    as_planned: Annotated[bool, typer.Option("--as-planned", help="No longer than others, after all.")] = False,
    collection: Collection = "",
    as_json: Json = False,
) -> None:
    """Keep pictures that are gone longer. A file that comes back ends that."""
    if sum((days is not None, for_good, as_planned)) != 1:
        raise typer.BadParameter("Say how long: --days N, --for-good or --as-planned.")
    count = 0
    with GoneClient.of(settings.load()) as client:
        for chosen in _chosen(ids, every=every):
            count += client.release(chosen, collection) if as_planned else client.keep(chosen, collection, days)
    if as_json:
        results.print_json(data={"count": count}, indent=None)
    else:
        how = "as planned" if as_planned else "for good" if for_good else f"{days} days longer"
        results.print(f"{plural(count, 'picture is', 'pictures are')} kept {how}.")


@group.command()
def forget(
    ids: Ids = None, *, every: All = False, collection: Collection = "", yes: Yes = False, as_json: Json = False
) -> None:
    """Forget pictures that are gone, for good, before they are purged. A file of the same content is skipped then."""
    parts = list(_chosen(ids, every=every))
    if len(parts) > 1:
        raise typer.BadParameter(f"Name at most {MOST_IDS} pictures, or say --all.")
    named = {"gone": True} if every else parts[0]
    with GoneClient.of(settings.load()) as client:
        named |= {"collection": collection or client.active()}
    with ForgettingClient.of(settings.load()) as forgetting:
        forget_pictures(forgetting, named, yes=yes, dry_run=False, as_json=as_json)


def _chosen(ids: list[str] | None, *, every: bool) -> Iterator[dict[str, Any]]:
    """Return what is asked for, in as many requests as it takes."""
    if bool(ids) == every:
        raise typer.BadParameter("Name pictures by their ids, or say --all.")
    if every:
        yield {"all": True}
    for one in ids or ():
        try:
            UUID(one)
        except ValueError:
            raise typer.BadParameter(f"{one!r} is no id of a picture: `darkroom gone list` shows them.") from None
    for start in range(0, len(ids or ()), MOST_IDS):
        yield {"ids": (ids or [])[start : start + MOST_IDS]}


def _of(collection: str) -> dict[str, str]:
    return {"collection": collection} if collection else {}


def _until(one: GoneShown) -> str:
    return "for good" if one.purge_at is None else on_one_line(one.purge_at[:10])
