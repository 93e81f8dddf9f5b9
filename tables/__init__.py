"""The journaled tables: RocksDB state whose changelog is the log of record."""
