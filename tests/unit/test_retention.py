"""Old jobs are forgotten by themselves, a few at a time, by a view that knows all that Kafka has."""

import asyncio
import time
from typing import Any

import pytest

from api.jobs import retention
from api.jobs.retention import DAY_SECONDS, JOBS_AT_ONCE, forget_old_jobs, open_retention
from core.errors import KafkaUnavailableError
from tests.deadlines import HANG_SECONDS


class Jobs:
    """The view, with jobs by their end, and the publisher, which Kafka may fail."""

    def __init__(self, ends: dict[str, float]) -> None:
        self.ends = ends
        self.says: str | None = None
        self.forgotten: list[str] = []
        self.failures = 0

    async def problem(self) -> str | None:
        return self.says

    async def ended(self, *, before: float, limit: int) -> list[str]:
        left = [job for job, end in sorted(self.ends.items(), key=lambda kv: kv[1]) if end < before]
        return [job for job in left if job not in self.forgotten][:limit]

    async def forget(self, job_id: str) -> None:
        if self.failures:
            self.failures -= 1
            raise KafkaUnavailableError("No broker.")
        self.forgotten.append(job_id)


async def test_the_oldest_go_first_and_a_few_at_a_time() -> None:
    jobs: Any = Jobs({f"job-{number:03}": number for number in range(100)})
    assert await forget_old_jobs(jobs, jobs, 50) == [f"job-{number:03}" for number in range(JOBS_AT_ONCE)]
    while await forget_old_jobs(jobs, jobs, 50):
        pass
    assert jobs.forgotten == [f"job-{number:03}" for number in range(50)]


async def test_a_view_that_is_behind_forgets_nothing() -> None:
    jobs: Any = Jobs({"job": 0})
    jobs.says = "is being read: 7 messages are to come"
    assert await forget_old_jobs(jobs, jobs, 50) == []


async def test_it_goes_on_after_an_error_and_what_is_younger_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "PAUSE_SECONDS", 0.01)
    now = time.time()
    jobs: Any = Jobs({"old": now - 31 * DAY_SECONDS, "young": now - 29 * DAY_SECONDS})
    jobs.failures = 2
    async with open_retention(jobs, jobs, 30), asyncio.timeout(HANG_SECONDS):
        while not jobs.forgotten:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
    assert jobs.forgotten == ["old"]
