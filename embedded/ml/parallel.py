"""Decodes and resizes pictures on all CPUs: Pillow works without Python's lock."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from embedded.ml.pace import usable_cpus

Given = TypeVar("Given")
Made = TypeVar("Made")

_POOL = ThreadPoolExecutor(usable_cpus(), thread_name_prefix="pictures")


def in_parallel(function: Callable[[Given], Made], items: Iterable[Given]) -> list[Made]:
    """Call a function for each; the results come in the order of the items. Raises what the first one that fails does.

    The function must not call this in its turn: it would wait for its own place.
    """
    return list(_POOL.map(function, items))
