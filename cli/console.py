"""Where the commands print: results to stdout, everything about the way there to stderr."""

import sys
import unicodedata
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext

from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment

__all__ = ["busy", "escape", "on_one_line", "progress", "results", "show"]

# In a pipe or a file a row of a table is one line, however long.
WIDEST = 10_000

# What a terminal obeys, or turns round, in place of showing it: controls, and marks of direction and of lines.
_OBEYED = {
    code: f"\\u{code:04x}"
    for code in range(0x2070)
    if unicodedata.category(chr(code)) in {"Cc", "Zl", "Zp"}
    or chr(code) in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
}
_IN_TEXT = {code: shown for code, shown in _OBEYED.items() if chr(code) not in "\n\t"}


def on_one_line(text: str) -> str:
    """Return a text in which what a terminal would obey is shown, also a line break."""
    return text.translate(_OBEYED)


class _PlainConsole(Console):
    """Shows in the names of files and in answers what a terminal would obey: anyone may have chosen them."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            plain = segment.text if segment.control else segment.text.translate(_IN_TEXT)
            yield segment if plain == segment.text else Segment(plain, segment.style)


# Nothing that is printed is cut or coloured by guesswork: a path is what people copy.
results = _PlainConsole(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else WIDEST)
progress = _PlainConsole(highlight=False, soft_wrap=True, stderr=True)


def show(what: RenderableType) -> None:
    """Print a table to stdout, folded to fit."""
    results.print(what, soft_wrap=False)


def busy(what: str) -> AbstractContextManager[object]:
    """Show that something goes on which may take a while and tells nothing of how far it is; on a terminal only."""
    return progress.status(f"{what} …") if progress.is_terminal else nullcontext()
