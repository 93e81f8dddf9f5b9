from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.rate import advance, pace_of
from tests.rules.model import Bucket

# Rates whose interval is a whole number of microseconds, so that both sides are exact.
rates = st.tuples(st.sampled_from((0.5, 1.0, 2.0, 20.0, 1_000.0)), st.integers(1, 50).map(float))
waits = st.lists(
    st.sampled_from((0, 0, 0, 1, 3, 49, 50, 51, 499, 1_000, 5_000, 90_000)), max_size=150
)


@given(rates, waits, st.integers(0, 2**41))
def test_it_lets_through_what_a_token_bucket_lets_through(rate, waits, now):
    bucket, arrival = Bucket(*rate), 0
    for wait in waits:
        now += wait
        after, early = advance(arrival, pace_of(rate), now * 1_000)
        if bucket.has_one(now):
            assert early == 0
            bucket.tokens -= 1
            arrival = after
        else:
            assert early == (1 - bucket.tokens) / bucket.per_second * 1_000_000


@given(
    st.tuples(st.floats(0.001, 10_000), st.floats(1, 10_000)),
    st.lists(st.integers(0, 2_000), max_size=100),
    st.sampled_from((0, 0, 1_000_000, 10**12)),
)
def test_any_rate_lets_through_no_more_than_its_burst_and_what_time_gives(rate, waits, arrival):
    now = passed = 0
    for wait in waits:
        now += wait
        after, early = advance(arrival, pace_of(rate), now * 1_000)
        if not early:
            arrival, passed = after, passed + 1
    per_second, burst = map(Fraction, rate)
    # An interval is cut to whole microseconds, so each message may come that much early.
    drift = passed * per_second / 1_000_000
    assert passed <= burst + per_second * now / 1_000 + drift + 1


@pytest.mark.parametrize("rate", [(20.0, 100.0), (1_000.0, 2_000.0), (1.0, 1.0)])
def test_the_burst_fits_at_once_and_no_more(rate):
    arrival = 0
    for _ in range(int(rate[1])):
        arrival, early = advance(arrival, pace_of(rate), 1_700_000_000_000_000)
        assert early == 0
    assert advance(arrival, pace_of(rate), 1_700_000_000_000_000)[1] == 1_000_000 / rate[0]


@given(rates, st.integers(0, 2**41), st.integers(0, 10**12))
def test_waiting_as_long_as_told_is_enough(rate, now, ahead):
    arrival = now * 1_000 + ahead
    _, early = advance(arrival, pace_of(rate), now * 1_000)
    assert early <= pace_of(rate).interval
    assert advance(arrival, pace_of(rate), now * 1_000 + early)[1] == 0
