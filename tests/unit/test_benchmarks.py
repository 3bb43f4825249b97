"""What the benchmarks measure with: a case is not to end for what it looks at."""

import subprocess
from itertools import islice

import psutil
import pytest

from benchmarks.library import Library
from benchmarks.running import family
from rules.search.language import read


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


def test_a_made_up_library_is_the_same_each_time_and_its_queries_can_be_read() -> None:
    library = Library()
    points = library.points(10, 3)
    assert points == Library().points(10, 3)
    assert len({point.id for point in points}) == 3
    assert all(point.payload["words"]["text"] for point in points)
    assert all(read(query).words for query in islice(library.queries(1), 50))
    assert len(library.near(3)) == len(points[0].vector)
