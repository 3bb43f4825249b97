"""Names that are computed, so that every process and every replay computes the same ones."""

import hashlib
import uuid

# Chosen once, at random; changing it would give every stored picture a second point.
POINT_NAMESPACE = uuid.UUID("6f1d3f5e-0f0b-4b43-9d0a-5b1c1c8f7a52")


def file_id(job_id: str, collection: str, path: bytes) -> str:
    """Name of one path in one job: 32 hexadecimal digits. The same path twice in a job is one file."""
    digest = hashlib.sha256()
    for part in (job_id.encode(), collection.encode(), path):
        # The length in front keeps ("ab", "c") and ("a", "bc") apart.
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()[:32]


def point_id(sha256: str) -> str:
    """Name of the point of one content: the same in every collection."""
    return str(uuid.uuid5(POINT_NAMESPACE, sha256))


def new_id() -> str:
    """Return a fresh name for a job or a walk."""
    return uuid.uuid4().hex


def id_from_key(key: str) -> str:
    """Return the job id that an Idempotency-Key stands for: the same at every service, also after a restart."""
    return f"key-{hashlib.sha256(key.encode('utf-8', 'surrogateescape')).hexdigest()[:32]}"
