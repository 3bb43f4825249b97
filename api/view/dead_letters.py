"""Dead letters as rows of the view: how messages become rows, and what is asked of them.

Everything here follows from the topic: also what was decided about a letter, which stands behind it as a mark.
"""

import sqlite3
from dataclasses import dataclass
from typing import Any

import orjson

from core.errors import wrong_cursor
from rules.dead_letters import DeadLetterState
from topics.dead_letter import CONNECT, RESTART_TOPIC, Mark
from topics.record import HeaderList, Headers

SCHEMA = """
DROP TABLE IF EXISTS letters;
CREATE TABLE letters (
    partition INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    at INTEGER NOT NULL,              -- milliseconds since 1970, of Kafka's own timestamp
    job_id TEXT NOT NULL,             -- empty: the message named none
    file_id TEXT NOT NULL,
    path TEXT NOT NULL,
    path_b64 TEXT,                    -- only where the path is not UTF-8: others may be shown like it
    source TEXT NOT NULL,             -- that a look has found the file in; empty: none
    stage TEXT NOT NULL,
    error_class TEXT NOT NULL,
    message TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    restart_topic TEXT NOT NULL,
    state TEXT NOT NULL,              -- open, replayed or dropped
    key BLOB,
    value BLOB,
    headers BLOB NOT NULL,            -- JSON: pairs of name and value in Latin-1, which keeps every byte
    PRIMARY KEY (partition, offset)
);
CREATE INDEX letters_by_age ON letters (at, partition, offset);
CREATE INDEX letters_by_job ON letters (job_id, at, partition, offset);
CREATE INDEX letters_by_file ON letters (job_id, file_id);
CREATE INDEX letters_of_looks ON letters (source, path) WHERE source != '' AND state = 'open';
CREATE INDEX letters_by_state ON letters (state, at, partition, offset);
"""
_SUMMARY = (
    "partition, offset, at, job_id, file_id, path, stage, error_class, message, attempt, restart_topic, state,"
    " value IS NULL"
)
_WHOLE = f"{_SUMMARY}, key, value, headers"
_LATEST_MS = 253_402_300_799_000  # the end of the year 9999, beyond which nothing can show a date


@dataclass(frozen=True, slots=True)
class DeadLetterRow:
    """A dead letter without its content; `at` in milliseconds since 1970."""

    partition: int
    offset: int
    at: int
    job_id: str
    file_id: str
    path: str
    stage: str
    error_class: str
    message: str
    attempt: int
    restart_topic: str
    state: DeadLetterState
    is_sentinel: bool

    @property
    def id(self) -> str:
        """Its name: where it stands in the topic."""
        return f"{self.partition}-{self.offset}"


@dataclass(frozen=True, slots=True)
class WholeDeadLetter(DeadLetterRow):
    """A dead letter with all that is needed to publish it again."""

    key: bytes | None
    value: bytes | None
    headers: HeaderList


@dataclass(frozen=True, slots=True)
class DeadLetterFilter:
    """Which letters; empty fields match all."""

    job_id: str = ""
    stage: str = ""
    error_class: str = ""
    state: DeadLetterState | None = None


def write(
    connection: sqlite3.Connection,
    *,
    partition: int,
    offset: int,
    at: float,
    key: bytes | None,
    value: bytes | None,
    headers: HeaderList,
) -> str:
    """Take a message of the topic: a letter, or the mark of one. `at` in seconds since 1970.

    Return the source of the look that the letter is of; empty where it is of none.
    """
    named = dict(headers)
    if value is None and (mark := Mark.read(named)):
        if mark.decision == "forgotten":
            connection.execute("DELETE FROM letters WHERE partition = ? AND offset = ?", (partition, mark.offset))
            return ""
        connection.execute(
            "UPDATE letters SET state = ? WHERE partition = ? AND offset = ?", (mark.decision, partition, mark.offset)
        )
        return ""
    text = {name: (raw or b"").decode("utf-8", "replace") for name, raw in headers}
    common = Headers.decode(headers)
    said = texts_of(value)
    job_id = common.job_id or said.get("job_id", "")
    if job_id and common.file_id:
        # The file was tried again since: its newest letter is the one to act on.
        connection.execute(
            "UPDATE letters SET state = 'replayed' WHERE job_id = ? AND file_id = ? AND state = 'open'",
            (job_id, common.file_id),
        )
    path, path_b64, source = said.get("path", ""), said.get("path_b64"), said.get("source", "")
    if path and source:
        # Each look at a source tries it again, under a job of its own.
        connection.execute(
            "UPDATE letters SET state = 'replayed'"
            " WHERE source = ? AND path = ? AND path_b64 IS ? AND source != '' AND state = 'open'",
            (source, path, path_b64),
        )
    connection.execute(
        "INSERT OR REPLACE INTO letters VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'open', ?, ?, ?)",
        (
            partition,
            offset,
            min(max(0, int(at * 1000)), _LATEST_MS),
            job_id,
            common.file_id,
            path,
            path_b64,
            source,
            text.get(f"{CONNECT}stage", ""),
            text.get(f"{CONNECT}exception.class.name", ""),
            text.get(f"{CONNECT}exception.message", ""),
            min(common.attempt, 1_000_000),
            text.get(RESTART_TOPIC, ""),
            key,
            value,
            orjson.dumps([(name, (raw or b"").decode("latin-1")) for name, raw in headers]),
        ),
    )
    return source


