"""How `darkroom models` shows models, and how one comes."""

import time
from types import TracebackType
from typing import Any, Self

from rich.console import RenderableType
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bars

from cli.console import escape
from cli.console import progress as console
from cli.render import plain_table
from embedded.models.manifest import Manifest, megabytes
from embedded.models.shelf import BUILT_IN, Measured
from embedded.models.table import Entry

LINE_SECONDS = 10.0


def built_in(used: set[str]) -> dict[str, Any]:
    """Return the row of what needs no weights; `used` names what is in use."""
    return {
        "name": BUILT_IN,
        "about": "colours and shapes; comes along, and knows no words",
        "here": True,
        "in_use": BUILT_IN in used,
        "bytes": 0,
        "memory_bytes": None,
        "ms_per_image": None,
        "dimension": 512,
        "languages": "none",
        "licence": "",
        "verified": True,
    }


def row_of(
    name: str, known: Entry | None, here: Manifest | None, measured: Measured | None, *, is_used: bool
) -> dict[str, Any]:
    """Return what is known of a model, by the names that `--json` shows."""
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


def size(count: int | None) -> str:
    """Return a number of bytes as people read it."""
    return "" if count is None else megabytes(count)


def recall_table(name: str, measured: dict[str, Any]) -> RenderableType:
    """Return what an evaluation found, for people."""
    columns = [f"@{first}" for first in measured["recall"]]
    table = plain_table("MODEL", "PICTURES", "TEXTS", *columns, right={"PICTURES", "TEXTS", *columns}, whole={"MODEL"})
    shares = [f"{share:.1%}" for share in measured["recall"].values()]
    table.add_row(name, f"{measured['pictures']:,}", f"{measured['texts']:,}", *shares)
    return table


class Counting:
    """Shows on a terminal how many are done. Inside `with`."""

    def __init__(self, what: str, total: int) -> None:
        columns = (BarColumn(bar_width=24), MofNCompleteColumn(), TextColumn(what), TimeRemainingColumn())
        self._bars = Bars(*columns, console=console, disable=not console.is_terminal, transient=True)
        self._task = self._bars.add_task("", total=total)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def advance(self, count: int) -> None:
        """Show that so many more are done."""
        self._bars.advance(self._task, count)


class Arriving:
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
        """Say how much is to come."""
        self._total, self._done = total, done
        went_on = f", of which {megabytes(done)} are here from before" if done else ""
        console.print(f"{megabytes(total)}{went_on}")
        if console.is_terminal:
            columns = (BarColumn(bar_width=24), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
            self._bars = Bars(TextColumn(""), *columns, console=console)
            self._task = self._bars.add_task("", total=total, completed=done)
            self._bars.start()

    def advance(self, count: int) -> None:
        """Show that more came."""
        self._done += count
        if self._bars is not None:
            self._bars.update(self._task, completed=self._done)
        elif time.monotonic() - self._last_at >= LINE_SECONDS:
            self._last_at = time.monotonic()
            console.print(f"{self._done / 1e6:,.0f} of {megabytes(self._total)}")

    def note(self, text: str) -> None:
        """Say something beside it."""
        console.print(escape(text))
