"""Runs the `darkroom` command as a person does: a process of its own, 80 columns, no terminal."""

import os
import subprocess
import tempfile
from pathlib import Path

from tests import forked
from tests.deadlines import HANG_SECONDS

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = ("KAFKA_BROKERS", "QDRANT_URL", "QDRANT_HOST", "ML_INFERENCE_SERVICE_URL", "INGEST_ROOTS", "DARKROOM_URL")


def darkroom(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end; nothing of our own environment leads it to parts that run here."""
    inherited = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = forked.Process(
            ["-c", "import sys; sys.argv[0] = 'darkroom'; from cli.main import main; main()", *arguments],
            cwd=cwd,
            environment=inherited | {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1", "COLUMNS": "80"} | environment,
            output=output,
            errors=errors,
        )
        try:
            code = process.wait(HANG_SECONDS)
        finally:
            process.kill()
        output.seek(0)
        errors.seek(0)
        return subprocess.CompletedProcess(["darkroom", *arguments], code, output.read(), errors.read())
