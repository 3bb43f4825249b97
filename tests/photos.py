"""Where the real photographs are that the tests use."""

import os
from pathlib import Path

import pytest

PHOTOS = Path(os.environ.get("DARKROOM_TEST_PHOTOS") or Path(__file__).resolve().parents[2] / "shared" / "photos")

if not PHOTOS.is_dir():
    pytest.fail(f"No photographs at {PHOTOS}: set DARKROOM_TEST_PHOTOS to the folder that has them.", pytrace=False)
