"""The commands that run Darkroom itself: `up` with everything it needs, and `worker`."""

import sys
from pathlib import Path
from typing import Annotated, get_args

import typer

from cli.console import escape, progress, results
from cli.interrupt import run_until_signal
from core import grants
from core import settings as environment
from core.disk import check_writable, close_to_others
from core.errors import FatalError
from core.settings import STAGES, Settings, Stage
from rules.listening import KEYLESS

PORT = 8002


def up(
    *,
    data: Annotated[
        Path | None, typer.Option(help="Folder for all data. Default: DARKROOM_DATA, or .darkroom.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address that the API listens on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port that the API listens on.")] = PORT,
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Model of `darkroom models`. Default: ML_MODEL, or the chosen one."),
    ] = None,
) -> None:
    """Run all parts in the foreground, until Ctrl-C.

    Kafka, Qdrant and ML are embedded ones, unless KAFKA_BROKERS, QDRANT_URL or ML_INFERENCE_SERVICE_URL name others.
    """
    settings = environment.load()
    if model is not None:
        if settings.ml_inference_service_url:
            raise FatalError(
                "--model is for the ML service of our own, and ML_INFERENCE_SERVICE_URL names another: leave one out."
            )
        settings = settings.model_copy(update={"ml_model": model})
    run_until_signal(_up(settings, (data or settings.darkroom_data).resolve(), host, port))


def worker(
    *,
    stages: Annotated[str, typer.Option(help="Stages to run, separated by commas.", show_default="all")] = ",".join(
        STAGES
    ),
) -> None:
    """Run stages of the pipeline in this process, until SIGTERM or Ctrl-C."""
    chosen = parse_stages(stages)
    settings = environment.load()
    require_parts(settings)
    import agents.worker  # noqa: PLC0415 - Faust takes a second to import, and only this command needs it

    sys.exit(agents.worker.run(settings, chosen))


def tell(part: str, what: str) -> None:
    """Print what happened to a part."""
    first, *more = what.splitlines()
    progress.print(f"[bold]{part:<8}[/bold] {escape(first)}")
    for line in more:
        progress.print(f"{'':8} {escape(line)}")


def require_parts(settings: Settings) -> None:
    """Raise FatalError that names each setting without which a stage finds nothing to talk to."""
    needed = {
        "KAFKA_BROKERS": settings.kafka_brokers,
        "QDRANT_URL": settings.qdrant_address,
        "ML_INFERENCE_SERVICE_URL": settings.ml_inference_service_url,
    }
    missing = [name for name, value in needed.items() if not value]
    if missing:
        raise FatalError(f"Set {', '.join(missing)}, or use `darkroom up`, which starts the parts itself.")


def parse_stages(text: str) -> tuple[Stage, ...]:
    """Return the stages that a list with commas names, in the order of the flow."""
    names = tuple(name.strip() for name in text.split(","))
    unknown = [name for name in names if name not in STAGES]
    if unknown:
        raise typer.BadParameter(
            f"{', '.join(unknown) or 'nothing'} is no stage; these are: {', '.join(get_args(Stage))}"
        )
    return tuple(stage for stage in STAGES if stage in names)


async def _up(settings: Settings, data: Path, host: str, port: int) -> None:
    from embedded import stack  # noqa: PLC0415 - with the Kafka client; the other commands start faster without
    from embedded.supervisor import Supervisor  # noqa: PLC0415 - as above

    planned = stack.plan(settings, data, host=host, port=port)
    for part, address in await stack.require_given(settings):
        tell(part, f"used, not started: {address}")
    check_writable(data / "api")
    close_to_others(data / "api")
    if grants.told(data) is None:
        grants.tell(data, [])  # until the API says more, no worker believes what a message allows itself
    async with planned.kafka, Supervisor(data, planned.waves, tell, addresses=planned.addresses) as parts:
        results.print(f"Darkroom is ready at {planned.url} (data: {data}). Ctrl-C stops it.")
        if settings.darkroom_api_key is None:
            results.print(KEYLESS)
        await parts.wait()
