"""`darkroom models`: which models there are, which are here, and how they come."""

import time
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Self

import typer
from rich.progress import BarColumn, DownloadColumn, TaskID, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as Bars

from cli.console import busy, escape, results, show
from cli.console import progress as console
from cli.jobs import Json
from cli.render import plain_table
from core import settings as environment
from core.errors import FatalError
from embedded.models.shelf import BUILT_IN, Manifest, Measured, Shelf, faults
from embedded.models.table import Entry, entries, entry

group = typer.Typer(help="Models that know what a picture shows: fetch, choose and check them.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="As `darkroom models list` shows it.")]
Data = Annotated[Path | None, typer.Option(help="Folder for all data. Default: DARKROOM_DATA, or .darkroom.")]

LINE_SECONDS = 10.0


@group.command("list")
def list_models(*, data: Data = None, as_json: Json = False) -> None:
    """Show which models can be had, which are here, and which is in use."""
    shelf, _ = _shelf(data)
    known, here, used, measured = entries(shelf.table), shelf.all(), _used(shelf), shelf.measured()
    rows = [
        _row(name, known.get(name), here.get(name), measured.get(name), is_used=name == used)
        for name in [*known, *(name for name in here if name not in known)]
    ]
    rows.insert(0, _built_in(used))
    if as_json:
        results.print_json(data=rows, indent=None)
        return
    numbers = ("DISK", "MEMORY", "MS", "DIM")
    table = plain_table("MODEL", "HERE", *numbers, "LANGUAGES", "LICENCE", right=set(numbers), whole={"MODEL", "HERE"})
    for row in rows:
        here_word = "in use" if row["in_use"] else "yes" if row["here"] else ""
        ms, dimension = row["ms_per_image"], row["dimension"]
        table.add_row(
            row["name"],
            here_word,
            _size(row["bytes"]),
            _size(row["memory_bytes"]),
            "" if ms is None else f"{ms:,.0f}",
            str(dimension or ""),
            row["languages"],
            row["licence"],
        )
    show(table)
    for row in rows:
        if not row["verified"]:
            console.print(f"{escape(row['name'])} is unverified: we do not know the hashes of all its files.")


@group.command()
def get(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Default: the first of the list.")] = None,
    *,
    data: Data = None,
) -> None:
    """Fetch a model, from where an earlier try ended. Once it is here, no network is needed or asked."""
    shelf, reserve = _shelf(data)
    wanted = entry(entries(shelf.table), name)
    if shelf.has(wanted.name):
        results.print(f"{escape(wanted.name)} is here already: {escape(str(shelf.at(wanted.name)))}")
        return
    try:
        from embedded.ml.trial import try_model  # noqa: PLC0415 - as below
        from embedded.models.fetching import fetch  # noqa: PLC0415 - with the hub's client; only this command needs it
        from embedded.models.hub import Hub  # noqa: PLC0415 - as above
    except ImportError as error:
        raise FatalError(
            f"Fetching needs the extra `models`, and {error.name} is missing: pip install -c constraints.txt -e "
            "'.[models]'"
        ) from error
    console.print(f"{escape(wanted.name)} ({escape(wanted.about)}), {wanted.licence}")
    with _Arriving() as arriving:
        manifest = fetch(shelf, wanted, Hub(), arriving, reserve=reserve, trial=try_model)
    if not manifest.is_verified:
        console.print(
            f"{escape(wanted.name)} is unverified: the hashes of some of its files are not known to us. Those that "
            "came now are recorded, and nothing else is taken under this name from now on."
        )
    results.print(f"{escape(wanted.name)} is here: {escape(str(shelf.at(wanted.name)))}")
    if shelf.chosen is None:
        _choose(shelf, wanted.name)
    else:
        results.print(f"{escape(shelf.chosen)} stays in use; `darkroom models use {wanted.name}` changes that.")


@group.command()
def use(name: Name, *, data: Data = None) -> None:
    """Choose the model that is used from the next start on; `visual` is the one that needs no weights."""
    shelf, _ = _shelf(data)
    shelf.in_use(name)
    _choose(shelf, name)


@group.command()
def remove(name: Name, *, data: Data = None) -> None:
    """Remove the files of a model. Collections that were made with it stay; they need it again for new pictures."""
    shelf, _ = _shelf(data)
    size = shelf.manifest(name).bytes
    shelf.remove(name)
    results.print(f"{escape(name)} is removed, and {_size(size)} are free.")
    if shelf.chosen == name:
        shelf.choose(None)
        results.print(f"It was in use: from the next start on that is {BUILT_IN}.")


@group.command()
def check(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Default: all that are here.")] = None,
    *,
    data: Data = None,
) -> None:
    """Compare each file of the models that are here with its hash; exit 1 if one is not what it was."""
    shelf, _ = _shelf(data)
    names = list(shelf.all()) if name is None else [name]
    if not names:
        results.print(f"No model is here: `darkroom models get` fetches one to {escape(str(shelf.folder))}.")
    wrong = False
    for one in names:
        manifest = shelf.manifest(one)
        with busy(f"Reading {one}"):
            found = list(faults(shelf.at(one), manifest))
        wrong |= bool(found)
        if found:
            results.print(f"[red]broken[/red]  {escape(one)}")
            for fault in found:
                results.print(f"        {escape(fault)}")
            results.print(f"        Fetch it again: `darkroom models remove {one}`, then `darkroom models get {one}`.")
        else:
            how = "hashes of ours" if manifest.is_verified else "unverified: the hashes that came first"
            results.print(f"[green]ok[/green]      {escape(one)} ({len(manifest.files)} files, {how})")
    if wrong:
        raise typer.Exit(1)


def _shelf(data: Path | None) -> tuple[Shelf, int]:
    """Return the models of a data folder, and the bytes of its disk that stay free."""
    settings = environment.load()
    return Shelf((data or settings.darkroom_data).resolve()), settings.disk_reserve_bytes


def _choose(shelf: Shelf, name: str) -> None:
    shelf.choose(name)
    results.print(f"{escape(name)} is in use from the next `darkroom up` on, or the next start of the ML service.")
    results.print("A collection stays with the model that it was made with: take pictures into a new one.")
    forced = environment.load().ml_model
    if forced not in {None, name}:
        results.print(f"ML_MODEL is {escape(str(forced))}, and goes before: unset it.")


def _used(shelf: Shelf) -> str:
    return environment.load().ml_model or shelf.chosen or BUILT_IN


def _built_in(used: str) -> dict[str, Any]:
    return {
        "name": BUILT_IN,
        "about": "colours and shapes; comes along, and knows no words",
        "here": True,
        "in_use": used == BUILT_IN,
        "bytes": 0,
        "memory_bytes": None,
        "ms_per_image": None,
        "dimension": 512,
        "languages": "none",
        "licence": "",
        "verified": True,
    }


def _row(
    name: str, known: Entry | None, here: Manifest | None, measured: Measured | None, *, is_used: bool
) -> dict[str, Any]:
    said = here or known
    assert said is not None  # noqa: S101 - a name comes from one of the two
    return {
        "name": name,
        "about": known.about if known else "",
        "here": here is not None,
        "in_use": is_used,
        "bytes": said.bytes,
        "memory_bytes": measured.memory if here and measured else None,
        "ms_per_image": measured.ms if here and measured else None,
        "dimension": said.dimension,
        "languages": said.languages,
        "licence": said.licence,
        "verified": said.is_verified,
    }


def _size(count: int | None) -> str:
    return "" if count is None else f"{count / 1e6:,.0f} MB"


class _Arriving:
    """Shows on stderr how a model comes: a bar on a terminal, a line now and then elsewhere. Inside `with`."""

    def __init__(self) -> None:
        self._bars: Bars | None = None
        self._task = TaskID(0)
        self._total = self._done = 0
        self._last_at = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def begin(self, total: int, done: int) -> None:
        self._total, self._done = total, done
        went_on = f", of which {done / 1e6:,.0f} MB are here from before" if done else ""
        console.print(f"{total / 1e6:,.0f} MB{went_on}")
        if console.is_terminal:
            columns = (BarColumn(bar_width=24), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
            self._bars = Bars(TextColumn(""), *columns, console=console)
            self._task = self._bars.add_task("", total=total, completed=done)
            self._bars.start()

    def advance(self, count: int) -> None:
        self._done += count
        if self._bars is not None:
            self._bars.update(self._task, completed=self._done)
        elif time.monotonic() - self._last_at >= LINE_SECONDS:
            self._last_at = time.monotonic()
            console.print(f"{self._done / 1e6:,.0f} of {self._total / 1e6:,.0f} MB")
