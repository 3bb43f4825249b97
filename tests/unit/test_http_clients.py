"""What HTTP clients of ours cost a process beside the request."""

import importlib
import sys
from importlib.machinery import PathFinder

import pytest

from core.http import without_sniffio


def test_a_module_that_is_missing_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "sniffio", raising=False)
    if PathFinder.find_spec("sniffio") is not None:
        pytest.skip("sniffio is installed here")
    without_sniffio()
    without_sniffio()

    def looked(*_: object) -> None:
        raise AssertionError("looked through all folders")

    monkeypatch.setattr(PathFinder, "find_spec", looked)
    with pytest.raises(ImportError):
        importlib.import_module("sniffio")
