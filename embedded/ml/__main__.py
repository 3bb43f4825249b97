"""Start the reference ML service."""

import argparse
import asyncio
import logging
import socket
import sys
from functools import partial
from pathlib import Path

import uvicorn

from core import settings as environment
from core.errors import FatalError
from core.settings import Settings
from embedded.guard import NoWebPages
from embedded.ml.choosing import Choice
from embedded.ml.model import Model, VisualModel
from embedded.ml.service import create_app
from embedded.models.extra import needs_extra
from embedded.models.shelf import Shelf

log = logging.getLogger("darkroom.ml")


def main() -> None:
    """Serve until stopped. Exit with 1 and a message where that is not possible."""
    parser = argparse.ArgumentParser(prog="python -m embedded.ml", description="The reference ML service.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8001, help="port to listen on (default: %(default)s)")
    parser.add_argument(
        "--model", metavar="NAME", help="a model of `darkroom models` (default: ML_MODEL, or the chosen)"
    )
    parser.add_argument("--clip-models", type=Path, metavar="DIR", help="use the models that lie in this folder")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    try:
        settings = environment.load()
        shelf, forced = Shelf(settings.darkroom_data), options.model or settings.ml_model
        folder = options.clip_models or shelf.in_use(forced)
        choice = Choice(
            shelf,
            partial(_model, settings, shelf.learned),
            reserve=settings.disk_reserve_bytes,
            fixed=_fixed(options.clip_models, forced),
        )
        with _listen(options.host, options.port) as listening:
            asyncio.run(_serve(listening, options.host, choice, folder))
    except FatalError as error:
        sys.exit(f"The ML service cannot start: {error}")
    except KeyboardInterrupt:
        sys.exit(130)  # As a shell reports Ctrl-C; the server has stopped in order by now.


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port))
    except (OSError, OverflowError) as error:
        raise FatalError(
            f"cannot listen on {host}:{port}: {error}. Stop what uses this port, or choose another with --port."
        ) from error


async def _serve(listening: socket.socket, host: str, choice: Choice, folder: Path | None) -> None:
    """Answer from the start (with 503), load the models meanwhile, then serve until a signal."""
    app = create_app(choice)
    server = uvicorn.Server(
        uvicorn.Config(NoWebPages(app, host), log_config=None, access_log=False, timeout_graceful_shutdown=10)
    )
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        model = await choice.start(folder)
        log.info("ready: model %s, %d dimensions, on %s", model.model_id, model.dimension, model.device)
    except FatalError:
        server.should_exit = True
        raise
    finally:
        await serving


def _fixed(folder: Path | None, name: str | None) -> str | None:
    """Say why the model that runs cannot be changed while it runs; None: it can."""
    if folder is not None:
        return f"The ML service was started on the models in {folder}. Start it without --clip-models to choose others."
    if name is not None:
        return (
            f"{name} was chosen at the start (--model, ML_MODEL), which goes before. Start without it to choose others."
        )
    return None


def _model(settings: Settings, learned: Path, folder: Path | None, captioner: Path | None) -> Model:
    """Load a model, and the captioner beside it; None: the one that needs no weights, and none."""
    if folder is None and captioner is None:
        return VisualModel()
    with needs_extra():
        from embedded.ml.captioned import Captioned  # noqa: PLC0415  # Only then are its packages needed.
        from embedded.ml.clip import ClipModel  # noqa: PLC0415  # As above.
    idle = settings.ml_text_idle_seconds
    model: Model = VisualModel()
    if folder is not None:
        model = ClipModel(
            folder, provider=settings.ml_provider, device_id=settings.ml_device_id, learned=learned, idle_seconds=idle
        )
    return model if captioner is None else Captioned(model, captioner, idle)


if __name__ == "__main__":
    main()
