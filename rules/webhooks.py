"""How a message to another program says what it is and that it is ours, as Standard Webhooks lays down."""

import base64
import binascii
import hashlib
import hmac

_PREFIX = "whsec_"


def message_id(job_id: str, status: str) -> str:
    """Name the news that a job ended so: the same each time it is told, and without a full stop."""
    return f"msg_{hashlib.sha256(f'{job_id}/{status}'.encode()).hexdigest()[:32]}"


def signature(secret: str, message: str, at: int, body: bytes) -> str:
    """Sign a body. `message`: its id; `at`: seconds since 1970. A secret `whsec_…` holds base64, others are text."""
    signed = b".".join((message.encode(), str(at).encode(), body))
    digest = hmac.new(_key(secret), signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def _key(secret: str) -> bytes:
    if secret.startswith(_PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            pass  # a text that happens to begin so
    return secret.encode()
