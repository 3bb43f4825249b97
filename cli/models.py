"""`darkroom models`: which models there are, which are here, and how they come."""

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from cli.checks import GET_MODEL
from cli.console import busy, escape, results, show
from cli.console import progress as console
from cli.jobs import Json
from cli.model_views import Arriving, Counting, recall_table, size
from cli.render import plain_table
from cli.taking_over import take_over
from core import settings as environment
from core.errors import FatalError
from embedded.ml.bringing import bring
from embedded.models.extra import needs_extra
from embedded.models.listing import listed
from embedded.models.manifest import CAPTIONER, Manifest, faults
from embedded.models.shelf import BUILT_IN, Shelf
from embedded.models.table import entries, entry
from rules.wording import plural

NOT_TAKEN = {"was told another": "was told its model as it was started", "does not answer": "does not answer now"}

group = typer.Typer(help="Models that know what a picture shows: fetch, choose and check them.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="As `darkroom models list` shows it.")]
Data = Annotated[Path | None, typer.Option(help="Folder for all data. Default: DARKROOM_DATA, or .darkroom.")]


@group.command("list")
def list_models(*, data: Data = None, as_json: Json = False) -> None:
    """Show which models can be had, which are here, and which is in use."""
    shelf, _ = _shelf(data)
    rows = [one.model_dump() for one in listed(shelf, _used(shelf))]
    if as_json:
        results.print_json(data=rows, indent=None)
        return
    numbers = ("DISK", "MEMORY", "MS", "DIM")
    table = plain_table("MODEL", "HERE", *numbers, "LANGUAGES", "LICENCE", right=set(numbers), whole={"MODEL", "HERE"})
    for row in rows:
        here_word = "in use" if row["in_use"] else "yes" if row["here"] else ""
        if not here_word and row["partly"]:
            here_word = "partly"
        ms, dimension = row["ms_per_image"], row["dimension"]
        table.add_row(
            row["name"],
            here_word,
            size(row["bytes"]),
            size(row["memory_bytes"]),
            "" if ms is None else f"{ms:,.0f}",
            str(dimension or ""),
            row["languages"],
            row["licence"],
        )
    show(table)
    for row in rows:
        about = escape(row["about"]) or "taken in by hand"
        unverified = "" if row["verified"] else "; unverified: we do not know the hashes of all its files"
        results.print(f"{escape(row['name'])}: {about}{unverified}.")


@group.command()
def get(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Default: the first of the list.")] = None,
    *,
    data: Data = None,
) -> None:
    """Fetch a model, from where an earlier try ended. Once it is here, no network is needed or asked."""
    shelf, reserve = _shelf(data)
    known = entries(shelf.table)
    name = name or next(iter(known))
    if shelf.has(name):
        results.print(f"{escape(name)} is here already: {escape(str(shelf.at(name)))}")
        return
    wanted = entry(known, name)
    console.print(f"{escape(wanted.name)} ({escape(wanted.about)}), {wanted.licence}")
    with Arriving() as arriving:
        manifest = bring(shelf, wanted, arriving, tell=arriving.note, reserve=reserve)
    _tell_arrived(shelf, manifest)


@group.command()
def use(name: Name, *, data: Data = None) -> None:
    """Choose the model that is used, at once where Darkroom runs; `visual` is the one that needs no weights."""
    shelf, _ = _shelf(data)
    _choose(shelf, name)


@group.command()
def remove(name: Name, *, data: Data = None) -> None:
    """Remove the files of a model. Collections that were made with it stay; they need it again for new pictures."""
    shelf, _ = _shelf(data)
    freed = shelf.partly(name) + (shelf.manifest(name).bytes if shelf.has(name) else 0)
    was_chosen, was_used = shelf.is_chosen(name), shelf.chosen == name
    took = take_over(shelf.folder.parent, BUILT_IN) if was_used else None
    shelf.remove(name)
    shelf.unchoose(name)
    results.print(f"{escape(name)} is removed, and {size(freed)} are free.")
    if took == "took over":
        results.print(
            f"It was in use: the ML service that runs here has taken over {BUILT_IN}, which needs no weights."
        )
    elif was_used:
        results.print(f"It was in use: from the next start on {BUILT_IN} is, which needs no weights.")
    elif was_chosen:
        results.print("It described pictures: from the next start of the ML service on nothing does.")
    if took in NOT_TAKEN:
        console.print(f"The ML service that runs here {NOT_TAKEN[took]}, and stays as it is until then.")


@group.command()
def export(
    name: Name,
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE|FOLDER]", help="Default: NAME.tar in this folder.")
    ] = None,
    *,
    data: Data = None,
) -> None:
    """Write a model into one file, for a machine without a network."""
    from embedded.models import carrying  # noqa: PLC0415 - with the hub's client; few commands need it

    shelf, reserve = _shelf(data)
    goal = Path(f"{name}.tar") if file is None else file / f"{name}.tar" if file.is_dir() else file
    with Arriving() as arriving:
        carrying.export(shelf, name, goal, arriving, reserve=reserve)
    results.print(f"{escape(name)} is in {escape(str(goal))}. There: `darkroom models import {escape(goal.name)}`.")


