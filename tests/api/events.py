"""Job events as the stages publish them."""

import hashlib
from collections.abc import Sequence

from rules.outcomes import Outcome
from topics.job_event import FileOutcome, Outcomes, Queued, Scanning, Sealed, Seen, SeenFile

START = 1_700_000_000.0  # seconds since 1970


def queued(job_id: str, collection: str = "c", at: float = START) -> Queued:
    return Queued(job_id=job_id, at=at, collection=collection, sources=["/photos"], model_id="stub-1")


def scanning(job_id: str, at: float = START + 1) -> Scanning:
    return Scanning(job_id=job_id, at=at, collection="c", walk_id="w")


def seen(job_id: str, names: Sequence[str], at: float = START + 2) -> Seen:
    return Seen(job_id=job_id, at=at, collection="c", files=[SeenFile(file_id=n, path=f"/photos/{n}") for n in names])


def outcomes(job_id: str, told: dict[str, Outcome], at: float = START + 3, *, replay: bool = False) -> Outcomes:
    files = [
        FileOutcome(
            file_id=name,
            path=f"/photos/{name}",
            outcome=outcome,
            reason="cannot be decoded" if outcome == "failed" else None,
            sha256=hashlib.sha256(name.encode()).hexdigest(),
        )
        for name, outcome in told.items()
    ]
    return Outcomes(job_id=job_id, at=at, collection="c", files=files, replay=replay)


def sealed(job_id: str, partitions: int, at: float = START + 2.5) -> list[Sealed]:
    return [
        Sealed(job_id=job_id, at=at, walk_id="w", partition=number, partitions=partitions)
        for number in range(partitions)
    ]
