"""On what a model runs: what onnxruntime has here, or what ML_PROVIDER says."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import FatalError

NAMES = {
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "rocm": "ROCMExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
PREFERRED = ("cuda", "rocm", "openvino", "coreml", "cpu")  # TensorRT builds for minutes: only who asks for it gets it.
PACKAGES = {
    "cuda": "onnxruntime-gpu",
    "tensorrt": "onnxruntime-gpu",
    "rocm": "onnxruntime-rocm",
    "openvino": "onnxruntime-openvino",
    "coreml": "onnxruntime on a Mac",
}


@dataclass(frozen=True, slots=True)
class Device:
    """On what to run: its name, whether a person asked for it, and what onnxruntime is told."""

    name: str
    is_asked_for: bool
    providers: tuple[tuple[str, dict[str, Any]], ...]


CPU = Device("cpu", True, (("CPUExecutionProvider", {}),))


def choose(available: Sequence[str], wanted: str, device_id: int) -> Device:
    """Return on what to run, of what onnxruntime says is `available`; `wanted` is `auto` or a name of NAMES.

    What the device cannot do, the CPU does. Raises FatalError where what is wanted is not there.
    """
    here = [name for name, provider in NAMES.items() if provider in available]
    name = next(name for name in PREFERRED if name in here) if wanted == "auto" else wanted
    if name not in here:
        raise FatalError(
            f"ML_PROVIDER is {name}, and the onnxruntime that is installed has {', '.join(here)} only. Install "
            f"{PACKAGES[name]} in place of onnxruntime, or unset ML_PROVIDER."
        )
    order = {"tensorrt": ("tensorrt", "cuda", "cpu"), "cpu": ("cpu",)}.get(name, (name, "cpu"))
    return Device(name, wanted != "auto", tuple((NAMES[one], _options(one, device_id)) for one in order if one in here))


def _options(name: str, device_id: int) -> dict[str, Any]:
    if name in {"cuda", "tensorrt", "rocm"}:
        return {"device_id": device_id}
    if name == "openvino" and device_id:
        return {"device_type": f"GPU.{device_id}"}
    return {}


def started(device: Device, running: Sequence[str]) -> str:
    """Return the name of what a model really runs on, by what its session says.

    Raises FatalError where a person asked for another.
    """
    if running[0] == NAMES[device.name]:
        return device.name
    if device.is_asked_for:
        raise FatalError(
            f"ML_PROVIDER is {device.name}, and it does not start here: its driver or libraries are missing, or "
            "ML_DEVICE_ID names none. The log of ml says more. Mend it, or unset ML_PROVIDER."
        )
    return next((name for name, provider in NAMES.items() if provider == running[0]), "cpu")
