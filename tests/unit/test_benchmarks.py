"""What the benchmarks measure with: a case is not to end for what it looks at."""

import subprocess

import psutil
import pytest

from benchmarks.running import family


@pytest.mark.parametrize("ended_before", [True, False], ids=["before", "meanwhile"])
def test_a_process_that_ends_while_it_is_looked_at_has_no_family(
    ended_before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = subprocess.Popen(["sleep", "600"])
    children = psutil.Process.children

    def end() -> None:
        process.kill()
        process.wait()

    def children_of_one_that_ends(self: psutil.Process, *, recursive: bool) -> list[psutil.Process]:
        end()
        return children(self, recursive=recursive)

    if ended_before:
        end()
    monkeypatch.setattr(psutil.Process, "children", children_of_one_that_ends)
    assert family(process.pid) == ([], [])
