"""How long the parts of a message may be.

Anyone may publish. A text without a bound would come out again in a message that Kafka refuses, and the
stage that has to send it could neither go on nor give it up.
"""

import base64
from typing import Annotated

from pydantic import AfterValidator, Field

# Twice the largest record that we write on purpose: one with a rendition at its limit, as base64.
MAX_MESSAGE_BYTES = 1 << 20
# Of a producer. The broker has its limit; this one only must not be below it.
MAX_REQUEST_BYTES = 4 * MAX_MESSAGE_BYTES
# A message that does not validate, untouched, and what went wrong with it.
MAX_DEAD_LETTER_BYTES = 2 * MAX_MESSAGE_BYTES

# Linux takes 4096 bytes; one that is not UTF-8 is shown as an escape of four letters.
MAX_PATH = 4 * 4096
MAX_NAME = 255
MAX_REASON = 20_000
MAX_TRACE = 100_000
# Of all paths of a list together, in bytes.
MAX_PATHS = 200_000


def _bounded(paths: list[str]) -> list[str]:
    size = sum(len(path.encode("utf-8", "replace")) for path in paths)
    if size > MAX_PATHS:
        raise ValueError(f"{len(paths)} paths have {size:,} bytes; at most {MAX_PATHS:,} are taken. Name their folder")
    return paths


def _decodes(text: str) -> str:
    base64.b64decode(text, validate=True)  # or it raises a ValueError
    return text


def _absolute(path: str) -> str:
    if not path.startswith("/") or "\0" in path:
        raise ValueError("name an absolute path")
    return path


def clipped(text: str, length: int = MAX_REASON) -> str:
    """Return a text with its middle left out where it is too long: what it is about, and how it ends."""
    if len(text) <= length:
        return text
    half = (length - 5) // 2
    return f"{text[:half]} ... {text[-half:]}"


PathText = Annotated[str, Field(max_length=MAX_PATH)]
AbsolutePath = Annotated[PathText, AfterValidator(_absolute)]
Paths = Annotated[list[str], AfterValidator(_bounded)]
Base64Text = Annotated[str, Field(max_length=2 * MAX_PATH), AfterValidator(_decodes)]
Name = Annotated[str, Field(max_length=MAX_NAME)]
Reason = Annotated[str, Field(max_length=MAX_REASON)]
# What JSON, SQLite and the programs of others take.
Count = Annotated[int, Field(ge=0, lt=1 << 63)]
# Seconds since 1970, by the clock of the process that publishes; the bound is the year 5138.
Moment = Annotated[float, Field(ge=0, lt=1e11, allow_inf_nan=False)]
