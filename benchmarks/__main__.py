"""`python -m benchmarks [CASE…]`: run the cases, print their figures, and keep them in benchmarks/results/latest.json.

Without names all run but `million`, in under 20 minutes. Exits 1 when a bound is not kept.
"""

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.cases import CASES
from benchmarks.measure import Result

console = Console()


def main() -> int:
    """Run the cases that the command line names."""
    parser = argparse.ArgumentParser(description="Measure Darkroom, as ratios within one run.")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    unknown = [name for name in options.cases if name not in CASES]
    if unknown:
        parser.error(f"{', '.join(unknown)}: no such case; there are {', '.join(CASES)}")
    # As Ctrl-C does, so that what a case has started is ended.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    kept = True
    for name in options.cases or [name for name in CASES if name != "million"]:
        with tempfile.TemporaryDirectory(prefix="darkroom-bench-", ignore_cleanup_errors=True) as folder:
            result = Result(name)
            begin = time.monotonic()
            asyncio.run(CASES[name](result, Path(folder), options.rounds))
        result.save()
        show(result, time.monotonic() - begin)
        kept = kept and all(figure.holds is not False for figure in result.figures)
    return 0 if kept else 1


def show(result: Result, seconds: float) -> None:
    """Print the figures of a case, and how long it took."""
    table = Table(title=f"{result.case} ({seconds:.0f} s)", title_justify="left")
    for column in ("measure", "unit", "min", "median", "max", "must be", ""):
        table.add_column(column, justify="right" if column in {"min", "median", "max"} else "left")
    for figure in result.figures:
        document = figure.document()
        numbers = [f"{document[key]:,.3f}".rstrip("0").rstrip(".") for key in ("min", "median", "max")]
        verdict = {None: "", True: "kept", False: "[red]not kept[/red]"}[figure.holds]
        table.add_row(figure.name, figure.unit, *numbers, document["must"] or "", verdict)
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
