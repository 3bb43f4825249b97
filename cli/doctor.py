"""`darkroom doctor`: says what is missing or unreachable, and how to mend it."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import psutil
import typer

import settings as environment
from cli import checks
from cli.checks import Check
from cli.console import escape, results
from cli.services import parse_stages, require_parts
from settings import Settings

MARKS = {"ok": "[green]ok[/green]     ", "note": "[cyan]note[/cyan]   ", "problem": "[red]problem[/red]"}


def doctor(
    *,
    data: Annotated[
        Path | None,
        typer.Option(help="Data folder of the `darkroom up` to look at. Default: DARKROOM_DATA, or .darkroom."),
    ] = None,
    worker: Annotated[
        str | None, typer.Option(metavar="STAGES", help="Only ask Kafka whether these stages work on this host.")
    ] = None,
) -> None:
    """Say what is missing or unreachable, and how to mend it; exit 1 if anything is."""
    settings = environment.load()
    if worker is not None:
        found = _examine_worker(settings, worker)
    else:
        found = asyncio.run(_examine(settings, (data or settings.darkroom_data).resolve()))
    for check in found:
        results.print(f"{MARKS[check.level]} {check.name:<14} {escape(check.detail)}")
        if check.mend:
            results.print(f"{'':22} {escape(check.mend)}")
    sys.exit(1 if any(check.level == "problem" for check in found) else 0)


async def _examine(settings: Settings, data: Path) -> list[Check]:
    from cli import part_checks  # noqa: PLC0415 - with the Kafka client; the other commands start faster without
    from embedded import state  # noqa: PLC0415 - as above

    found = list(checks.machine(settings, data))
    running = state.read(data)
    if running is not None:
        found.append(Check("Running", "ok", f"`darkroom up`, process {running.pid}, in {data}"))
        found.extend(
            Check(name, "problem", "is down, and will be started again", f"See {data}/logs/{name}.log.")
            for name, part in running.parts.items()
            if part.pid is None
        )
        settings = settings.model_copy(update={name.lower(): value for name, value in running.addresses.items()})
    found.extend([check async for check in part_checks.parts(settings)])
    return found


def _examine_worker(settings: Settings, stages: str) -> list[Check]:
    from cli import part_checks  # noqa: PLC0415 - as above

    require_parts(settings)
    addresses = {address.address for card in psutil.net_if_addrs().values() for address in card}
    return asyncio.run(part_checks.workers(settings, parse_stages(stages), addresses))
