"""How paths leave a collection: what goes from hash to prepare (on `image-outcome`) and on to store (on `db-write`).

A sync looks twice. The first look finds what would leave, and prepare counts it (`Departed`, `Tally`). The second, once
that is allowed, finds it again and has it removed (`Left`), and ends with a marker (`LeftEnd`) that passes all stages.

A path that leaves raises its `sequence`, which every file of that path carries from then on: what was handed on before,
and comes to prepare or store behind the removal, adds the path no more.
"""

from typing import Any, Literal

from pydantic import ConfigDict

from rules.departures import Reason
from topics.files import FileOfJob, JobId, Sequence, Sha256
from topics.limits import Count, Name
from topics.record import Record
from topics.stepped import Stepped
from topics.sweep import Sweep


def names_its_kind(schema: dict[str, Any]) -> None:
    """Require the kind: a message without one is another record of its topic."""
    schema["required"] = ["kind", *schema.get("required", [])]


_KIND = ConfigDict(json_schema_extra=names_its_kind)


class Departed(FileOfJob):
    """A path would leave with a content, found by a sync; nothing is removed yet."""

    kind: Literal["departed"] = "departed"
    sha256: Sha256
    reason: Reason


class Left(FileOfJob):
    """A path leaves with a content. What was handed on for it with this `sequence`, or a lower one, is void."""

    model_config = _KIND

    kind: Literal["left"] = "left"
    sha256: Sha256
    sequence: Sequence
    reason: Reason


class Tally(Stepped):
    """All that would leave is known: count it. By way of store, so that all that is stored is known as well.

    `after`: a row of prepare, and what was counted before it. `is_counted`: all of it is told, and the rows
    are to go. Until then they stay, so that it can be asked for once more. `asked_before`: as in topics.sweep.
    """

    model_config = _KIND

    kind: Literal["tally"] = "tally"
    job_id: JobId
    collection: Name
    moved: Count = 0
    gone: Count = 0
    replaced: Count = 0
    excluded: Count = 0
    lost: Count = 0
    is_counted: bool = False
    asked_before: list[JobId] = []


class LeftEnd(Record):
    """All that leaves by a sync has been sent, from one partition of `raw-path` to one of those behind it.

    `round`: which of its removals.
    """

    model_config = _KIND

    kind: Literal["left-end"] = "left-end"
    job_id: JobId
    round: Count
    sent_from: Count


class Compare(Stepped):
    """A folder is looked at for the first time: tell hash what is known of it on one partition of `raw-path`.

    It goes through the partitions of prepare, one after the other, in steps; behind the last, the `sweep` is asked for.
    `after`: a row of prepare.
    """

    kind: Literal["compare"] = "compare"
    job_id: JobId
    sweep: Sweep
    partition: Count
