from hypothesis import given
from hypothesis import strategies as st
from kafka.partitioner import murmur2

from streams.partitioning import Home, partition_of


@given(st.text(max_size=200), st.integers(1, 100))
def test_a_key_is_where_kafkas_default_partitioner_puts_it(key, partitions):
    where = (murmur2(key.encode()) & 0x7FFFFFFF) % partitions
    assert partition_of(key, partitions) == where
    assert [n for n in range(partitions) if Home(n, partitions).holds(key)] == [where]
