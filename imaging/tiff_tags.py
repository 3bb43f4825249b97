"""Directories of tags, as TIFF has them, and with it EXIF, most RAW formats and the notes of camera makers.

Nothing here trusts the file: a directory that lies gives what it has, and no more is read than is bounded here.
"""

import struct
from dataclasses import dataclass, replace
from typing import BinaryIO, Literal

Value = int | float | bytes | tuple[int | float, ...]
"""Of a tag: texts and bytes as bytes, numbers as numbers, several as a tuple; x/0 is NaN."""

MAX_VALUE = 4 << 20
"""Bytes of one value; larger ones are left out."""
_MAX_NUMBERS = 1024
"""Numbers of one value; the further ones are left out. Strips and tables have more, fields of metadata do not."""
_MAX_ENTRIES = 1_000
_LAST_PLACE = 1 << 40
"""No file is longer; BigTIFF can ask for more than any system can seek."""
_MAX_BYTES = 16 << 20
"""Bytes of all values of a directory."""

_ASCII, _BYTE, _UNDEFINED, _RATIONAL, _SIGNED_RATIONAL = 2, 1, 7, 5, 10
_TEXT_TYPES = frozenset({_ASCII, _UNDEFINED, 6})
# The types of TIFF 6.0, of its supplements (13), and of BigTIFF (16 to 18): size and struct's letter.
_TYPES = {
    1: (1, "B"),
    2: (1, "c"),
    3: (2, "H"),
    4: (4, "I"),
    5: (8, "II"),
    6: (1, "b"),
    7: (1, "c"),
    8: (2, "h"),
    9: (4, "i"),
    10: (8, "ii"),
    11: (4, "f"),
    12: (8, "d"),
    13: (4, "I"),
    16: (8, "Q"),
    17: (8, "q"),
    18: (8, "Q"),
}


@dataclass(frozen=True, slots=True)
class Block:
    """A file, or a part of it, with offsets that count from `base`; `order`: `<` little-endian, `>` big-endian."""

    file: BinaryIO
    order: Literal["<", ">"]
    base: int = 0
    is_big: bool = False
    """BigTIFF: 64-bit offsets."""

    def read(self, offset: int, count: int) -> bytes:
        """Read up to `count` bytes from `offset` on; fewer where the file ends."""
        if not 0 <= offset + self.base <= _LAST_PLACE:
            return b""
        self.file.seek(self.base + offset)
        return self.file.read(count)

    def at(self, base: int, order: Literal["<", ">"] | None = None) -> "Block":
        """Return the same file with offsets that count from elsewhere in it."""
        return replace(self, base=base, order=order or self.order, is_big=False)


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a value lies: `offset` counts from the block's base."""

    offset: int
    count: int
    kind: int


def order_of(head: bytes) -> Literal["<", ">"] | None:
    """Return the byte order that two letters name; None where they name none."""
    match head[:2]:
        case b"II":
            return "<"
        case b"MM":
            return ">"
    return None


def opened(file: BinaryIO, base: int = 0) -> tuple[Block, int] | None:
    """Return the block that starts with a TIFF header at `base`, and the offset of its first directory.

    The magic number is not looked at beyond BigTIFF's, since ORF and RW2 have their own.
    """
    file.seek(base)
    head = file.read(16)
    order = order_of(head)
    if order is None or len(head) < 8:
        return None
    if struct.unpack_from(f"{order}H", head, 2)[0] == 43 and len(head) == 16:
        return Block(file, order, base, is_big=True), struct.unpack_from(f"{order}Q", head, 8)[0]
    return Block(file, order, base), struct.unpack_from(f"{order}I", head, 4)[0]


def directory(block: Block, offset: object) -> dict[int, Value]:
    """Return the values of the directory at `offset`, those that can be read; anything but a number gives none."""
    found: dict[int, Value] = {}
    spent = 0
    for tag, entry in entries(block, offset).items():
        size = _size(entry)
        if size > MAX_VALUE and entry.kind in (_BYTE, *_TEXT_TYPES):
            continue
        spent += min(size, MAX_VALUE)
        if spent > _MAX_BYTES:
            break
        value = value_of(block, entry)
        if value is not None:
            found[tag] = value
    return found


def entries(block: Block, offset: object) -> dict[int, Entry]:
    """Return where the values of a directory lie. Of a tag that comes twice the first counts."""
    if not isinstance(offset, int) or isinstance(offset, bool) or offset <= 0:
        return {}
    counter, width, slot, number = ("Q", 20, 8, "QQ") if block.is_big else ("H", 12, 4, "II")
    counted = block.read(offset, struct.calcsize(counter))
    if len(counted) < struct.calcsize(counter):
        return {}
    count = min(struct.unpack(block.order + counter, counted)[0], _MAX_ENTRIES)
    table = block.read(offset + len(counted), count * width)
    found: dict[int, Entry] = {}
    for start in range(0, len(table) - width + 1, width):
        tag, kind, amount, pointer = struct.unpack_from(f"{block.order}HH{number}", table, start)
        if kind not in _TYPES or amount == 0:
            continue
        entry = Entry(pointer, amount, kind)
        if _size(entry) <= slot:
            entry = Entry(offset + len(counted) + start + width - slot, amount, kind)
        found.setdefault(tag, entry)
    return found


def value_of(block: Block, entry: Entry) -> Value | None:
    """Return the value of an entry; None where the file ends before it."""
    size, letters = _TYPES[entry.kind]
    if entry.kind in _TEXT_TYPES or (entry.kind == _BYTE and entry.count > 1):
        data = block.read(entry.offset, min(entry.count, MAX_VALUE))
        return data or None
    wanted = min(entry.count, _MAX_NUMBERS)
    data = block.read(entry.offset, wanted * size)
    if len(data) < wanted * size:
        return None
    numbers: tuple[int | float, ...] = struct.unpack(block.order + letters * wanted, data)
    if entry.kind in (_RATIONAL, _SIGNED_RATIONAL):
        numbers = tuple(
            above / below if below else float("nan") for above, below in zip(numbers[::2], numbers[1::2], strict=True)
        )
    return numbers[0] if len(numbers) == 1 else numbers


def _size(entry: Entry) -> int:
    return entry.count * _TYPES[entry.kind][0]


def bytes_of(block: Block, entry: Entry) -> bytes:
    """Return the bytes of a value, whatever type it is declared as."""
    return block.read(entry.offset, min(_size(entry), MAX_VALUE))