@group.command("import")
def import_(
    source: Annotated[Path, typer.Argument(metavar="FOLDER|FILE", help="What `export` wrote, or a model's folder.")],
    *,
    name: Annotated[
        str | None, typer.Option(help="Of files of your own, laid out as docs/models.md says: what to call them.")
    ] = None,
    family: Annotated[
        Literal["siglip", "clip"] | None, typer.Option(help="Of those: the way that they were trained in.")
    ] = None,
    data: Data = None,
) -> None:
    """Take in a model from another machine, or files of your own."""
    with needs_extra():
        from embedded.ml.trial import try_model  # noqa: PLC0415 - as in `export`
        from embedded.models import carrying  # noqa: PLC0415 - as in `export`

    if family is not None and name is None:
        raise typer.BadParameter("--family is for files of your own: give them a --name, too")
    shelf, reserve = _shelf(data)
    named = None if name is None else (name, family or carrying.BY_HAND)
    with Arriving() as arriving:
        trial = partial(try_model, learned=shelf.learned)
        manifest = carrying.take_in(
            shelf, entries(shelf.table), source, arriving, named=named, reserve=reserve, trial=trial
        )
    if manifest is None:
        results.print("It is here already: `darkroom models list` shows it.")
        return
    _tell_arrived(shelf, manifest)


