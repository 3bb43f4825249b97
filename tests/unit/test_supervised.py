"""`/ready` and the page name the parts that cannot stay up, in the words of the supervisor that runs them."""

import os
from pathlib import Path

import pytest

from api.system.supervised import failed_parts
from embedded import state


def run(data: Path, pid: int, **failed: str | None) -> None:
    parts = {name.replace("_", "-"): state.PartState(address="a", failed=reason) for name, reason in failed.items()}
    state.write(data, state.RunState(pid=pid, addresses={}, parts=parts))


def test_the_parts_that_failed_are_told_by_what_they_are(tmp_path: Path) -> None:
    run(tmp_path, os.getppid(), api=None, ml="ml ended", worker_1="worker-1 ended", worker_3="worker-3 hangs")
    assert failed_parts(tmp_path) == {"ml": "ml ended", "stages": "worker-1 ended; worker-3 hangs"}


def test_a_supervisor_of_another_process_says_nothing_of_this_one(tmp_path: Path) -> None:
    run(tmp_path, os.getpid(), ml="ml ended")
    assert failed_parts(tmp_path) == {}


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"pid": 1}'])
def test_without_a_state_nothing_has_failed(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "state.json").write_text(text)
    assert failed_parts(tmp_path) == {}
