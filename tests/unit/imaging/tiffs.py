"""Writes TIFFs of every kind by hand, so that what is read of them is compared with what was meant."""

import itertools
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

Samples = NDArray[Any]
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, MASK, SEPARATED, YCBCR, _, CIELAB, ICCLAB = range(10)
NONE, LZW, DEFLATE, PACKBITS, ZSTD, LZMA = 1, 5, 8, 32773, 50000, 34925
_ENCODERS: dict[int, Callable[..., bytes | bytearray]] = {
    NONE: bytes,
    LZW: imagecodecs.lzw_encode,
    DEFLATE: zlib.compress,
    PACKBITS: imagecodecs.packbits_encode,
    ZSTD: imagecodecs.zstd_encode,
    LZMA: imagecodecs.lzma_encode,
}
SIDE = 128


class Fractions(list[tuple[int, int]]):
    """The value of a tag that has fractions, above and below."""


PATCHES = 4


def chart(channels: int) -> NDArray[np.float64]:
    """Return patches, shape (128, 128, channels), whose values from 0 to 1 differ from channel to channel."""
    row, column = np.mgrid[0:PATCHES, 0:PATCHES]
    steps = [((row, column)[channel % 2 == 0] + channel) % PATCHES for channel in range(channels)]
    values = np.stack(steps, axis=-1) / (PATCHES - 1)
    return values.repeat(SIDE // PATCHES, 0).repeat(SIDE // PATCHES, 1)


def integers(values: NDArray[np.float64], bits: int) -> Samples:
    """Scale values from 0 to 1 to the full range of unsigned integers."""
    return np.round(values * float((1 << bits) - 1)).astype(np.uint64)


def tiff(samples: Samples, *, big: bool = False, order: str = "<", **options: Any) -> bytes:
    """Return a file of one picture; see `page`."""
    return file([page(samples, order=order, **options)], big=big, order=order)


def page(
    samples: Samples,
    *,
    bits: int,
    photometric: int,
    order: str = "<",
    planar: int = 1,
    tile: int | None = None,
    rows: int = 20,
    compression: int = NONE,
    predictor: int = 1,
    kind: int = 1,
    tags: Mapping[int, Any] | None = None,
) -> tuple[dict[int, Any], Sequence[bytes | bytearray], bool]:
    """Return tags and data of a picture, samples of shape (rows, columns, samples). `kind`: SampleFormat."""
    height, width, count = samples.shape
    planes = [samples] if planar == 1 else [samples[..., one : one + 1] for one in range(count)]
    step_down, step_right = (tile, tile) if tile else (rows, width)
    parts = []
    for plane in planes:
        for top in range(0, height, step_down):
            for left in range(0, width, step_right):
                piece = plane[top : top + step_down, left : left + step_right]
                if tile:
                    piece = np.pad(piece, ((0, tile - piece.shape[0]), (0, tile - piece.shape[1]), (0, 0)))
                parts.append(_ENCODERS[compression](_packed(piece, bits, order, kind, predictor)))
    found: dict[int, Any] = {
        256: width,
        257: height,
        258: [bits] * count,
        259: compression,
        262: photometric,
        277: count,
        284: planar,
        339: [kind] * count,
    }
    if tile:
        found |= {322: tile, 323: tile}
    else:
        found |= {278: rows}
    if predictor != 1:
        found |= {317: predictor}
    return found | dict(tags or {}), parts, bool(tile)


def file(
    pages: Sequence[tuple[dict[int, Any], Sequence[bytes | bytearray], bool]], *, big: bool = False, order: str = "<"
) -> bytes:
    """Return a file of several pictures. A tag 330 may hold such a picture too, which is laid below the page."""
    writer = _Writer(big, order)
    offsets = [writer.directory(*one) for one in pages]
    for before, after in itertools.pairwise(offsets):
        writer.link(before, after)
    return writer.finished(offsets[0])


class _Writer:
    def __init__(self, big: bool, order: str) -> None:
        self._big, self._order = big, order
        self._content = bytearray(16 if big else 8)
        self._links: dict[int, int] = {}

    def directory(self, tags: dict[int, Any], parts: Sequence[bytes | bytearray], tiled: bool) -> int:
        offsets = [self._add(part) for part in parts]
        tags = tags | {324 if tiled else 273: offsets, 325 if tiled else 279: [len(part) for part in parts]}
        if isinstance(tags.get(330), tuple):
            tags[330] = self.directory(*tags[330])
        entries = b"".join(self._entry(tag, tags[tag]) for tag in sorted(tags))
        start = self._add(self._pack("Q" if self._big else "H", len(tags)) + entries)
        self._links[start] = self._add(self._pack("Q" if self._big else "I", 0))
        assert self._links[start] == start + (8 if self._big else 2) + len(entries)
        return start

    def link(self, before: int, after: int) -> None:
        place = self._links[before]
        packed = self._pack("Q" if self._big else "I", after)
        self._content[place : place + len(packed)] = packed

    def finished(self, first: int) -> bytes:
        mark = b"II" if self._order == "<" else b"MM"
        head = mark + (self._pack("HHHQ", 43, 8, 0, first) if self._big else self._pack("HI", 42, first))
        self._content[: len(head)] = head
        return bytes(self._content)

    def _pack(self, layout: str, *values: int) -> bytes:
        return struct.pack(self._order + layout, *values)

    def _add(self, data: bytes | bytearray) -> int:
        if len(self._content) % 2:
            self._content.append(0)
        start = len(self._content)
        self._content += data
        return start

    def _entry(self, tag: int, value: Any) -> bytes:
        if isinstance(value, bytes):
            kind, count, data = 7, len(value), value
        elif isinstance(value, Fractions):
            kind, count = 5, len(value)
            data = self._pack(f"{2 * count}I", *itertools.chain(*value))
        else:
            values = list(value) if isinstance(value, list | np.ndarray) else [value]
            wide = tag in {273, 324, 325, 279, 330, 513, 514}
            kind, count = (4, len(values)) if wide else (3, len(values))
            data = self._pack(f"{count}{'I' if wide else 'H'}", *values)
        room = 8 if self._big else 4
        if len(data) > room:
            data = self._pack("Q" if self._big else "I", self._add(data))
        return self._pack("HHQ" if self._big else "HHI", tag, kind, count) + data.ljust(room, b"\0")


def _packed(samples: Samples, bits: int, order: str, kind: int, predictor: int) -> bytes:
    if kind == 3:
        values: Samples = samples.astype(f"f{bits // 8}")
        if predictor == 3:
            return bytes(_float_predicted(values))
        return values.astype(f"{order}f{bits // 8}").tobytes()
    if bits in {8, 16, 32, 64}:
        values = samples.astype(f"u{bits // 8}")
        if predictor == 2:
            values = np.concatenate([values[:, :1], np.diff(values, axis=1)], axis=1)
        return values.astype(f"{order}u{bits // 8}").tobytes()
    flat = samples.reshape(samples.shape[0], -1).astype(np.uint64)
    ones = (flat[..., None] >> np.arange(bits - 1, -1, -1, dtype=np.uint64)) & np.uint64(1)
    return np.packbits(ones.reshape(samples.shape[0], -1).astype(np.uint8), axis=1).tobytes()


def _float_predicted(values: Samples) -> bytes:
    """Return rows of bytes by significance, each the difference to the one before (TIFF Technical Note 3)."""
    height, _, count = values.shape
    significant = values.astype(f">f{values.itemsize}").reshape(height, -1)
    planes = significant.view(np.uint8).reshape(height, -1, values.itemsize).transpose(0, 2, 1).reshape(height, -1)
    rows = planes.astype(np.uint8)
    rows[:, count:] = rows[:, count:] - rows[:, :-count]
    return rows.tobytes()
