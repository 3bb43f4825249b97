"""Which partition Kafka's default partitioner gives a key, for many keys at once.

The method is murmur2 with Kafka's seed, modulo the number of partitions, as in `org.apache.kafka.common.utils.Utils`.
"""

import struct
from collections.abc import Sequence

import numpy as np

_SEED = np.uint32(0x9747B28C)
_M = np.uint32(0x5BD1E995)

FEW = 20
"""Of fewer keys, numpy costs more than the loop."""


def partitions_of(keys: Sequence[bytes], count: int) -> list[int]:
    """Return the partition of each key, where there are `count`."""
    if len(keys) < FEW:
        return [(_hash(key) & 0x7FFFFFFF) % count for key in keys]
    lengths = np.fromiter(map(len, keys), np.uint32, len(keys))
    words = int(lengths.max()) // 4 + 1
    padded = b"".join(key.ljust(4 * words, b"\0") for key in keys)
    table = np.frombuffer(padded, "<u4").reshape(len(keys), words)
    whole = lengths // 4
    hashes = _SEED ^ lengths
    for column in range(words):
        word = table[:, column] * _M
        word ^= word >> 24
        word *= _M
        hashes = np.where(column < whole, (hashes * _M) ^ word, hashes)
    # What is left of a key, 0 to 3 bytes, is padded with zeros.
    rest = table[np.arange(len(keys)), whole]
    hashes = np.where(lengths % 4 > 0, (hashes ^ rest) * _M, hashes)
    hashes ^= hashes >> 13
    hashes *= _M
    hashes ^= hashes >> 15
    found: list[int] = ((hashes & 0x7FFFFFFF) % count).tolist()
    return found


def _hash(key: bytes) -> int:
    m, mask, length = int(_M), 0xFFFFFFFF, len(key)
    value = int(_SEED) ^ length
    for (word,) in struct.iter_unpack("<I", key[: length - length % 4]):
        word = word * m & mask  # noqa: PLW2901 - a step of the method
        value = value * m & mask ^ (word ^ word >> 24) * m & mask
    if rest := key[length - length % 4 :]:
        value = (value ^ int.from_bytes(rest, "little")) * m & mask
    value = (value ^ value >> 13) * m & mask
    return value ^ value >> 15
