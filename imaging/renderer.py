"""What a rendered picture depends on beside its content: this package, and the libraries that decode for it."""

import hashlib
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from pathlib import Path

_LIBRARIES = ("imagecodecs", "numpy", "pillow", "pillow-heif", "rawpy", "tifffile")


def version() -> str:
    """Name this state of them. Blocks: it reads the package's files."""
    folder = Path(__file__).parent
    state = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        state.update(f"{file.relative_to(folder)}\n".encode() + file.read_bytes())
    for library in _LIBRARIES:
        try:
            state.update(f"{library} {version_of(library)}\n".encode())
        except PackageNotFoundError:
            continue
    return state.hexdigest()[:12]
