"""Names as whole numbers: Qdrant sorts by numbers and dates only."""

from rules.text import nfc

BYTES_EACH = 6
"""A float, which is what Qdrant compares ranges with, holds six bytes exactly."""
PARTS = ("a", "b", "c", "d")


def name_key(name: str) -> dict[str, int]:
    """Return the first 24 bytes of a name, without regard to case, as numbers that sort as it does.

    `a` before `b` before `c`… Names that differ later have the same key.
    """
    text = (
        nfc(name).casefold().encode("utf-8", "replace")[: BYTES_EACH * len(PARTS)].ljust(BYTES_EACH * len(PARTS), b"\0")
    )
    return {
        part: int.from_bytes(text[BYTES_EACH * number : BYTES_EACH * (number + 1)]) for number, part in enumerate(PARTS)
    }
