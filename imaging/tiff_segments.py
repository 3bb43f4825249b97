"""Strips and tiles of a TIFF: read, decompressed, and known for damage that their decoders pass over."""

import io
from collections.abc import Iterator
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

from core.errors import ContentError
from imaging import jpeg, jpeg2000
from imaging.samples import Samples

UNCOMPRESSED, OLD_JPEG, JPEGS = 1, 6, (6, 7, 33007, 34892)
"""Compression."""
_SILENT = (2, 3, 4, 32771, 22610, 34934)
"""Of fax, and JPEG XR: decoders that raise nothing where data is damaged or missing."""
_APERIO, _JPEG_2000 = 33003, (33003, 33004, 33005, 34712)
"""The first is of YCbCr, whatever the page says."""
_RGB, YCBCR = 2, 6
"""PhotometricInterpretation."""
_SUBSAMPLING = 530
_PIECE_ROWS = 512
"""Rows of a large strip that are worked on at a time."""
_END, _START_BYTES = b"\xff\xd9", 2
"""Of a JPEG: its last marker, and the length of its first."""
_CHECKED_SIDE = 64
"""Pixels of a side to which a JPEG is decoded to see whether it is whole: the least work."""
_NOISES = 8
_LEAST_LOOKED_INTO = 256
"""Bytes of data whose last eighth is more than a mark of its end."""


