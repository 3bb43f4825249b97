"""The token of users of this machine: made anew at each start, in a file that only the service's own user can read."""

import hmac
from dataclasses import dataclass
from pathlib import Path

from core.disk import write_private
from rules.local_token import FILE, new_token


@dataclass(frozen=True, slots=True)
class LocalToken:
    """The token and where it can be read."""

    file: Path
    text: str

    def is_shown(self, sent: str | None) -> bool:
        """Tell whether this is the token, in a time that tells nothing about how much of it is right."""
        return sent is not None and hmac.compare_digest(self.text.encode(), sent.encode("latin-1", "replace"))


def write_token(folder: Path, port: int) -> LocalToken:
    """Make a token for a service at `port`; the one of its last start is worth nothing from now on."""
    token = LocalToken(folder.resolve() / FILE, new_token(port))
    write_private(token.file, token.text)
    return token
