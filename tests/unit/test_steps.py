"""The steps of a file: each counts for itself, and they sum to the whole."""

import time
from pathlib import Path

import pytest

from core.metrics import STEP
from gateways.cpu import Cpu
from imaging.decoding import prepare
from imaging.hashing import hash_file, stamp
from imaging.steps import measured, step
from tests import pictures


def busy(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def test_a_step_within_another_counts_for_itself_alone() -> None:
    begin = time.perf_counter()
    with measured() as watch, step("decode"):
        busy(0.02)
        with step("metadata"):
            busy(0.01)
        busy(0.02)
    assert watch.seconds.keys() == {"decode", "metadata"}
    assert watch.seconds["decode"] >= 0.04
    assert watch.seconds["metadata"] >= 0.01
    assert sum(watch.seconds.values()) <= time.perf_counter() - begin


def test_a_step_that_fails_is_counted_and_the_one_around_it_goes_on() -> None:
    with measured() as watch, step("decode"):
        with pytest.raises(ValueError, match="odd"), step("read"):
            raise ValueError("odd")
        busy(0.01)
    assert watch.seconds["decode"] >= 0.01
    assert "read" in watch.seconds


def test_nothing_is_measured_where_nobody_asks() -> None:
    with step("decode"):
        pass


def test_every_step_of_a_file_is_measured(tmp_path: Path) -> None:
    (path,) = pictures.write(tmp_path, range(1, 2))
    with measured() as hashing:
        hash_file(bytes(path))
    assert hashing.seconds.keys() == {"read", "hash"}
    with measured() as preparing:
        prepare(bytes(path), stamp(bytes(path)), None, max_pixels=10**8, max_bytes=10**8)
    assert preparing.seconds.keys() == {"decode", "metadata", "thumbnail"}
    assert all(seconds > 0 for seconds in (hashing.seconds | preparing.seconds).values())


async def test_the_steps_come_back_from_the_decode_processes(tmp_path: Path) -> None:
    def count() -> float:
        samples = [sample for metric in STEP.collect() for sample in metric.samples]
        return next((s.value for s in samples if s.name.endswith("_count") and s.labels["step"] == "hash"), 0.0)

    (path,) = pictures.write(tmp_path, range(1, 2))
    cpu = Cpu(1, timeout=30, memory=1 << 30)
    await cpu.start()
    before = count()
    try:
        sha256, _ = await cpu.run(hash_file, bytes(path))
    finally:
        cpu.close()
    assert len(sha256) == 64
    assert count() == before + 1
