"""The commands about collections."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from cli.client import Client
from cli.collections_client import Collection, CollectionsClient
from cli.console import escape, results, show
from cli.jobs import Json
from cli.render import plain_table
from core import settings

group = typer.Typer(no_args_is_help=True)


class Place(StrEnum):
    """Where something of a collection is read from."""

    memory = "memory"
    disk = "disk"


class Quantization(StrEnum):
    """Whether vectors are held in fewer bits too."""

    none = "none"
    int8 = "int8"


Name = Annotated[str, typer.Argument(metavar="NAME", help="A collection.")]
Vectors = Annotated[Place | None, typer.Option(help="Where vectors are read from when they are compared.")]
Payload = Annotated[Place | None, typer.Option(help="Where what is known of a picture is read from when it is shown.")]
Quantized = Annotated[
    Quantization | None,
    typer.Option(help="int8: find candidates by vectors in eight bits, held in memory; compare them by whole ones."),
]


@group.callback()
def _group() -> None:
    """Look after collections of photographs."""


@group.command("list")
def list_collections(*, as_json: Json = False) -> None:
    """Show all collections, and how Qdrant keeps them."""
    with CollectionsClient.of(settings.load()) as client:
        found = client.collections()
    if as_json:
        results.print_json(data=[one.model_dump() for one in found], indent=None)
    elif found:
        _show(found)
    else:
        results.print("There is no collection yet: the first job makes one.")


@group.command()
def create(
    name: Name,
    *,
    vectors: Vectors = None,
    payload: Payload = None,
    quantization: Quantized = None,
    as_json: Json = False,
) -> None:
    """Make a collection for the model that ML runs now; jobs make those that they need themselves.

    What is not said of how it is kept is as QDRANT_VECTORS_ON_DISK, QDRANT_PAYLOAD_ON_DISK and QDRANT_QUANTIZATION of
    the API have it.
    """
    with CollectionsClient.of(settings.load()) as client:
        made = client.create(name, _storage(vectors, payload, quantization))
    _tell(made, as_json=as_json)


@group.command()
def keep(
    name: Name,
    *,
    vectors: Vectors = None,
    payload: Payload = None,
    quantization: Quantized = None,
    as_json: Json = False,
) -> None:
    """Change how Qdrant keeps a collection; it answers searches meanwhile.

    For very many pictures: vectors on disk with int8 quantization take a quarter of the memory, and find the same.
    """
    changed = _storage(vectors, payload, quantization)
    if not changed:
        raise typer.BadParameter("say what is to change: --vectors, --payload or --quantization")
    with CollectionsClient.of(settings.load()) as client:
        kept = client.keep(name, changed)
    _tell(kept, as_json=as_json)


def _storage(vectors: Place | None, payload: Place | None, quantization: Quantization | None) -> dict[str, Any]:
    """Return what was said, as the API wants it."""
    said = {
        "vectors_on_disk": None if vectors is None else vectors is Place.disk,
        "payload_on_disk": None if payload is None else payload is Place.disk,
        "quantization": None if quantization is None else quantization.value,
    }
    return {name: value for name, value in said.items() if value is not None}


def _tell(one: Collection, *, as_json: bool) -> None:
    if as_json:
        results.print_json(data=one.model_dump(), indent=None)
    else:
        _show([one])


def _show(found: list[Collection]) -> None:
    """Print a row for each collection, and below what Qdrant says of them."""
    numbers = ("PICTURES", "GONE", "DIM")
    table = plain_table(
        "COLLECTION", *numbers, "VECTORS", "PAYLOAD", "QUANTIZED", "MODEL", right=set(numbers), whole={"COLLECTION"}
    )
    for one in found:
        kept = one.storage
        places = (
            Place.disk.value if on_disk else Place.memory.value
            for on_disk in (kept.vectors_on_disk, kept.payload_on_disk)
        )
        quantized = "" if kept.quantization == "none" else kept.quantization
        table.add_row(
            one.name,
            f"{one.points:,}",
            f"{one.gone:,}",
            str(one.dimension),
            *places,
            quantized,
            escape(one.model_id or "of another program"),
        )
    show(table)
    for one in found:
        for warning in one.storage.warnings:
            results.print(f"{one.name}: {escape(warning)}")


@group.command()
def renew(
    name: Name,
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
