"""How every process logs: one event name and its fields a line, for people or as JSON."""

import logging
import sys

import structlog

from core.settings import Settings

# These tell of every fetch, commit and request at INFO, and at DEBUG of the bytes of every message: lines about
# files that name no job, with whole pictures in them. So LOG_LEVEL is for our own lines.
CHATTY = ("faust", "mode", "httpx", "httpcore", "asyncio")
# This calls each attempt that it will repeat an error; what it gives up, it raises.
CRIES_WOLF = ("aiokafka",)


def configure(settings: Settings, process: str) -> None:
    """Send the lines of structlog and of the standard library to stderr, in the form that is set.

    What a stage does says `stage` itself; every other line gets the name of the process there.
    """

    def place(_logger: object, _method: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
        line.setdefault("stage", process)
        return line

    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        place,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderers: list[structlog.typing.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if settings.log_format == "json"
        # Plain: the pretty form shows the variables of each call, and with them passwords.
        else [
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
        ]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    logging.basicConfig(handlers=[handler], level=settings.log_level, force=True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in CRIES_WOLF:
        logging.getLogger(name).setLevel(logging.CRITICAL)
