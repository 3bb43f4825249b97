"""The RocksDB databases of tables: one for each partition of each, within the memory and the CPU of a library at home.

A row of a known image is 3 KB, nearly all of it ML's answer, which is written once. RocksDB merges its files as they
become many, and writes all in them again, the more the more there are. So large values stand in blob files, which the
merging leaves alone; keys and small rows stay together. The first of a million images cost 27 µs of CPU each and the
last 43; without blob files, and with levels of RocksDB's own size, 27 and 62 to 79.
"""

from typing import Any

import rocksdict
from faust.stores.rocksdb import RocksDBOptions

# Bits a key. With Faust's 3, every fourth look-up of what is not there reads a block of each file.
_BLOOM_BITS = 10
# One for all databases of a process, so that it is full early, and memory does not grow with the table. A cache of
# 8 MiB for each partition took 75 MiB more, and was still filling at half a million images.
_CACHE = rocksdict.Cache(32 << 20)
# What four write buffers become, as they are merged; each further level is ten times as large.
_FIRST_LEVEL_BYTES = 16 << 20
_BLOB_BYTES = 1024
# The oldest part of the blob files, which RocksDB writes again without deleted rows. Its default, a quarter, cost as
# much as no blob files.
_OLDEST = 0.05


class DatabaseOptions(RocksDBOptions):
    """How the database of a partition is opened; one that was written with other sizes is read as well."""

    def __init__(self) -> None:
        # Faust's own (64 MiB of write buffer, 2 GiB of cache) are for one large database.
        super().__init__(write_buffer_size=4 << 20, max_write_buffer_number=2, max_open_files=64)

    def as_options(self) -> Any:
        """Return the options as rocksdict takes them."""
        options = super().as_options()
        blocks = rocksdict.BlockBasedOptions()
        blocks.set_bloom_filter(_BLOOM_BITS, block_based=False)
        blocks.set_block_cache(_CACHE)
        options.set_block_based_table_factory(blocks)
        options.set_max_bytes_for_level_base(_FIRST_LEVEL_BYTES)
        options.set_enable_blob_files(True)
        options.set_min_blob_size(_BLOB_BYTES)
        options.set_enable_blob_gc(True)
        options.set_blob_gc_age_cutoff(_OLDEST)
        return options
