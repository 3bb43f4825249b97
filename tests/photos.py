"""Where the real photographs are that tests use."""

import os
from pathlib import Path

PHOTOS = Path(
    os.environ.get("DARKROOM_TEST_PHOTOS") or Path(__file__).resolve().parents[2] / "shared" / "photos"
).resolve()


def photo(name: str) -> Path:
    """Path of one photograph by its name below PHOTOS; a missing one fails the test that asks."""
    path = PHOTOS / name
    assert path.is_file(), f"{path} is missing: set DARKROOM_TEST_PHOTOS to the folder of test photographs."
    return path
