"""The decode as it is asked of another process (`gateways.cpu`).

The decoders take 50 MB. Whoever asks reads none of them: a function is sent by its name.
"""

from typing import Any

from imaging.files import FileStamp
from imaging.prepared import Prepared


def prepare(path: bytes, expected: FileStamp, sha256: str | None, **options: Any) -> Prepared:
    """Do as `imaging.decoding.prepare` does."""
    from imaging import decoding  # noqa: PLC0415 - see above

    return decoding.prepare(path, expected, sha256, **options)
