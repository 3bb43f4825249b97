"""On what a model runs, for each onnxruntime that there is; none of them but the CPU's is here to be tried."""

import pytest

from core.errors import FatalError
from embedded.ml.providers import NAMES, choose, started

CPU = NAMES["cpu"]


@pytest.mark.parametrize(
    ("available", "wanted", "expected"),
    [
        (["cpu"], "auto", ["cpu"]),
        (["tensorrt", "cuda", "cpu"], "auto", ["cuda", "cpu"]),
        (["tensorrt", "cuda", "cpu"], "tensorrt", ["tensorrt", "cuda", "cpu"]),
        (["cuda", "cpu"], "cpu", ["cpu"]),
        (["openvino", "cpu"], "auto", ["openvino", "cpu"]),
        (["coreml", "cpu"], "auto", ["coreml", "cpu"]),
        (["rocm", "cpu"], "auto", ["rocm", "cpu"]),
    ],
    ids=str,
)
def test_the_fastest_that_is_there_is_taken(available: list[str], wanted: str, expected: list[str]) -> None:
    device = choose([NAMES[name] for name in available], wanted, 0)
    assert [provider for provider, _ in device.providers] == [NAMES[name] for name in expected]
    assert device.name == expected[0]


def test_a_device_is_named_to_those_that_have_several() -> None:
    assert choose([NAMES["cuda"], CPU], "cuda", 1).providers == ((NAMES["cuda"], {"device_id": 1}), (CPU, {}))
    assert choose([NAMES["openvino"], CPU], "auto", 1).providers[0] == (NAMES["openvino"], {"device_type": "GPU.1"})


def test_what_is_not_there_is_told_with_what_to_install() -> None:
    with pytest.raises(FatalError, match=r"ML_PROVIDER is cuda, .*has cpu only\. Install onnxruntime-gpu"):
        choose(["AzureExecutionProvider", CPU], "cuda", 0)


def test_a_device_that_does_not_start_is_told_to_who_asked_for_it() -> None:
    available = [NAMES["cuda"], CPU]
    assert started(choose(available, "auto", 0), [CPU]) == "cpu"
    assert started(choose(available, "cuda", 0), [NAMES["cuda"], CPU]) == "cuda"
    with pytest.raises(FatalError, match="ML_PROVIDER is cuda, and it does not start here"):
        started(choose(available, "cuda", 0), [CPU])