class Segments:
    """The strips or tiles of one page. `share`: how much of them could be decoded, once all were."""

    def __init__(self, page: tifffile.TiffPage, *, salvage: bool) -> None:
        if page.dtype is None or isinstance(page.bitspersample, tuple):
            raise ContentError(
                f"is a TIFF with samples of {page.bitspersample} bits (SampleFormat {int(page.sampleformat)}), which "
                "nothing here decodes. Save it with 8 or 16 bits a sample."
            )
        if page.compression not in tifffile.TIFF.DECOMPRESSORS and page.compression not in JPEGS:
            raise ContentError(
                f"is a TIFF compressed in a way ({int(page.compression)}) that nothing here decodes. "
                "Save it with LZW, deflate, or uncompressed."
            )
        self._page = page
        self._salvage = salvage
        self._blocks = _subsampling(page)
        self.share = 1.0

    def pieces(self) -> Iterator[tuple[int, tuple[int, int], Samples]]:
        """Yield the first sample, the place (left, top) and the samples of pieces of strips and tiles.

        Raises EOFError where the file ends before one does, and OSError where one is damaged; not when salvaging.
        """
        page = self._page
        whole, decoded_parts = int(np.prod(page.chunked)), 0.0
        for index in range(min(whole, len(page.dataoffsets)) if self._salvage else whole):
            share, sample, place, samples = self._segment(index)
            decoded_parts += share
            if samples is None:
                continue
            for row in range(0, len(samples), _PIECE_ROWS):
                yield sample, (place[0], place[1] + row), samples[row : row + _PIECE_ROWS]
        self.share = decoded_parts / whole

    def _segment(self, index: int) -> tuple[float, int, tuple[int, int], Samples | None]:
        """Decode a strip or tile: how much of it there is, its first sample, its place, and samples in the picture."""
        page, data, length = self._page, b"", 0
        try:
            data, length = self._stored_bytes(index)
            share = self._share(data, length, index)
            if page.compression == UNCOMPRESSED and self._salvage:
                data = data.ljust(length, b"\0")
            decoded, (sample, depth, top, left) = self._decoded(data, index)
        except MemoryError:
            raise
        except Exception as error:  # decoders raise every type there is on damaged bytes
            if self._salvage:
                return 0.0, 0, (0, 0), None
            if len(data) < length or not data:
                raise EOFError("truncated") from error
            whole = len(page.dataoffsets)
            raise OSError(f"part {index + 1} of {whole} of its data is damaged or not complete") from error
        if depth:
            return share, sample, (left, top), None
        return share, sample, (left, top), decoded[: page.imagelength - top, : page.imagewidth - left]

    def _stored_bytes(self, index: int) -> tuple[bytes, int]:
        """Return what the file has of a strip or tile, and how many bytes that should be."""
        page, file = self._page, self._page.parent.filehandle
        offset, length = page.dataoffsets[index], page.databytecounts[index]
        file.seek(offset)
        return (file.read(length) if offset else b""), length

    def _decoded(self, data: bytes, index: int) -> tuple[Samples, tuple[int, int, int, int]]:
        page = self._page
        if not data:
            raise EOFError("truncated")
        if self._blocks is not None:
            rows, columns, top, left = _place(page, index)
            return _unblocked(page, data, self._blocks, (rows, columns)), (0, 0, top, left)
        if page.compression in JPEGS and page.planarconfig == 2:
            # tifffile takes the colours of the page for those of a plane.
            plane, part = divmod(index, len(page.dataoffsets) // page.samplesperpixel)
            _, _, top, left = _place(page, part)
            one = imagecodecs.jpeg_decode(data, tables=page.jpegtables, bitspersample=page.bitspersample)
            return one[..., None], (plane, 0, top, left)
        tables: dict[str, Any] = {}
        if page.compression in JPEGS:
            tables = {"jpegtables": page.jpegtables, "jpegheader": page.jpegheader}
        decoded, (sample, depth, top, left, _), _ = page.decode(data, index, **tables)
        if decoded is None:
            raise EOFError("truncated")
        if page.bitspersample == 24 and decoded.dtype.kind == "u" and page.parent.byteorder == ">":
            decoded = decoded.byteswap()  # tifffile gives those of either order as little endian
        if (
            page.compression in _JPEG_2000
            and int(page.photometric) == _RGB
            and jpeg2000.is_ycbcr(data, is_stated=page.compression == _APERIO)
        ):
            colours = Image.fromarray(np.ascontiguousarray(decoded[0, ..., :3]), "YCbCr").convert("RGB")
            decoded = np.concatenate([np.asarray(colours)[None], decoded[..., 3:]], axis=3)
        return decoded[0], (sample, depth, top, left)

    def _share(self, data: bytes, length: int, index: int) -> float:
        """Return how much of a strip or tile is there, which is all of it unless salvaging. Raises OSError."""
        page, share = self._page, 1.0
        if page.compression == UNCOMPRESSED and self._salvage:
            return len(data) / max(length, 1)
        if page.compression in JPEGS and data and not page.jpegheader:
            share = share_of_jpeg(_with_tables(data, page.jpegtables))
        elif page.compression in _SILENT and data and not self._is_whole(data, index):
            share = 0.0
        if share < 1.0 and not self._salvage:
            raise OSError("damaged")
        return share

    def _is_whole(self, data: bytes, index: int) -> bool:
        """Whether a decoder that raises nothing found all that it looked for, and looked at all that is there.

        Noise behind data that is whole shows nowhere; noise in place of its end does.
        """
        found = self._decoded(data, index)[0]
        one, other = (self._decoded(data + jpeg.noise(seed), index)[0] for seed in range(2))
        if not np.array_equal(one, other):
            return False
        if len(data) < _LEAST_LOOKED_INTO:
            return True
        head = data[: len(data) * 7 // 8]
        in_place = (self._decoded(head + jpeg.noise(seed), index)[0] for seed in range(_NOISES))
        return any(not np.array_equal(found, one) for one in in_place)


def share_of_jpeg(content: bytes) -> float:
    """Return how much of a JPEG is there: 1.0 where all of it is."""
    try:
        image = Image.open(io.BytesIO(content), formats=("JPEG",))
    except OSError:  # of a kind that Pillow does not decode: that it has its end is all that can be known
        return float(content.rstrip(b"\0").endswith(_END))
    try:
        return jpeg.load(image, io.BytesIO(content), _CHECKED_SIDE, salvage_damaged=True)[1]
    except OSError:
        return 0.0


def _with_tables(data: bytes, tables: bytes | None) -> bytes:
    return tables.removesuffix(_END) + data[_START_BYTES:] if tables else data


def _subsampling(page: tifffile.TiffPage) -> tuple[int, int] | None:
    """Return of how many columns and rows the samples of one colour are, where they lie in blocks (TIFF 6.0, 21)."""
    if int(page.photometric) != YCBCR or (page.compression in JPEGS and page.planarconfig == 1):
        return None
    across, down = page.tags.valueof(_SUBSAMPLING, (2, 2))
    if (across, down) == (1, 1):
        return None
    if page.planarconfig == 2 or page.predictor != 1 or across * down == 0:
        raise ContentError(
            f"is a TIFF that keeps colours of {across} x {down} pixels in a way that nothing here decodes. "
            "Save it as RGB."
        )
    return int(across), int(down)


def _place(page: tifffile.TiffPage, index: int) -> tuple[int, int, int, int]:
    """Return rows, columns, top and left of a strip or tile of a page whose samples lie together."""
    if not page.is_tiled:
        top = index * page.rowsperstrip
        return min(page.rowsperstrip, page.imagelength - top), page.imagewidth, top, 0
    below, right = divmod(index, -(-page.imagewidth // page.tilewidth))
    return page.tilelength, page.tilewidth, below * page.tilelength, right * page.tilewidth


def _unblocked(page: tifffile.TiffPage, data: bytes, blocks: tuple[int, int], shape: tuple[int, int]) -> Samples:
    """Return samples, shape (rows, columns, 3), of a strip or tile that has a colour for each block of lightnesses."""
    (across, down), (rows, columns) = blocks, shape
    stored = tifffile.TIFF.DECOMPRESSORS[page.compression](
        imagecodecs.bitorder_decode(data) if page.fillorder == 2 else data
    )
    if isinstance(stored, np.ndarray) and stored.ndim == 3:
        return stored[:rows, :columns]  # the compression is one of pictures, which halves colours by itself
    down_count, across_count, size = -(-rows // down), -(-columns // across), across * down + 2
    values: Samples = np.frombuffer(stored, f"{page.parent.byteorder}u{page.bitspersample // 8}")
    each = values[: down_count * across_count * size].reshape(down_count, across_count, size)
    by_row = each[..., :-2].reshape(down_count, across_count, down, across).swapaxes(1, 2)
    light = by_row.reshape(down_count * down, across_count * across, 1)
    colours = each[..., -2:].repeat(down, axis=0).repeat(across, axis=1)
    return np.concatenate([light, colours], axis=2)[:rows, :columns]
