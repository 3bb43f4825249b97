"""What the API was told and nothing else knows: a SQLite file of its own, as the view may be deleted at any time."""

import os
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
from pydantic import TypeAdapter

from api.access.sources import resolved
from api.uploads.receiving import RefusedFile
from api.view.database import Database
from core import grants
from core.settings import Settings
from gateways.ml import Capabilities

_CAPABILITIES = TypeAdapter(Capabilities)


class Kept:
    """Choices that outlive a restart; where there is none, that of the settings."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    async def selected_collection(self) -> str | None:
        """Return the collection that was selected; None where none was."""
        name = await self._get("active_collection")
        return name if isinstance(name, str) else None

    async def active_collection(self) -> str:
        """Return the collection for requests that name none."""
        return await self.selected_collection() or self._settings.default_collection

    async def select_collection(self, name: str | None) -> None:
        """Remember the selected collection; None forgets it."""
        await self._set("active_collection", name)

    async def capabilities(self) -> Capabilities | None:
        """Return what the ML service said last; None where it never said anything."""
        found = await self._get("ml_capabilities")
        return _CAPABILITIES.validate_python(found) if isinstance(found, dict) else None

    async def keep_capabilities(self, capabilities: Capabilities) -> None:
        """Remember what the ML service said."""
        await self._set("ml_capabilities", capabilities)

    async def roots(self) -> list[Path]:
        """Return the folders that may be taken in: the settings', and those that were allowed from this machine."""
        return [*self._settings.ingest_roots, *await self._database.read(_roots)]

    async def readable_roots(self) -> list[Path]:
        """Return every folder that the service may use: those of `roots`, and the uploads."""
        return [*await self.roots(), self._settings.uploads_folder]

    async def add_root(self, root: Path) -> None:
        """Allow a folder."""

        def add(connection: sqlite3.Connection) -> None:
            known = _get(connection, "roots")
            _set(connection, "roots", sorted({*(known if isinstance(known, list) else []), str(root)}))

        await self._database.write(add)

    async def tell_roots(self) -> None:
        """Tell the workers that share our data folder which folders we may read: all that are allowed now."""

        def tell(connection: sqlite3.Connection) -> None:
            allowed = [*self._settings.ingest_roots, *_roots(connection), self._settings.uploads_folder]
            grants.tell(self._settings.darkroom_data, resolved(allowed))

        # In the thread of the database, so that of two who allow a folder at once, the later writes both.
        await self._database.write(tell)

    async def refused(self, job_id: str) -> list[RefusedFile]:
        """Return the files of an upload that were left out."""
        found = await self._get(f"refused/{job_id}")
        return [RefusedFile(**one) for one in found] if isinstance(found, list) else []

    async def keep_refused(self, job_id: str, files: list[RefusedFile]) -> None:
        """Remember which files of an upload were left out, for when it is sent again."""
        if files:
            await self._set(f"refused/{job_id}", files)

    async def ended_sessions(self, now: float) -> list[str]:
        """Return the sessions that were ended; those that have expired by now, in seconds since 1970, are forgotten."""

        def ended(connection: sqlite3.Connection) -> list[str]:
            connection.execute("DELETE FROM kept WHERE name GLOB 'session/*' AND CAST(value AS REAL) <= ?", (now,))
            rows = connection.execute("SELECT name FROM kept WHERE name GLOB 'session/*'")
            return [name.removeprefix("session/") for (name,) in rows]

        return await self._database.write(ended)

    async def end_sessions(self, sessions: Mapping[str, int]) -> None:
        """Remember that sessions were ended; each with the second in which it expires."""
        for name, until in sessions.items():
            await self._set(f"session/{name}", until)

    async def told_of(self, job_id: str) -> str | None:
        """Return the status of a job that the webhook was told last; None where it was not told of it."""
        found = await self._get(f"told/{job_id}")
        return found if isinstance(found, str) else None

    async def keep_told_of(self, job_id: str, status: str) -> None:
        """Remember that the webhook was told of a job."""
        await self._set(f"told/{job_id}", status)

    async def _get(self, name: str) -> object:
        return await self._database.read(lambda connection: _get(connection, name))

    async def _set(self, name: str, value: object) -> None:
        await self._database.write(lambda connection: _set(connection, name, value))


def _roots(connection: sqlite3.Connection) -> list[Path]:
    """Return the folders that were allowed from this machine; one that is a link by now leads nowhere."""
    found = _get(connection, "roots")
    return [Path(root) for root in found if os.path.realpath(root) == root] if isinstance(found, list) else []


def _get(connection: sqlite3.Connection, name: str) -> object:
    row = connection.execute("SELECT value FROM kept WHERE name = ?", (name,)).fetchone()
    return orjson.loads(row[0]) if row else None


def _set(connection: sqlite3.Connection, name: str, value: object) -> None:
    connection.execute(
        "INSERT INTO kept VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
        (name, orjson.dumps(value).decode()),
    )


@asynccontextmanager
async def open_kept(path: Path, settings: Settings) -> AsyncIterator[Kept]:
    """Open the file at `path` until the block ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    database = Database(path)
    await database.write(
        lambda connection: connection.execute(
            "CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, value TEXT NOT NULL)"
        )
    )
    try:
        yield Kept(database, settings)
    finally:
        await database.close()
