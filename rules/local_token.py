"""What proves that a request comes from a user of the service's own machine: a text that only such a one can read.

It names the port of its service, so that whatever else listens at an address that a client was given cannot ask for it.
"""

import re
import secrets

FILE = "local-token"
"""Its file, in the folder `api` below DARKROOM_DATA."""
HEADER = "Darkroom-Local-Token"
MAX_BYTES = 100


def new_token(port: int) -> str:
    """Return a token that nobody can guess."""
    return f"darkroom-local-{port}-{secrets.token_hex(32)}"


def is_token_for(text: str, port: int) -> bool:
    """Tell whether a text is a token of a service at this port, and no other secret that a path may lead to."""
    return re.fullmatch(rf"darkroom-local-{port}-[0-9a-f]{{64}}", text) is not None