@group.command()
def check(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Default: all that are here.")] = None,
    *,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Compare each file of the models that are here with its hash; exit 1 if one is not what it was."""
    shelf, _ = _shelf(data)
    names = list(shelf.all()) if name is None else [name]
    if not names and not as_json:
        results.print(f"No model is here: `darkroom models get` fetches one to {escape(str(shelf.folder))}.")
    broken: dict[str, list[str]] = {}
    for one in names:
        manifest = shelf.manifest(one)
        with busy(f"Reading {one}"):
            found = list(faults(shelf.at(one), manifest))
        broken[one] = found
        if as_json:
            continue
        if found:
            results.print(f"[red]broken[/red]  {escape(one)}")
            for fault in found:
                results.print(f"        {escape(fault)}")
            results.print(f"        Fetch it again: `darkroom models remove {one}`, then `darkroom models get {one}`.")
        else:
            how = "hashes of ours" if manifest.is_verified else "unverified: the hashes that came first"
            results.print(f"[green]ok[/green]      {escape(one)} ({plural(len(manifest.files), 'file')}, {how})")
    if as_json:
        results.print_json(data=[{"name": one, "faults": found} for one, found in broken.items()], indent=None)
    if any(broken.values()):
        raise typer.Exit(1)


@group.command("eval")
def evaluate(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", exists=True, file_okay=False, help="Pictures to look among.")
    ],
    captions: Annotated[
        Path,
        typer.Argument(
            metavar="CAPTIONS", exists=True, dir_okay=False, help='JSON lines: {"file": "a.jpg", "text": "a dog"}.'
        ),
    ],
    *,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="Default: the one that is in use.")] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Measure how often a model finds a picture by a text: recall among the first 1, 5 and 10.

    Nothing has to run for it, and nothing is stored. `file` is a path in FOLDER; a picture may have several texts.
    """
    from cli import model_eval  # noqa: PLC0415 - with decoders and an event loop; only this command needs it

    shelf, _ = _shelf(data)
    settings = environment.load()
    name = model or settings.ml_model or shelf.chosen or BUILT_IN
    home = shelf.in_use(name)
    if home is None:
        raise FatalError(f"{name} knows no words, so no text finds a picture by it. {GET_MODEL}")
    task = model_eval.read_task(folder, captions, settings)
    with needs_extra():
        from embedded.ml.clip import ClipModel  # noqa: PLC0415 - as in `get`
    with busy(f"Loading {name}"):
        loaded = ClipModel(home, provider=settings.ml_provider, device_id=settings.ml_device_id, learned=shelf.learned)
    if not loaded.supports_text:
        raise FatalError(f"{name} knows no words, so no text finds a picture by it. {GET_MODEL}")
    with Counting("pictures", len(task.paths)) as counting:
        measured = model_eval.measure(task, loaded, settings, counting.advance)
    if as_json:
        results.print_json(data={"model": name, "model_id": loaded.model_id} | measured, indent=None)
        return
    show(recall_table(name, measured))
    for one in measured["left_out"]:
        console.print(f"left out: {escape(one['file'])}: {escape(one['reason'])}")


def _shelf(data: Path | None) -> tuple[Shelf, int]:
    """Return the models of a data folder, and the bytes of its disk that stay free."""
    settings = environment.load()
    return Shelf((data or settings.darkroom_data).resolve()), settings.disk_reserve_bytes


def _tell_arrived(shelf: Shelf, manifest: Manifest) -> None:
    name = escape(manifest.name)
    if not manifest.is_verified:
        console.print(
            f"{name} is unverified: the hashes of some of its files are not known to us. Those that came now are "
            "recorded, and nothing else is taken under this name from now on."
        )
    results.print(f"{name} is here: {escape(str(shelf.at(manifest.name)))}")
    if manifest.family == CAPTIONER or shelf.chosen is None:
        _choose(shelf, manifest.name)
    else:
        results.print(f"{escape(shelf.chosen)} stays in use; `darkroom models use {name}` changes that.")


def _choose(shelf: Shelf, name: str) -> None:
    if name != BUILT_IN:
        shelf.manifest(name)  # refuses one that is not here
    with busy(f"Loading {name}"):
        took = take_over(shelf.folder.parent, name)
    if took == "took over":
        results.print(f"{escape(name)} is in use: the ML service that runs here has taken it over.")
    else:
        shelf.choose(name)
        if took is not None:
            console.print(f"The ML service that runs here {NOT_TAKEN[took]}, and stays as it is until then.")
        results.print(f"{escape(name)} is in use from the next `darkroom up` on, or the next start of the ML service.")
    if name != BUILT_IN and shelf.manifest(name).family == CAPTIONER:
        results.print("Jobs that ask for captions (`darkroom ingest --caption`) get them from it.")
        return
    results.print("A collection stays with the model that it was made with: take pictures into a new one.")
    forced = environment.load().ml_model
    if forced not in {None, name}:
        results.print(f"ML_MODEL is {escape(str(forced))}, and goes before: unset it.")


def _used(shelf: Shelf) -> set[str]:
    """Return what is in use: a model, and maybe a captioner beside it."""
    captioner = shelf.captioner
    beside = set() if captioner is None else {captioner.parent.name}
    return beside | {environment.load().ml_model or shelf.chosen or BUILT_IN}
