"""Pictures in terminals that can show them: the protocols of kitty, of iTerm2, and sixel.

A terminal says by its environment what it is. Asking it would need its answer, which may never come.
"""

import base64
import io
import os
from collections.abc import Mapping
from typing import Literal

Protocol = Literal["kitty", "iterm2", "sixel"]

ROWS = 6
"""Height of a picture, in lines of text."""
SIXEL_SIDE = 120
"""Sixel knows no lines: pixels of the longer side, about as high at common sizes of letters."""
SIXEL_COLOURS = 64
CHUNK = 4096
"""Base64 characters that kitty takes at a time."""


def protocol(environment: Mapping[str, str] = os.environ) -> Protocol | None:
    """Return how this terminal is sent a picture; None where it shows none, or is not known to."""
    term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    if "TMUX" in environment or term.startswith(("screen", "tmux")):
        return None  # a multiplexer would have to let it through
    if "KITTY_WINDOW_ID" in environment or "kitty" in term or program in {"ghostty", "WezTerm"}:
        return "kitty"
    if program == "iTerm.app" or environment.get("LC_TERMINAL") == "iTerm2":
        return "iterm2"
    if "sixel" in term or term.startswith(("foot", "mlterm", "contour", "yaft")) or program == "mintty":
        return "sixel"
    return None


def picture(jpeg: bytes, how: Protocol) -> str:
    """Return the control sequence that shows a small JPEG."""
    match how:
        case "kitty":
            return _kitty(jpeg)
        case "iterm2":
            sent = base64.b64encode(jpeg).decode()
            return f"\x1b]1337;File=inline=1;size={len(jpeg)};height={ROWS};preserveAspectRatio=1:{sent}\a"
        case "sixel":
            return _sixel(jpeg)


def _kitty(jpeg: bytes) -> str:
    """Send it as PNG, the only compressed form that kitty reads, in chunks; all but the last say that more follows."""
    from PIL import Image  # noqa: PLC0415 - the other commands start faster without

    with Image.open(io.BytesIO(jpeg)) as image:
        png = io.BytesIO()
        image.save(png, "PNG")
    sent = base64.b64encode(png.getvalue()).decode()
    chunks = [sent[start : start + CHUNK] for start in range(0, len(sent), CHUNK)]
    keys = [f"a=T,f=100,r={ROWS},", *[""] * (len(chunks) - 1)]
    more = [*[1] * (len(chunks) - 1), 0]
    return "".join(f"\x1b_G{key}m={m};{chunk}\x1b\\" for key, m, chunk in zip(keys, more, chunks, strict=True))


def _sixel(jpeg: bytes) -> str:
    """Send bands of six rows, each colour of a band by itself: a letter has one bit for each of the six pixels."""
    from PIL import Image  # noqa: PLC0415 - the other commands start faster without

    with Image.open(io.BytesIO(jpeg)) as image:
        image.thumbnail((SIXEL_SIDE, SIXEL_SIDE))
        indexed = image.convert("RGB").quantize(SIXEL_COLOURS)
    width, height = indexed.size
    palette = indexed.getpalette() or []
    rows = [indexed.crop((0, y, width, y + 1)).tobytes() for y in range(height)]
    colours = [
        f"#{number};2;" + ";".join(str(round(value / 2.55)) for value in palette[3 * number : 3 * number + 3])
        for number in range(len(palette) // 3)
    ]
    bands = []
    for top in range(0, height, 6):
        band = rows[top : top + 6]
        lines = []
        for number in sorted({index for row in band for index in row}):
            bits = (sum((row[x] == number) << bit for bit, row in enumerate(band)) for x in range(width))
            lines.append(f"#{number}" + "".join(chr(63 + each) for each in bits))
        bands.append("$".join(lines))
    return f'\x1bPq"1;1;{width};{height}{"".join(colours)}{"-".join(bands)}\x1b\\'
