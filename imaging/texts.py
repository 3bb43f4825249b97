"""Texts as pictures hold them: of any encoding, padded, and often put there by the camera, not by a person."""

import re
import unicodedata
from typing import Literal

from rules.text import nfc

MAX_TEXT = 2_000
"""Characters kept of a text, so that metadata stays small in every message."""
_SAMPLE = 80
"""Bytes that show the order of a text."""

# What cameras and programs write where nobody wrote anything. Compared in capitals, without what surrounds it.
_DEFAULTS = frozenset(
    {
        "OLYMPUS DIGITAL CAMERA",
        "MINOLTA DIGITAL CAMERA",
        "KONICA MINOLTA DIGITAL CAMERA",
        "KODAK DIGITAL STILL CAMERA",
        "PENTAX DIGITAL CAMERA",
        "SAMSUNG DIGITAL CAMERA",
        "DIGITAL CAMERA",
        "DIGITAL STILL CAMERA",
        "SAMSUNG CAMERA PICTURES",
        "SAMSUNG",
        "SONY DSC",
        "MINOLTA DSC",
        "DCIM",
        "DEFAULT",
        "EXIF_JPEG_PICTURE",
        "EXIF JPEG",
        "JPEG PICTURE",
        "MY BEAUTIFUL PICTURE",
        "CREATED WITH GIMP",
        "CREATED WITH THE GIMP",
        "CREATED WITH GIMP ON A MAC",
        "CHARSET=ASCII",
        "BINARY COMMENT",
        "USER COMMENTS",
        "USER COMMENT",
        "IMAGE DESCRIPTION",
    }
)
_DEFAULT_FORMS = re.compile(
    r"<?\s*(KENOX|DIGIMAX)\b.*>?"  # Samsung: the name of the camera
    r"|DCIM[\\/].*"  # action cameras: where the file lay on the card
)


# What programs write into the comment of a file: their name and version, and with which quality.
_PROGRAM = re.compile(
    r"\b(v|ver|version|rev)[. ]{0,2}\[?\d+\.\d|\bquality\s*[=:]\s*\d"
    r"|\b(jpe?g|gif|png) ?(encoder|codec|library)|\b(jpe?g|gif|png|image) ?(compress|optimi)"
    r"|^(creator|software|encoder|scannermaker|scanner)\s*[:=]"
    r"|^(file )?(created|written|generated|processed|compressed|optimi[sz]ed|resized|converted|encoded|exported)"
    r"\s+(with|by|using)\b"
    r"|^(applemark|lead technologies|acd systems|u-?lead systems|handmade software|intel\(r\)|lav[cf]\d|xv \d)",
    re.IGNORECASE,
)


def decoded(value: bytes) -> str:
    """Return the text of bytes that do not say their encoding: UTF-8 where it is, else Windows' Latin."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("cp1252", "ignore")


def wide(value: bytes, order: Literal["<", ">"]) -> str:
    """Return the text of UTF-16 by its mark; else in the order in which its high bytes are the fewer, else in `order`.

    Letters of one script share their high byte. Programs write either order, whatever the block has.
    """
    if value[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return value.decode("utf-16", "ignore")
    sample = value[:_SAMPLE]
    even, odd = len(set(sample[::2])), len(set(sample[1::2]))
    is_big = even < odd or (even == odd and order == ">")
    return value.decode("utf-16-be" if is_big else "utf-16-le", "ignore")


def japanese(value: bytes) -> str:
    """Return the text of JIS X 0208: with the escapes of ISO 2022, without, or in what Japanese programs use for it."""
    if b"\x1b" in value:
        return value.decode("iso2022_jp", "ignore")
    if value.isascii():
        return (b"\x1b$B" + value.rstrip(b"\0 ")).decode("iso2022_jp", "ignore")
    try:
        return value.decode("euc_jp")
    except UnicodeDecodeError:
        return value.decode("shift_jis", "ignore")


def clean(value: str | None) -> str | None:
    """Return a text up to its first NUL, composed, without control characters and surrounding spaces; None: nothing."""
    if value is None:
        return None
    # Composing may lengthen a text, and a file may hold one as long as itself.
    start = nfc(value[: 8 * MAX_TEXT].partition("\0")[0])
    visible = "".join(letter for letter in start if letter in "\n\t" or unicodedata.category(letter) not in _HIDDEN)
    return visible.strip(_SURROUNDING)[:MAX_TEXT].rstrip(_SURROUNDING) or None


# Control characters and halves of letters. Joiners stay: scripts and emoji are made with them.
_HIDDEN = frozenset({"Cc", "Cs"})
_SURROUNDING = " \n\t\u00a0\ufeff"


def has_words(text: str) -> bool:
    """Whether a text is more than dashes, dots and the like."""
    return any(letter.isalnum() or letter > "\u00ff" for letter in text)


def written(value: str | None) -> str | None:
    """Return a text that a person may have written: `clean`, and None for a camera's default, dashes and dots."""
    found = clean(value)
    if found is None or not has_words(found):
        return None
    plain = " ".join(found.strip(" -_.[]()").upper().split())
    return None if plain in _DEFAULTS or _DEFAULT_FORMS.fullmatch(plain) else found


def file_comment(value: object) -> str | None:
    """Return the comment of a JPEG or GIF, where it is a text, and not that of the program which wrote the file."""
    if not isinstance(value, bytes):
        return None
    start = decoded(value[: 8 * MAX_TEXT]).rstrip("\0")
    if any(unicodedata.category(letter) in _HIDDEN and letter not in "\r\n\t" for letter in start):
        return None
    found = written(start)
    return None if found is None or _PROGRAM.search(found) else found
