"""Lens, ISO speed, exposure, rating and date from the notes that camera makers put into EXIF, each in its own form.

They count for cameras that do not write them where EXIF has a place for them. Here is how the notes are laid out, in
`makers.py` what is in them; a note of a form that is not known gives nothing.
"""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from imaging import fixed_notes, makers, tiff_tags
from imaging.makers import MakerNotes
from imaging.tiff_tags import Block, Entry

_HEAD = 1024
_PHASE_ONE = re.compile(rb"IIII.waR|MMMMRaw.", re.DOTALL)
_ADOBE = b"Adobe\0MakN"
_FUJIFILM_MARK = (b"FUJIFILM", b"GENERALE")


@dataclass(frozen=True, slots=True)
class _Form:
    """How notes that start with `mark` are laid out: where the directory starts, and what offsets count from."""

    mark: bytes
    start: int
    counts_from_note: bool
    read: Callable[[Block, int], MakerNotes]


def read(block: Block, entry: Entry, make: str) -> MakerNotes:
    """Read the notes that lie at an entry of the camera's directory."""
    block, entry = _as_it_was(block, entry)
    head = block.read(entry.offset, min(entry.count, _HEAD))
    if head.startswith(b"Nikon\0\x02"):
        opened = tiff_tags.opened(block.file, block.base + entry.offset + 10)
        return makers.nikon(*opened) if opened else MakerNotes()
    if _PHASE_ONE.match(head):
        return makers.phase_one(block.at(block.base + entry.offset, tiff_tags.order_of(head)))
    if head.startswith(_FUJIFILM_MARK) and len(head) >= 12:
        note = block.at(block.base + entry.offset, "<")
        return makers.fujifilm(note, struct.unpack_from("<I", head, 8)[0])
    for form in _FORMS:
        if head.startswith(form.mark):
            within = block.at(block.base + entry.offset) if form.counts_from_note else block
            start = form.start if form.counts_from_note else entry.offset + form.start
            within = within.at(within.base, _order(within, start))
            return form.read(within, start)
    if fixed := fixed_notes.read(head, make):
        return fixed
    # Without a mark the directory starts at once.
    maker = next((read for name, read in _BARE.items() if make.upper().startswith(name)), None)
    if maker is None:
        return MakerNotes()
    moved = _moved(block, entry)
    start = entry.offset - moved
    bare = block.at(block.base + moved)
    bare = bare.at(bare.base, _order(bare, start))
    return maker(bare, start)


def _as_it_was(block: Block, entry: Entry) -> tuple[Block, Entry]:
    """Undo what Adobe does to notes in a DNG: their size, byte order and first place stand in front of them."""
    head = block.read(entry.offset, len(_ADOBE) + 10)
    order = tiff_tags.order_of(head[-6:])
    if not head.startswith(_ADOBE) or order is None:
        return block, entry
    first = int.from_bytes(head[-4:])
    start = entry.offset + len(head)
    return block.at(block.base + start - first, order), Entry(first, max(entry.count - len(head), 0), entry.kind)


def _moved(block: Block, entry: Entry) -> int:
    """Return how far a program moved the note without a change of its offsets; Canon writes its first place behind."""
    behind = block.read(entry.offset + entry.count - 8, 8)
    order = tiff_tags.order_of(behind)
    if order is None or len(behind) < 8 or behind[2:4] not in (b"*\0", b"\0*"):
        return 0
    return entry.offset - int(struct.unpack_from(f"{order}I", behind, 4)[0])


def _order(block: Block, start: int) -> Literal["<", ">"]:
    """Return the order in which the directory has a possible number of entries: it is not always that of the file."""
    counted = block.read(start, 2)
    if len(counted) < 2:
        return block.order
    little, big = struct.unpack("<H", counted)[0], struct.unpack(">H", counted)[0]
    return "<" if little < big else ">" if big < little else block.order


_FORMS = (
    _Form(b"Nikon\0\x01", 8, counts_from_note=False, read=makers.nikon),
    _Form(b"OLYMPUS\0", 12, counts_from_note=True, read=makers.olympus),
    _Form(b"OM SYSTEM\0", 16, counts_from_note=True, read=makers.olympus),
    _Form(b"OLYMP\0", 8, counts_from_note=False, read=makers.olympus),
    _Form(b"EPSON\0", 8, counts_from_note=False, read=makers.olympus),
    _Form(b"PENTAX \0", 10, counts_from_note=True, read=makers.pentax),
    _Form(b"AOC\0", 6, counts_from_note=False, read=makers.pentax),
    _Form(b"QVC\0", 6, counts_from_note=False, read=makers.casio),
    _Form(b"DCI\0", 6, counts_from_note=False, read=makers.casio),
    _Form(b"SONY DSC", 12, counts_from_note=False, read=makers.sony),
    _Form(b"SONY CAM", 12, counts_from_note=False, read=makers.sony),
    _Form(b"SONY MOBILE", 12, counts_from_note=False, read=makers.sony),
    _Form(b"Panasonic\0", 12, counts_from_note=False, read=makers.panasonic),
)
_BARE: dict[str, Callable[[Block, int], MakerNotes]] = {
    "CANON": makers.canon_block,
    "NIKON": makers.nikon,
    "CASIO": makers.casio,
    "ASAHI": makers.casio,
    "PENTAX": makers.pentax,
    "SONY": makers.sony,
    "MINOLTA": makers.minolta,
    "KONICA MINOLTA": makers.minolta,
    "SAMSUNG": makers.samsung,
}
