"""What a browser has already is not sent again (RFC 9110, conditional requests)."""


def is_known(etag: str, if_none_match: str | None) -> bool:
    """Tell whether the header If-None-Match names this version; a weak name of it will do."""
    named = [one.strip().removeprefix("W/") for one in (if_none_match or "").split(",")]
    return etag in named or named == ["*"]
