"""How a model runs fastest on a machine is found by trying, once."""

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from embedded.ml import pace
from embedded.ml.descriptor import Array
from embedded.ml.pace import FEWEST, MOST, Learned, Pace, settle, tune
from embedded.ml.providers import CPU
from embedded.ml.towers import VisionTower
from tests.deadlines import HANG_SECONDS
from tests.ml import tiny_models


def on(machine: Callable[[int, int], float], room: int = 1000) -> Callable[[int, int], float]:
    """Return what times a model on a machine that has memory for so many images."""

    def seconds(threads: int, batch: int) -> float:
        if batch > room:
            raise MemoryError
        return machine(threads, batch)

    return seconds


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (on(lambda threads, batch: 0.2), FEWEST),  # of a large model on a CPU: no batch is faster
        (on(lambda threads, batch: 0.002 + 0.02 / batch), MOST),  # of a GPU, which a small batch leaves idle
        (on(lambda threads, batch: 0.0), MOST),  # what is left is the request's own cost
        (on(lambda threads, batch: 0.02 if batch > 16 else 0.1 / batch), 16),
        (on(lambda threads, batch: 0.0, room=20), 16),
        (on(lambda threads, batch: 0.0, room=3), 2),
        (on(lambda threads, batch: 0.0, room=1), 1),
    ],
    ids=["flat", "faster", "tiny", "slower", "room for 20", "room for 3", "room for 1"],
)
def test_a_batch_grows_while_an_image_takes_less_time(seconds: Callable[[int, int], float], expected: int) -> None:
    assert tune(seconds, [2]) == Pace(threads=2, batch=expected)


def test_what_else_the_machine_does_meanwhile_decides_nothing() -> None:
    disturbed = iter([0.3, 0.3, 0.1])  # by what starts with it

    def seconds(threads: int, batch: int) -> float:
        return next(disturbed, 0.1) if batch == FEWEST else 0.12

    assert tune(seconds, [2]).batch == FEWEST


def test_a_slow_machine_is_not_tried_for_long() -> None:
    tried: list[int] = []

    def seconds(threads: int, batch: int) -> float:
        tried.append(batch)
        return 3.0

    assert tune(seconds, [2]).batch == FEWEST
    assert tried == [FEWEST]


def test_where_there_is_no_memory_for_one_image_it_is_said() -> None:
    with pytest.raises(MemoryError):
        tune(on(lambda threads, batch: 0.0, room=0), [2])


@pytest.mark.parametrize(("slower", "expected"), [(4, 8), (8, 4)])
def test_the_threads_with_which_it_is_faster_are_taken(slower: int, expected: int) -> None:
    def seconds(threads: int, batch: int) -> float:
        return 0.3 if threads == slower else 0.2

    assert tune(seconds, [4, 8]).threads == expected


@pytest.mark.parametrize(("quota", "expected"), [("150000 100000", 2), ("20000 100000", 1), ("max 100000", 64)])
def test_a_container_has_as_many_threads_as_it_may_use(
    quota: str, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpu.max").write_text(f"{quota}\n")
    monkeypatch.setattr(pace, "QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(64)))
    assert pace.usable_cpus() == expected


def test_cores_with_two_threads_are_tried_with_one_and_with_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "usable_cpus", lambda: 8)
    monkeypatch.setattr("psutil.cpu_count", lambda logical: 4)
    assert pace.thread_counts() == [4, 8]
    monkeypatch.setattr("psutil.cpu_count", lambda logical: 64)
    assert pace.thread_counts() == [8]


class Machine:
    """Runs models faster on eight threads, by a clock of its own."""

    def __init__(self) -> None:
        self.now = 0.0
        self.runs: list[tuple[int, int]] = []

    def perf_counter(self) -> float:
        return self.now

    monotonic = perf_counter

    def open(self, threads: int) -> "Model":
        return Model(self, threads)


class Model:
    device = "cpu"

    def __init__(self, machine: Machine, threads: int) -> None:
        self.machine = machine
        self.threads = threads

    def run_blank(self, count: int) -> None:
        self.machine.runs.append((self.threads, count))
        self.machine.now += count * (0.1 if self.threads == 8 else 0.2)


def test_it_is_tried_once_and_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine()
    monkeypatch.setattr(pace, "thread_counts", lambda: [4, 8])
    monkeypatch.setattr(pace, "time", machine)
    model, found, key = settle(machine.open, Learned(tmp_path / "learned"), "m")
    assert (model.threads, found) == (8, Pace(threads=8, batch=FEWEST))
    assert machine.runs
    machine.runs.clear()
    model, again, _ = settle(machine.open, Learned(tmp_path / "learned"), "m")
    assert (model.threads, again, machine.runs) == (8, found, [])
    settle(machine.open, Learned(tmp_path / "learned"), "another")
    assert machine.runs, "another model is tried by itself"
    assert Learned(tmp_path / "learned").get(key) == found


@pytest.mark.parametrize("content", ["", "no JSON", '{"m cpu 2": 16}'], ids=["empty", "broken", "of an older version"])
def test_what_cannot_be_read_is_tried_again(content: str, tmp_path: Path) -> None:
    (tmp_path / "learned").write_text(content)
    learned = Learned(tmp_path / "learned")
    assert learned.get("m cpu 2") is None
    learned.put("m cpu 2", Pace(threads=2, batch=8))
    assert learned.get("m cpu 2") == Pace(threads=2, batch=8)


def test_while_one_batch_runs_the_next_is_made_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_models.write_vision(tmp_path)
    tower = VisionTower(tmp_path, None, CPU, 1)
    run, running, let_go, made = tower._session.run, threading.Semaphore(0), threading.Event(), threading.Semaphore(0)
    at_once: list[int] = []

    class Session:
        def run(self, *asked: object) -> object:
            at_once.append(1)
            running.release()
            assert let_go.wait(HANG_SECONDS)
            assert at_once.pop() == 1
            assert not at_once, "two run at a time"
            return run(*asked)

    pixels = tower._way.pixels

    class Way:
        height, width = tower._way.height, tower._way.width

        def pixels(self, image: Image.Image) -> object:
            made.release()
            return pixels(image)

    monkeypatch.setattr(tower, "_session", Session())
    monkeypatch.setattr(tower, "_way", Way())
    vectors: list[Array] = []

    def embed(colour: str) -> None:
        vectors.append(tower.embed([Image.new("RGB", (9, 9), colour)]))

    threads = [threading.Thread(target=embed, args=(colour,)) for colour in ("red", "blue")]
    for thread in threads:
        thread.start()
    assert running.acquire(timeout=HANG_SECONDS)
    assert made.acquire(timeout=HANG_SECONDS)
    assert made.acquire(timeout=HANG_SECONDS), "the second waits for the first to be ready for its turn"
    let_go.set()
    for thread in threads:
        thread.join(HANG_SECONDS)
    assert np.concatenate(vectors).sum(axis=0) == pytest.approx([1, 0, 1])
