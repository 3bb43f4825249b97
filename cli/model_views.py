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
from embedded.models.manifest import megabytes

LINE_SECONDS = 10.0


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
