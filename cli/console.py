"""Where the commands print: results to stdout, everything about the way there to stderr."""

import sys
from contextlib import AbstractContextManager, nullcontext

from rich.console import Console, RenderableType
from rich.markup import escape

__all__ = ["busy", "escape", "progress", "results", "show"]

# In a pipe or a file a row of a table is one line, however long.
WIDEST = 10_000

# Nothing that is printed is cut or coloured by guesswork: a path is what people copy.
results = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else WIDEST)
progress = Console(highlight=False, soft_wrap=True, stderr=True)


def show(what: RenderableType) -> None:
    """Print a table to stdout, folded to fit."""
    results.print(what, soft_wrap=False)


def busy(what: str) -> AbstractContextManager[object]:
    """Show that something goes on which may take a while and tells nothing of how far it is; on a terminal only."""
    return progress.status(f"{what} …") if progress.is_terminal else nullcontext()
