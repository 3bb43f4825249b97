"""Text as it is stored and compared: one form for what looks the same. Paths are bytes, and are left alone."""

import unicodedata


def nfc(text: str) -> str:
    """Return the text with letters and their accents composed (Unicode NFC), as most programs write it."""
    return unicodedata.normalize("NFC", text)


def forms(text: str) -> list[str]:
    """Return the text as it may lie in a collection that was filled before text was composed: NFC, as it is, NFD."""
    return list(dict.fromkeys((nfc(text), text, unicodedata.normalize("NFD", text))))