def forget(connection: sqlite3.Connection, before: float) -> None:
    """Forget letters from before this time (seconds since 1970): Kafka no longer keeps them either."""
    connection.execute("DELETE FROM letters WHERE at < ?", (int(before * 1000),))


def find(
    connection: sqlite3.Connection, wanted: DeadLetterFilter, *, limit: int, cursor: str | None
) -> tuple[list[DeadLetterRow], str | None]:
    """Return a page, the newest first, and the cursor of the next. Raises RequestError(422) for a wrong cursor."""
    rows, following = _page(connection, _SUMMARY, wanted, limit, cursor)
    return [DeadLetterRow(*row) for row in rows], following


def count(connection: sqlite3.Connection, wanted: DeadLetterFilter) -> int:
    """Return how many letters match."""
    where, values = _conditions(wanted)
    (number,) = connection.execute(f"SELECT count(*) FROM letters{where}", values).fetchone()  # noqa: S608 - constant
    return int(number)


def find_whole(
    connection: sqlite3.Connection, wanted: DeadLetterFilter, *, limit: int, cursor: str | None
) -> tuple[list[WholeDeadLetter], str | None]:
    """Return a page as `find` does, with the contents."""
    rows, following = _page(connection, _WHOLE, wanted, limit, cursor)
    return [_whole(row) for row in rows], following


def get(connection: sqlite3.Connection, letter_id: str) -> WholeDeadLetter | None:
    """Return one letter by its id; None where there is none."""
    partition, _, offset = letter_id.partition("-")
    row = connection.execute(
        f"SELECT {_WHOLE} FROM letters WHERE partition = ? AND offset = ?",  # noqa: S608 - constant
        (int(partition), int(offset)),
    ).fetchone()
    return _whole(row) if row else None


def _page(
    connection: sqlite3.Connection, columns: str, wanted: DeadLetterFilter, limit: int, cursor: str | None
) -> tuple[list[tuple[Any, ...]], str | None]:
    where, values = _conditions(wanted, cursor)
    rows = connection.execute(
        f"SELECT {columns} FROM letters{where} ORDER BY at DESC, partition DESC, offset DESC LIMIT ?",  # noqa: S608
        (*values, limit + 1),
    ).fetchall()
    page = rows[:limit]
    return page, "-".join(str(number) for number in _key(page[-1])) if len(rows) > limit else None


def _conditions(wanted: DeadLetterFilter, cursor: str | None = None) -> tuple[str, list[object]]:
    """Return the WHERE clause, empty for all, and its values."""
    fields = {"job_id": wanted.job_id, "stage": wanted.stage, "error_class": wanted.error_class, "state": wanted.state}
    chosen = {name: value for name, value in fields.items() if value}
    conditions = [f"{name} = ?" for name in chosen]
    values: list[object] = [*chosen.values()]
    if cursor:
        conditions.append("(at, partition, offset) < (?, ?, ?)")
        values += _place(cursor)
    return (f" WHERE {' AND '.join(conditions)}" if conditions else ""), values


def _key(row: tuple[Any, ...]) -> tuple[int, int, int]:
    partition, offset, at, *_ = row
    return at, partition, offset


def _place(cursor: str) -> list[int]:
    numbers = cursor.split("-")
    if len(numbers) != 3 or not all(n.isascii() and n.isdecimal() and len(n) < 19 for n in numbers):
        raise wrong_cursor()
    return [int(number) for number in numbers]


def _whole(row: tuple[Any, ...]) -> WholeDeadLetter:
    headers = [(name, value.encode("latin-1")) for name, value in orjson.loads(row[-1])]
    return WholeDeadLetter(*(*row[:-1], headers))


def texts_of(value: bytes | None) -> dict[str, str]:
    """Return the fields of a dead letter's value that are texts; none where it is no JSON object."""
    try:
        found = orjson.loads(value or b"{}")
    except orjson.JSONDecodeError:
        return {}
    return {name: text for name, text in found.items() if isinstance(text, str)} if isinstance(found, dict) else {}
