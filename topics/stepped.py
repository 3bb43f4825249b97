"""What is about many rows, and goes on in steps: each is a message that says how far the one before came."""

import base64
from typing import Any, Self

from topics.limits import Base64Text
from topics.record import Record


class Stepped(Record):
    """A step. `after`: the row or path that the step before ended with, as base64; empty at the begin."""

    after: Base64Text = ""

    @property
    def after_key(self) -> bytes:
        """The row or path behind which it goes on; empty at the begin."""
        return base64.b64decode(self.after)

    def step_behind(self, key: bytes, **changes: Any) -> Self:
        """Return the next step, with other fields changed."""
        return self.model_copy(update={"after": base64.b64encode(key).decode(), **changes})
