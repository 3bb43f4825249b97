import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from core.errors import FatalError
from embedded import ports, state
from embedded import supervisor as supervisor_module
from embedded.part import Part
from embedded.supervisor import Supervisor
from tests.cli.waiting import until

FAKE_PART = Path(__file__).with_name("fake_part.py")


class Journal:
    """What the fake parts wrote down, and what the supervisor told."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "journal"
        self.told: list[tuple[str, str]] = []

    def tell(self, name: str, what: str) -> None:
        self.told.append((name, what))

    @property
    def lines(self) -> list[str]:
        return self.path.read_text().splitlines() if self.path.exists() else []

    def said(self, name: str, words: str) -> bool:
        return any(who == name and words in what for who, what in self.told)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path)


def fake_part(name: str, journal: Journal, *manner: str, grace_seconds: float = 5.0) -> Part:
    port = ports.free_port()

    async def is_ready(pid: int) -> bool:
        return ports.is_open(port)

    command = [sys.executable, str(FAKE_PART), name, str(port), str(journal.path), *manner]
    return Part(name, command, f"127.0.0.1:{port}", is_ready, grace_seconds=grace_seconds)


async def never(pid: int) -> bool:
    return False


def wait_until(is_true: Callable[[], object]) -> None:
    asyncio.run(until(is_true))


def is_alive(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


async def test_waves_start_in_order_and_stop_in_reverse(tmp_path: Path, journal: Journal) -> None:
    waves = [[fake_part("broker", journal)], [fake_part("worker", journal), fake_part("api", journal)]]
    async with Supervisor(tmp_path / "data", waves, journal.tell) as parts:
        assert journal.lines[0] == "start broker"
        assert sorted(journal.lines[1:]) == ["start api", "start worker"]
        known = state.read(tmp_path / "data")
        assert known is not None
        assert known.parts["api"].pid == parts.pid("api")
        assert "api says hello" in parts.log("api").read_text()
    assert journal.lines[3:] == ["stop api", "stop worker", "stop broker"]
    assert [who for who, what in journal.told if what == "stopped."] == ["api", "worker", "broker"]
    assert state.read(tmp_path / "data") is None


async def test_a_dead_part_is_restarted_on_its_port_and_said_so(tmp_path: Path, journal: Journal) -> None:
    part = fake_part("api", journal)
    async with Supervisor(tmp_path / "data", [[part]], journal.tell, first_backoff_seconds=0.05) as parts:
        first = parts.pid("api")
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: sum("ready" in what for _, what in journal.told) == 2)
        assert parts.pid("api") not in {None, first}
        assert journal.said("api", "was killed by SIGKILL")
        assert journal.said("api", str(parts.log("api")))
        assert [what.split(" (")[0] for _, what in journal.told if "ready" in what] == [f"ready: {part.address}"] * 2


async def test_a_part_comes_back_only_after_what_it_needs(tmp_path: Path, journal: Journal) -> None:
    waves = [[fake_part("broker", journal, "slow")], [fake_part("worker", journal)]]
    async with Supervisor(tmp_path / "data", waves, journal.tell, first_backoff_seconds=0.05) as parts:
        os.kill(parts.pid("broker") or 0, signal.SIGKILL)
        os.kill(parts.pid("worker") or 0, signal.SIGKILL)
        await until(lambda: sum("ready" in what for _, what in journal.told) == 4)
        assert [who for who, what in journal.told if "ready" in what] == ["broker", "worker"] * 2


async def test_children_of_a_dead_part_do_not_stay(tmp_path: Path, journal: Journal) -> None:
    async with Supervisor(tmp_path / "data", [[fake_part("worker", journal, "child")]], journal.tell) as parts:
        child = int(journal.lines[1].split()[1])
        assert is_alive(child)
        os.kill(parts.pid("worker") or 0, signal.SIGKILL)
        await until(lambda: not is_alive(child))


async def test_a_part_that_hangs_is_killed_and_restarted_but_not_for_what_it_needs(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "PROBE_SECONDS", 0.02)
    silent: set[str] = set()

    def part(name: str, stuck_seconds: float) -> Part:
        known = fake_part(name, journal)

        async def is_ready(pid: int) -> bool:
            return name not in silent and await known.is_ready(pid)

        return replace(known, is_ready=is_ready, stuck_seconds=stuck_seconds)

    waves = [[part("broker", 60)], [part("worker", 0.3)]]
    async with Supervisor(tmp_path / "data", waves, journal.tell, first_backoff_seconds=0.01) as parts:
        first = parts.pid("worker")
        silent |= {"broker", "worker"}
        await asyncio.sleep(0.6)  # twice the limit: nothing may happen in it
        assert parts.pid("worker") == first
        silent.discard("broker")
        await until(lambda: journal.said("worker", "does not answer for 0.3 s: it is killed"))
        silent.discard("worker")
        await until(lambda: sum("ready" in what for who, what in journal.told if who == "worker") == 2)
        assert journal.said("worker", "was killed by SIGKILL")
        assert not journal.said("broker", "killed")


async def test_a_vital_part_that_keeps_dying_at_the_start_stops_everything(tmp_path: Path, journal: Journal) -> None:
    waves = [[fake_part("broker", journal)], [replace(fake_part("api", journal, "die"), vital=True)]]
    supervisor = Supervisor(tmp_path / "data", waves, journal.tell, first_backoff_seconds=0.01)
    with pytest.raises(FatalError, match=r"(?s)api ended with exit code 1 for the 5th time.*no luck today"):
        async with supervisor:
            pytest.fail("it must not come up")
    assert journal.lines.count("start api") == 5
    assert journal.lines[-1] == "stop broker"


async def test_a_part_that_keeps_dying_does_not_end_the_others(tmp_path: Path, journal: Journal) -> None:
    """One unreadable message ended the hash worker at each start, and all parts with it: also the API."""
    data = tmp_path / "data"
    worker, api = fake_part("worker-1", journal, "die"), replace(fake_part("api", journal), vital=True)
    async with Supervisor(
        data, [[worker, api]], journal.tell, first_backoff_seconds=0.01, failed_pause_seconds=0.05
    ) as parts:
        waiting = asyncio.create_task(parts.wait())
        assert await api.is_ready(0)
        known = state.read(data)
        assert known is not None
        assert "worker-1 ended with exit code 1 for the 5th time within a minute" in (
            known.parts["worker-1"].failed or ""
        )
        assert known.parts["api"].failed is None
        assert journal.said("worker-1", "FAILED: it ended with exit code 1")
        assert journal.said("worker-1", "no luck today")
        assert sum("FAILED" in what for _, what in journal.told) == 1
        begun = journal.lines.count("start worker-1")
        await until(lambda: journal.lines.count("start worker-1") > begun + 1)
        assert not waiting.done()
        waiting.cancel()


async def test_a_part_that_failed_and_answers_again_is_well(tmp_path: Path, journal: Journal) -> None:
    data = tmp_path / "data"
    part = replace(fake_part("api", journal), vital=True)
    async with Supervisor(data, [[part]], journal.tell, first_backoff_seconds=0.01, failed_pause_seconds=0.05) as parts:
        pids: set[int] = set()
        while len(pids) < 5:
            await until(lambda: parts.pid("api") not in {None, *pids})
            pid = parts.pid("api") or 0
            pids.add(pid)
            os.kill(pid, signal.SIGKILL)
        await until(lambda: journal.said("api", "FAILED: it was killed by SIGKILL for the 5th time within a minute"))
        await until(lambda: journal.told[-1][1].startswith("ready"))
        known = state.read(data)
        assert known is not None
        assert (known.parts["api"].failed, known.parts["api"].pid) == (None, parts.pid("api"))


async def test_what_failed_is_not_waited_for(tmp_path: Path, journal: Journal) -> None:
    """ML does not start: the API does, and is restarted when it dies."""
    waves = [[fake_part("ml", journal, "die")], [replace(fake_part("api", journal), vital=True)]]
    async with Supervisor(
        tmp_path / "data", waves, journal.tell, first_backoff_seconds=0.01, failed_pause_seconds=60
    ) as parts:
        os.kill(parts.pid("api") or 0, signal.SIGKILL)
        await until(lambda: sum(what.startswith("ready") for who, what in journal.told if who == "api") == 2)


async def test_a_part_that_is_slow_to_answer_keeps_nobody_waiting(tmp_path: Path, journal: Journal) -> None:
    data = tmp_path / "data"
    silent = replace(fake_part("ml", journal), is_ready=never, start_seconds=0.5)
    async with Supervisor(data, [[silent], [fake_part("api", journal)]], journal.tell) as parts:
        known = state.read(data)
        assert known is not None
        assert "ml does not answer" in (known.parts["ml"].failed or "")
        assert (parts.pid("ml") is not None, parts.pid("api") is not None) == (True, True)


async def test_a_vital_part_that_never_answers_is_an_error_with_its_log(tmp_path: Path, journal: Journal) -> None:
    part = fake_part("ml", journal)
    silent = Part("ml", part.command, part.address, never, start_seconds=0.5, vital=True)
    with pytest.raises(FatalError, match=r"(?s)ml does not answer at 127.*ml says hello"):
        async with Supervisor(tmp_path / "data", [[silent]], journal.tell):
            pytest.fail("it must not come up")


async def test_a_part_deaf_to_sigterm_is_killed_after_its_grace(tmp_path: Path, journal: Journal) -> None:
    part = fake_part("worker", journal, "deaf", grace_seconds=0.3)
    async with Supervisor(tmp_path / "data", [[part]], journal.tell) as parts:
        pid = parts.pid("worker") or 0
    assert not is_alive(pid)


async def test_a_command_that_does_not_exist_is_said(tmp_path: Path, journal: Journal) -> None:
    part = Part("kafka", ["/nowhere/java"], "127.0.0.1:1", never, vital=True)
    with pytest.raises(FatalError, match=r"(?s)exit code 127.*/nowhere/java"):
        async with Supervisor(tmp_path / "data", [[part]], journal.tell, first_backoff_seconds=0.01):
            pytest.fail("it must not come up")


async def test_a_data_folder_serves_one_supervisor(tmp_path: Path, journal: Journal) -> None:
    async with Supervisor(tmp_path / "data", [[fake_part("api", journal)]], journal.tell):
        with pytest.raises(FatalError, match=f"in use by process {os.getpid()}"):
            async with Supervisor(tmp_path / "data", [[fake_part("other", journal)]], journal.tell):
                pytest.fail("it must not come up")
        async with Supervisor(tmp_path / "elsewhere", [[fake_part("api", journal)]], journal.tell):
            assert journal.lines == ["start api", "start api"]


def test_nothing_outlives_a_supervisor_that_is_killed(tmp_path: Path, journal: Journal) -> None:
    script = tmp_path / "supervise.py"
    script.write_text(
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from tests.cli.test_supervisor import Journal, Supervisor, fake_part\n"
        "async def main():\n"
        "    journal = Journal(Path(sys.argv[1]))\n"
        "    waves = [[fake_part('broker', journal, 'deaf')], [fake_part('worker', journal, 'child')]]\n"
        "    async with Supervisor(Path(sys.argv[1]) / 'data', waves, journal.tell) as parts:\n"
        "        await parts.wait()\n"
        "asyncio.run(main())\n"
    )
    root = str(Path(__file__).resolve().parents[2])
    supervisor = subprocess.Popen([sys.executable, str(script), str(tmp_path)], env={**os.environ, "PYTHONPATH": root})
    try:
        wait_until(lambda: len(journal.lines) == 3)
        family = psutil.Process(supervisor.pid).children(recursive=True)
        assert len(family) == 4, "two parts, the child of one, and the guardian"
    finally:
        supervisor.kill()
        supervisor.wait()
    wait_until(lambda: not any(is_alive(process.pid) for process in family))
    assert state.read(tmp_path / "data") is None
