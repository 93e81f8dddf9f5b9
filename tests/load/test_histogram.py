"""Percentiles are right to 1.6 %, and parts add up to the whole."""

import math

from hypothesis import given
from hypothesis import strategies as st

from load.histogram import Histogram, bucket, upper

micros = st.integers(0, 1 << 40)


def histogram(values: list[int]) -> Histogram:
    counted = Histogram()
    for value in values:
        counted.add(value)
    return counted


@given(micros)
def test_a_bucket_is_narrow_and_has_its_value(value: int):
    top, below = upper(bucket(value)), upper(bucket(value) - 1) if value else -1
    assert below < value <= top
    assert top - below <= max(1, value / 64)


@given(st.lists(micros, min_size=1), st.integers(1, 100))
def test_a_percentile_is_that_of_the_sorted_values(values: list[int], percent: int):
    exact = sorted(values)[math.ceil(len(values) * percent / 100) - 1]
    found = histogram(values).percentile(percent)
    assert found is not None
    assert exact <= found * 1_000 + 1e-6 <= exact + max(1, exact / 64) + 1e-6


@given(st.lists(st.lists(micros)))
def test_parts_add_up_to_the_whole(parts: list[list[int]]):
    merged = Histogram()
    for part in parts:
        merged.merge(histogram(part))
    assert merged == histogram([value for part in parts for value in part])


def test_nothing_has_no_percentile():
    assert Histogram().percentile(50) is None
