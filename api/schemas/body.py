"""What holds for the body of every request: nothing in it is passed over in silence."""

from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, model_validator


class Body(BaseModel):
    """Refuses a field that it does not have, by name, and text that is none: half a character cannot be answered."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _is_text(cls, value: Any) -> Any:
        if isinstance(value, bytes):
            raise ValueError("it is not said to be JSON: send Content-Type: application/json")  # noqa: TRY004 - pydantic's
        try:
            orjson.dumps(value)
        except orjson.JSONEncodeError as error:
            raise ValueError(f"it cannot be read: {error}") from error
        return value
