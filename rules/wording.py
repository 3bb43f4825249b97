"""Numbers in sentences for people."""


def plural(count: int, one: str, many: str = "") -> str:
    """Return such as `1 picture`, `2 pictures`. `many`: the words for several, where they are not one's with an s."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"
