"""Where the commands print: results to stdout, everything about the way there to stderr."""

from contextlib import AbstractContextManager, nullcontext

from rich.console import Console, RenderableType
from rich.markup import escape

__all__ = ["busy", "escape", "progress", "results", "show"]

# Nothing that is printed is cut or coloured by guesswork: a path is what people copy.
results = Console(highlight=False, soft_wrap=True)
progress = Console(highlight=False, soft_wrap=True, stderr=True)

WIDEST = 10_000


def show(what: RenderableType) -> None:
    """Print a table to stdout: folded to fit a terminal, and one line a row for a pipe or a file."""
    if results.is_terminal:
        results.print(what, soft_wrap=False)
    else:
        results.print(what, soft_wrap=False, width=WIDEST)


def busy(what: str) -> AbstractContextManager[object]:
    """Show that something goes on which may take a while and tells nothing of how far it is; on a terminal only."""
    return progress.status(f"{what} …") if progress.is_terminal else nullcontext()
