"""Where the commands print: results to stdout, everything about the way there to stderr."""

from rich.console import Console
from rich.markup import escape

__all__ = ["escape", "progress", "results"]

# Nothing that is printed is cut or coloured by guesswork: a path is what people copy.
results = Console(highlight=False, soft_wrap=True)
progress = Console(highlight=False, soft_wrap=True, stderr=True)
