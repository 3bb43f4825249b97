"""All commands, and the exit codes they share.

0   it worked; with `--wait`: the job is `completed`
1   it did not: the job ended in another way, `doctor` found a problem, a part could not be kept running
2   the command line is wrong
3   something cannot be reached: the API, or a broker
130 interrupted with Ctrl-C
"""

import logging
import sys

import typer

from cli import (
    collections,
    dead_letters,
    demo,
    doctor,
    forgetting,
    gone,
    jobs,
    models,
    replay,
    search,
    services,
    sources,
    sync,
    topics,
)
from cli.console import escape, progress
from core.errors import DarkroomError, RetryableError

FAILED = 1
UNREACHABLE = 3
INTERRUPTED = 130

app = typer.Typer(
    name="darkroom",
    help="Turns folders of photographs into a searchable collection.",
    epilog="Exit codes: 0 it worked; 1 it did not; 2 wrong command line; 3 something cannot be reached; 130 Ctrl-C.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(services.up)
app.command()(services.worker)
app.command()(jobs.ingest)
app.command()(jobs.reread)
app.command()(jobs.reembed)
app.command()(jobs.caption)
app.add_typer(sources.group, name="sources")
app.command()(sync.sync)
app.command("jobs")(jobs.recent)
app.command()(jobs.status)
app.command()(jobs.files)
app.command()(jobs.pause)
app.command()(jobs.resume)
app.command()(jobs.cancel)
app.command()(jobs.close)
app.command()(forgetting.forget)
app.command()(forgetting.unforget)
app.add_typer(gone.group, name="gone")
app.command()(search.search)
app.command()(search.similar)
app.command("retry-failed")(dead_letters.retry_failed)
app.add_typer(dead_letters.group, name="dead-letters")
app.add_typer(collections.group, name="collections")
app.add_typer(models.group, name="models")
app.command()(replay.replay)
app.command("rebuild-cache")(replay.rebuild_cache)
app.command("clear-cache")(replay.clear_cache)
app.command()(topics.topics)
app.command()(topics.tail)
app.command()(doctor.doctor)
app.command()(demo.demo)


def run() -> None:
    """Run one command. An error that was raised on purpose is one message on stderr and an exit code."""
    # The Kafka client logs each refused connection; the commands say it in their own words.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        app()
    except DarkroomError as error:
        progress.print(f"[red]darkroom:[/red] {escape(str(error))}")
        sys.exit(UNREACHABLE if isinstance(error, RetryableError) else FAILED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
