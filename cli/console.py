"""Where the commands print: results to stdout, everything about the way there to stderr."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import islice

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

__all__ = ["busy", "escape", "progress", "results", "show", "show_rows"]

ROWS_AT_ONCE = 100

# In a pipe or a file a row of a table is one line, however long.
WIDEST = 10_000

# Nothing that is printed is cut or coloured by guesswork: a path is what people copy.
results = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else WIDEST)
progress = Console(highlight=False, soft_wrap=True, stderr=True)


def show(what: RenderableType) -> None:
    """Print a table to stdout, folded to fit."""
    results.print(what, soft_wrap=False)


def show_rows(widths: Mapping[str, int], rows: Iterable[Sequence[str]]) -> None:
    """Print rows as they come: on a terminal as a table whose last column is folded to fit, else a line each.

    `widths` has the least width of each column, in characters, by its name.
    """
    if not results.is_terminal:
        for row in rows:
            cells = (f"{cell:<{width}}" for cell, width in zip(row, widths.values(), strict=True))
            results.out(" ".join(cells).rstrip(), highlight=False)
        return
    coming = iter(rows)
    header = True
    while some := list(islice(coming, ROWS_AT_ONCE)):
        table = Table(box=None, pad_edge=False, header_style="bold", show_header=header)
        for name, width in widths.items():
            table.add_column(name, min_width=width, no_wrap=name != [*widths][-1], overflow="fold")
        for row in some:
            table.add_row(*map(Text, row))
        show(table)
        header = False


def busy(what: str) -> AbstractContextManager[object]:
    """Show that something goes on which may take a while and tells nothing of how far it is; on a terminal only."""
    return progress.status(f"{what} …") if progress.is_terminal else nullcontext()
