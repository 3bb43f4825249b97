"""A worker that hangs is killed and started again by the supervisor, with nothing lost."""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.settings import Settings
from embedded import ports, stack
from embedded.supervisor import Supervisor
from tests import pictures
from tests.cli.waiting import until
from tests.pipeline import Pipeline, account


async def test_a_frozen_worker_is_killed_and_restarted_and_its_job_completes(
    idle_pipeline: Pipeline,
    collection: str,
    settings: Settings,
    short: dict[str, Any],
    photos: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pictures.write(photos, range(9200, 9240))
    monkeypatch.setenv("TRUST_KAFKA", "1")
    for name, value in short.items():
        monkeypatch.setenv(name.upper(), str(value))
    told: list[tuple[str, str]] = []
    port = ports.free_port()
    planned = stack.plan(settings, settings.darkroom_data, host="127.0.0.1", port=port)
    workers = [
        replace(part, command=[sys.executable, "-m", "agents", part.command[-1]], stuck_seconds=3.0)
        for wave in planned.waves
        for part in wave
        if part.name.startswith("worker-")
    ]
    bus = idle_pipeline.bus
    async with (
        planned.kafka,
        Supervisor(settings.darkroom_data, [workers], lambda *what: told.append(what)) as parts,
    ):
        job_id = await idle_pipeline.scan(photos, collection=collection)
        await bus.until(lambda: bus.of_job("hashed-file", job_id), "the middle of the job")
        frozen = parts.pid("worker-2")
        assert frozen is not None
        os.kill(frozen, signal.SIGSTOP)
        assert not bus.values("job-status", job_id=job_id, status="completed"), "frozen too late"
        await until(lambda: parts.pid("worker-2") not in {None, frozen})
        status: dict[str, Any] = account(await bus.finished(job_id))
    assert (status["status"], status["outcomes"]["stored"], status["total_files"]) == ("completed", 40, 40)
    assert ("worker-2", "does not answer for 3 s: it is killed.") in told
    assert len(await idle_pipeline.points(collection)) == 40
