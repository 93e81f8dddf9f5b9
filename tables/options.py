"""RocksDB options: small, explicit, and shared by all partitions of a process."""

from __future__ import annotations

from functools import cache

from rocksdict import BlockBasedOptions, Cache, Options, WriteBufferManager, WriteOptions

_BLOOM_BITS_PER_KEY = 10
_WRITE_BUFFER = 8 << 20
_MEMTABLE_FILTER = 0.02


@cache
def rocksdb_options(cache_bytes: int, write_buffer_bytes: int) -> Options:
    """Options of every database in this process.

    Blocks and memtables of all of them together stay within the two limits (bytes). The filters of
    files and memtables are asked on each first sight of a message id, which is a miss nearly always.
    A small memtable is quicker to find a place in: processor caches hold more of it.
    """
    table = BlockBasedOptions()
    table.set_block_cache(Cache(cache_bytes))
    table.set_bloom_filter(_BLOOM_BITS_PER_KEY, False)
    table.set_cache_index_and_filter_blocks(True)
    table.set_pin_l0_filter_and_index_blocks_in_cache(True)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_block_based_table_factory(table)
    options.set_write_buffer_manager(WriteBufferManager(write_buffer_bytes, False))
    options.set_write_buffer_size(_WRITE_BUFFER)
    options.set_memtable_whole_key_filtering(True)
    options.set_memtable_prefix_bloom_ratio(_MEMTABLE_FILTER)
    options.set_max_open_files(512)
    options.set_keep_log_file_num(2)
    return options


@cache
def write_options() -> WriteOptions:
    """How batches are written: without a log of the database's own, since the table's log is in Kafka.

    A process that is killed loses its memtables, the progress with them, and reads that much of the
    log again.
    """
    options = WriteOptions()
    # The stubs take these attributes for methods.
    options.disable_wal = True  # type: ignore[assignment]
    return options
