"""The commands that find pictures: `search` by a text, `similar` by a picture."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.console import busy, results, show
from cli.jobs import Json
from cli.pictures import picture, protocol
from cli.render import hits
from cli.search_client import Found, SearchClient
from core import settings
from rules.wording import plural


class SearchMode(StrEnum):
    """What a search compares."""

    auto = "auto"
    semantic = "semantic"
    keywords = "keywords"


Collection = Annotated[str | None, typer.Option(help="Collection to look in. Default: the active one.")]
Since = Annotated[
    str | None, typer.Option("--from", metavar="DATE", help="Taken then or later: 2023, 2023-05 or 2023-05-04.")
]
Until = Annotated[str | None, typer.Option(metavar="DATE", help="Taken then or earlier, by the camera's clock.")]
Rating = Annotated[float | None, typer.Option(min=-1, max=5, help="At least so many stars.")]
Label = Annotated[str | None, typer.Option(help="With this label, such as Red.")]
Person = Annotated[list[str] | None, typer.Option(help="With this person; several: with one of them.")]
Tag = Annotated[list[str] | None, typer.Option(help="With this tag; several: with one of them.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=200, help="How many pictures to show.")]


def search(
    query: Annotated[list[str], typer.Argument(metavar="QUERY", help='What is looked for, such as "boats at sunset".')],
    *,
    collection: Collection = None,
    since: Since = None,
    until: Until = None,
    rating: Rating = None,
    label: Label = None,
    person: Person = None,
    tag: Tag = None,
    mode: Annotated[
        SearchMode, typer.Option(help="Compare meaning and words, as far as the model knows text; or one of both.")
    ] = SearchMode.auto,
    min_score: Annotated[
        float | None, typer.Option(metavar="SCORE", help="Leave out what the model finds less alike, or probable.")
    ] = None,
    cursor: Annotated[str | None, typer.Option(help="Go on where a page ended: its `next` of --json.")] = None,
    limit: Limit = 10,
    as_json: Json = False,
) -> None:
    """Find pictures by words and by what they show; exit 1 if there is none.

    QUERY: words, "a phrase" in quotes, camera:canon lens:50mm tag:holiday person:ann date:2024-05..2024-08 rating:>=4
    iso:100..800 has:gps near:48.86,2.35,5 (km) like:ID, also "iso 100", "50mm", "f/2.8", "October 2018". A minus before
    any of these leaves out what it finds; write it behind --, as in: darkroom search -- boats -dog
    """
    filters = _filters(since=since, until=until, rating=rating, label=label, people=person, tags=tag)
    with SearchClient.of(settings.load()) as client:
        with busy("Searching"):
            found = client.search(
                " ".join(query),
                limit=limit,
                collection=collection,
                filters=filters,
                mode=None if mode is SearchMode.auto else mode.value,
                min_score=min_score,
                cursor=cursor,
            )
        _show(client, found, collection, as_json=as_json)


def similar(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A picture, in any format that can be taken in.")],
    *,
    collection: Collection = None,
    since: Since = None,
    until: Until = None,
    rating: Rating = None,
    label: Label = None,
    person: Person = None,
    tag: Tag = None,
    limit: Limit = 10,
    as_json: Json = False,
) -> None:
    """Find pictures that look like the one in a file; exit 1 if there is none."""
    filters = _filters(since=since, until=until, rating=rating, label=label, people=person, tags=tag)
    with SearchClient.of(settings.load()) as client:
        with busy("Searching"):
            found = client.similar(file, collection=collection, limit=limit, filters=filters)
        _show(client, found, collection, as_json=as_json)


def _filters(
    *,
    since: str | None,
    until: str | None,
    rating: float | None,
    label: str | None,
    people: list[str] | None,
    tags: list[str] | None,
) -> dict[str, object]:
    """Return the filters as the API wants them."""
    taken = {bound: date for bound, date in (("gte", since), ("lte", until)) if date}
    stars = None if rating is None else {"gte": rating}
    wanted = {"taken_at": taken, "rating": stars, "label": label, "people": people, "tags": tags}
    return {field: value for field, value in wanted.items() if value}


def _show(client: SearchClient, found: Found, collection: str | None, *, as_json: bool) -> None:
    """Print what was found: with pictures where the terminal can show them, else as a table."""
    how = protocol() if results.is_terminal else None
    if as_json:
        results.out(found.model_dump_json(), highlight=False)
    elif how is None or not found.results:
        show(hits(found.results))
    else:
        for hit in found.results:
            jpeg = client.thumbnail(hit, collection)
            if jpeg is not None:
                sys.stdout.write(f"{picture(jpeg, how)}\n")
                sys.stdout.flush()
            show(hits([hit], header=False))
    if not as_json:
        words = ", by words only" if found.mode == "keywords" else ""
        likely = f" {found.likely.sure} sure, {found.likely.maybe} maybe." if found.likely else ""
        clear = f" {plural(found.standing_out, 'stands', 'stand')} out." if found.standing_out else ""
        show(f"{len(found.results)} of {plural(found.total, 'picture')}{words}.{likely}{clear}")
        if found.hint:
            show(found.hint)
        if found.pending:
            show(
                f"{plural(found.pending, 'picture gets its', 'pictures get their')} words now: "
                "of these, only captions and names were looked through."
            )
    if not found.results:
        sys.exit(1)
