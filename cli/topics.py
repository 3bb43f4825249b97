"""The commands that look into Kafka: `topics` lists the topics with what waits in them, `tail` shows messages."""

import asyncio
import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from cli.console import busy, results, show
from cli.jobs import Json
from cli.render import plain_table
from core import settings as environment
from core.settings import Settings
from rules.shortening import shortened

# A rendition at its limit takes 400 KB: with all of them, a long tail would take gigabytes.
MOST_MESSAGES = 1000

Data = Annotated[
    Path | None,
    typer.Option(help="Data folder of the `darkroom up` whose Kafka it is. Default: DARKROOM_DATA, or .darkroom."),
]


def topics(*, data: Data = None, as_json: Json = False) -> None:
    """List the topics: how many messages each holds, how many each stage has yet to finish, and what holds any up."""
    from cli import kafka, messages  # noqa: PLC0415 - with the Kafka client; the other commands start faster without

    settings = kafka.with_brokers(environment.load(), data)
    with busy("Asking Kafka"):
        found = asyncio.run(messages.topics(settings))
    if as_json:
        results.print_json(data={"topics": found}, indent=None)
        return
    table = plain_table("TOPIC", "MESSAGES", "LAG", right={"MESSAGES"})
    for topic in found:
        lag = ", ".join(f"{group} {left:,}" for group, left in topic["lag"].items())
        table.add_row(topic["name"], f"{topic['messages']:,}", lag)
    show(table)
    for topic in found:
        for held in topic["held"]:
            show(Text(held["detail"], style="yellow"))


def tail(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="Such as raw-path; `darkroom topics` lists them.")],
    *,
    number: Annotated[
        int, typer.Option("--number", "-n", min=0, max=MOST_MESSAGES, help="How many of the newest messages.")
    ] = 10,
    job: Annotated[str | None, typer.Option(help="Only messages of this job.", metavar="JOB")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    data: Data = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a line, with nothing shortened.")
    ] = False,
) -> None:
    """Show the newest messages of a topic, decoded. Pictures and vectors are shortened."""
    from cli import kafka  # noqa: PLC0415 - as above

    settings = kafka.with_brokers(environment.load(), data)
    asyncio.run(_tail(settings, topic, number, job, follow=follow, as_json=as_json))


async def _tail(settings: Settings, topic: str, number: int, job: str | None, *, follow: bool, as_json: bool) -> None:
    from cli import messages  # noqa: PLC0415 - as above

    async for message in messages.newest(settings, topic, number, job, follow=follow):
        _print(message, as_json=as_json)


def _print(message: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        results.out(json.dumps(message, ensure_ascii=False), highlight=False)
        return
    at = datetime.fromisoformat(message["at"]).astimezone()
    results.out(
        f"{at:%Y-%m-%d %H:%M:%S}  {message['partition']}:{message['offset']}  {message['key'] or '(no key)'}",
        style="bold",
        highlight=False,
    )
    for name, text in message["headers"].items():
        if name != "content-type":
            results.out(f"  {name}: {shortened(text)}", highlight=False)
    value = message["value"]
    shown = "(no value: an end marker)" if value is None else json.dumps(shortened(value), ensure_ascii=False)
    results.out(f"  {shown}\n", highlight=False)
