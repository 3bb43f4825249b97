"""What a browser has already is not sent again (RFC 9110, conditional requests)."""

from typing import Annotated

from fastapi import Header

IfNoneMatch = Annotated[
    str | None, Header(description="The ETag of what is there already: where it is still that, the answer is 304.")
]


def is_known(etag: str, if_none_match: str | None) -> bool:
    """Tell whether the header If-None-Match names this version; a weak name of it will do."""
    named = [one.strip().removeprefix("W/") for one in (if_none_match or "").split(",")]
    return etag in named or named == ["*"]
