"""Names that are computed, so that every process and every replay computes the same ones."""

import hashlib
import uuid
from collections.abc import Iterable

# Chosen once, at random; changing it would give every stored picture a second point.
POINT_NAMESPACE = uuid.UUID("6f1d3f5e-0f0b-4b43-9d0a-5b1c1c8f7a52")


def file_id(job_id: str, collection: str, path: bytes) -> str:
    """Name of one path in one job: 32 hexadecimal digits. The same path twice in a job is one file."""
    return file_ids(job_id, collection, [path])[0]


def file_ids(job_id: str, collection: str, paths: Iterable[bytes]) -> list[str]:
    """Return the name of each path, as `file_id` does."""
    of_job = hashlib.sha256(_measured(job_id.encode()) + _measured(collection.encode()))
    found = []
    for path in paths:
        digest = of_job.copy()
        digest.update(_measured(path))
        found.append(digest.hexdigest()[:32])
    return found


def _measured(part: bytes) -> bytes:
    """Return a part behind its length, which keeps ("ab", "c") and ("a", "bc") apart."""
    return len(part).to_bytes(8, "big") + part


def point_id(sha256: str) -> str:
    """Name of the point of one content: the same in every collection."""
    return str(uuid.uuid5(POINT_NAMESPACE, sha256))


def new_id() -> str:
    """Return a fresh name for a job or a walk."""
    return uuid.uuid4().hex


def id_from_key(key: str) -> str:
    """Return the job id that an Idempotency-Key stands for: the same at every service, also after a restart."""
    return f"key-{hashlib.sha256(key.encode('utf-8', 'surrogateescape')).hexdigest()[:32]}"
