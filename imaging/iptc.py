"""IPTC IIM 4.2: the texts that press programs write, in whatever charset they do."""

from collections.abc import Iterator

from imaging import texts

_TITLE, _KEYWORD, _DESCRIPTION = (2, 5), (2, 25), (2, 120)
_CREATED, _DIGITISED = ((2, 55), (2, 60)), ((2, 62), (2, 63))
_CHARSET = (1, 90)
# ISO 2022 escapes that IPTC names; the last letter of `ESC - F` and `ESC . F` is one of the parts of ISO 8859.
_UTF_8 = (b"\x1b%G", b"\x1b%/G", b"\x1b%/H", b"\x1b%/I")
_PARTS = {b"A": 1, b"B": 2, b"C": 3, b"D": 4, b"L": 5, b"G": 6, b"F": 7, b"H": 8, b"M": 9, b"V": 10, b"b": 15}
_ASIAN = {
    b"\x1b$B": "iso2022_jp",
    b"\x1b$A": "gb2312",
    b"\x1b$(C": "euc_kr",
    b"\x1b$)C": "euc_kr",
    b"\x1b$)A": "gb2312",
}
_MAX_BLOCK, _MAX_SETS = 1 << 20, 2_000
_PHOTOSHOP, _RESOURCE = b"Photoshop 3.0\0", 0x0404
_MAX_RESOURCES = 200


class Block:
    """The data sets of an IPTC block, by record and number; none when it is no such block."""

    def __init__(self, data: bytes) -> None:
        self._sets: dict[tuple[int, int], list[bytes]] = {}
        for key, value in _data_sets(data[:_MAX_BLOCK]):
            self._sets.setdefault(key, []).append(value)
        self._charset = _named_charset(next(iter(self._sets.get(_CHARSET, [])), b""))

    def __bool__(self) -> bool:
        """Whether it says anything."""
        return bool(self._sets)

    @property
    def title(self) -> str | None:
        """The object's name."""
        return next(iter(self._texts(_TITLE)), None)

    @property
    def description(self) -> str | None:
        """The caption."""
        return next(iter(self._texts(_DESCRIPTION)), None)

    @property
    def keywords(self) -> list[str]:
        """What was written to find the picture by."""
        return self._texts(_KEYWORD)

    @property
    def created(self) -> str | None:
        """Date and time of the picture, as IPTC writes them, together."""
        return self._date(*_CREATED)

    @property
    def digitised(self) -> str | None:
        """Date and time when it was made a file of, likewise."""
        return self._date(*_DIGITISED)

    def _date(self, day: tuple[int, int], time: tuple[int, int]) -> str | None:
        dates, times = self._texts(day), self._texts(time)
        return " ".join([*dates[:1], *times[:1]]) if dates else None

    def _texts(self, key: tuple[int, int]) -> list[str]:
        found = [texts.clean(self._decoded(value[: 8 * texts.MAX_TEXT])) for value in self._sets.get(key, [])]
        return [text for text in found if text]

    def _decoded(self, value: bytes) -> str:
        if self._charset in (None, "utf-8"):  # which programs also declare that write something else
            return texts.decoded(value)
        return value.decode(self._charset, "ignore")


def _named_charset(escape: bytes) -> str | None:
    if escape.startswith(_UTF_8):
        return "utf-8"
    if escape[:2] in (b"\x1b-", b"\x1b.") and escape[2:3] in _PARTS:
        return f"iso8859_{_PARTS[escape[2:3]]}"
    return next((charset for start, charset in _ASIAN.items() if escape.startswith(start)), None)


def _data_sets(data: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    start = data.find(b"\x1c")
    for _ in range(_MAX_SETS):
        if start < 0 or data[start : start + 1] != b"\x1c" or len(data) < start + 5:
            return
        key, size = (data[start + 1], data[start + 2]), int.from_bytes(data[start + 3 : start + 5])
        start += 5
        if size & 0x8000:  # the length of the length
            width = size & 0x7FFF
            size = int.from_bytes(data[start : start + min(width, 8)])
            start += width
        yield key, data[start : start + size]
        start += size


def of_photoshop(block: bytes) -> bytes:
    """Return the IPTC block among Photoshop's image resources; empty when there is none."""
    start = 0
    block = block.removeprefix(_PHOTOSHOP)
    for _ in range(_MAX_RESOURCES):
        if len(block) < start + 12 or (not block[start : start + 4].isalpha() and block[start : start + 4] != b"8BIM"):
            return b""
        number = int.from_bytes(block[start + 4 : start + 6])
        start += 6 + (block[start + 6] // 2 + 1) * 2  # a name with its length in front, padded
        size = int.from_bytes(block[start : start + 4])
        if number == _RESOURCE:
            return block[start + 4 : start + 4 + size]
        start += 4 + size + size % 2
    return b""
