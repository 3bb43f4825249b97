"""The commands about collections."""

from typing import Annotated

import typer

from cli.client import Client
from cli.console import results
from cli.jobs import Json
from core import settings

group = typer.Typer(no_args_is_help=True)


@group.callback()
def _group() -> None:
    """Look after collections of photographs."""


@group.command()
def renew(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A collection.")],
    *,
    as_json: Json = False,
) -> None:
    """After a restore from a snapshot of Qdrant: have every file written again when it is ingested again.

    Files that are newer than the snapshot would else be `unchanged` for ever. Nothing is sent to ML.
    """
    with Client.of(settings.load()) as client:
        answer = client.renew(name)
    if as_json:
        results.print_json(data=answer, indent=None)
    else:
        results.print(
            f"Collection {name} is renewed: ingest its folders again, and what Qdrant lacks is stored without ML."
        )
