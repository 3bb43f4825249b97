"""`forget` and `unforget`: pictures that are to leave for good. `forget JOB` is about the files of a job."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from agents.scan.walking import Found, walk
from cli.client import Client
from cli.console import on_one_line, results
from cli.jobs import Json, forget_job
from core import settings
from imaging.hashing import hash_file
from rules.paths import from_readable, readable

PATHS_SHOWN = 10
MANY_SECONDS = 3600.0
"""How long an answer about a folder of a million pictures may take."""

Content = Annotated[str, typer.Option(metavar="SHA256", help="A picture, by the hash of its file.")]
OfPath = Annotated[
    str, typer.Option("--path", metavar="PATH", help="The picture that is there, or was last; of a folder: all below.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]


class ForgettingClient(Client):
    """The part of the API that is about it."""

    def forget(self, wanted: dict[str, Any], *, dry_run: bool) -> dict[str, Any]:
        """Have pictures forgotten, or say what that is about."""
        return self._call("POST", "/forget", json={**wanted, "dry_run": dry_run}, timeout=MANY_SECONDS)

    def unforget(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Have files taken in again."""
        return self._call("POST", "/unforget", json=wanted)


def forget(
    job: Annotated[
        str, typer.Argument(metavar="[JOB]", help="Forget which files this job had, and nothing else.")
    ] = "",
    *,
    path: OfPath = "",
    content: Content = "",
    source: Annotated[str, typer.Option(metavar="NAME", help="A source, and the pictures that it alone holds.")] = "",
    collection: Annotated[
        str, typer.Option(metavar="NAME", help="A whole collection; beside --path or --content: only there.")
    ] = "",
    yes: Yes = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what that is about, and do nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Forget pictures for good: points, thumbnails, and all that is known of them. Their files are not touched.

    A file whose content was forgotten is skipped from then on, until `darkroom unforget`.
    With a JOB that is over: forget the list of its files. Its last status stays, and all pictures do.
    """
    wanted = _wanted(path=path, content=content, source=source, collection=collection)
    if bool(job) == bool(wanted):
        raise typer.BadParameter("Name what to forget: --path, --content, --source, --collection, or a JOB.")
    if job:
        forget_job(job, as_json=as_json)
        return
    with ForgettingClient.of(settings.load()) as client:
        forget_pictures(client, wanted, yes=yes, dry_run=dry_run, as_json=as_json)


def unforget(
    *,
    path: OfPath = "",
    content: Content = "",
    collection: Annotated[
        str, typer.Option(metavar="NAME", help="All that was forgotten in it; beside the others: only there.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Take files in again that are skipped as forgotten, when they come the next time."""
    wanted = _wanted(path=path, content=content, collection=collection)
    if not wanted:
        raise typer.BadParameter("Name what to take in again: --path, --content or --collection.")
    with ForgettingClient.of(settings.load()) as client:
        said = [client.unforget(one) for one in _each(wanted)]
    for one in said:
        if as_json:
            results.print_json(data=one, indent=None)
        else:
            results.out(on_one_line(f"{one['what']}."), highlight=False)


def forget_pictures(
    client: ForgettingClient, wanted: dict[str, Any], *, yes: bool, dry_run: bool, as_json: bool
) -> None:
    """Say what is to be forgotten, ask, and have it forgotten."""
    about = client.forget(wanted, dry_run=True)
    if "path" in wanted and not about["pictures"] and (real := _real(wanted["path"])) != wanted["path"]:
        # Folders are taken in by their real path.
        other = wanted | {"path": real}
        if (found := client.forget(other, dry_run=True))["pictures"]:
            wanted, about = other, found
    if not as_json:
        _tell(about)
    if dry_run:
        if as_json:
            results.print_json(data=about, indent=None)
        return
    if not yes:
        typer.confirm("Forget that for good?", abort=True, err=True)
    done = client.forget(wanted, dry_run=False)
    if as_json:
        results.print_json(data=done, indent=None)
        return
    until = max(one["until"] for one in done["kafka"])
    results.out(
        f"Forgotten. Kafka's topics hold messages about it until {until}; then nothing is left of it.", highlight=False
    )


def _tell(about: dict[str, Any]) -> None:
    results.out(on_one_line(about["what"]), highlight=False)
    for path in about["paths"][:PATHS_SHOWN]:
        results.out(f"  {on_one_line(path)}", highlight=False)
    if (more := about["paths_total"] - PATHS_SHOWN) > 0:
        results.out(f"  and {more:,} more", highlight=False)
    if about["dead_letters"]:
        results.out(f"Dead letters about it: {about['dead_letters']}", highlight=False)


def _wanted(**named: str) -> dict[str, Any]:
    wanted = {name: value for name, value in named.items() if value}
    if "content" in wanted:
        wanted["content"] = wanted["content"].casefold()  # as some programs write hashes
        if not re.fullmatch("[0-9a-f]{64}", wanted["content"]):
            raise typer.BadParameter(
                "--content is the SHA-256 of a file, 64 hex digits, as `sha256sum FILE` prints it."
            )
    if "path" in wanted:
        # As the service shows it: names that are not UTF-8 travel so.
        wanted["path"] = readable(os.fsencode(os.path.normpath(Path(wanted["path"]).expanduser().absolute())))
    return wanted


def _real(path: str) -> str:
    """Return the real path of one that is shown so."""
    found = next((raw for raw in from_readable(path) if os.path.lexists(raw)), path.encode())
    return readable(os.path.realpath(found))


def _each(wanted: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what is asked for: of a folder on this machine, each picture below it by its content."""
    folder = os.fsencode(_real(wanted.get("path", "")))
    if "path" not in wanted or not os.path.isdir(folder):  # noqa: PTH112 - bytes
        yield wanted
        return
    others = {name: value for name, value in wanted.items() if name != "path"}
    for entry in walk(folder):
        if isinstance(entry, Found):
            yield others | {"content": hash_file(entry.path)[0]}
