import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.limits import PER_ADDRESS, Connections, FrameRate, Quota, TokenBucket
from tests.processes import ROOT


def test_a_burst_passes_and_the_next_waits():
    bucket = TokenBucket(10, 3)
    assert [bucket.take(5.0) for _ in range(3)] == [0, 0, 0]
    assert abs(bucket.take(5.0) - 0.1) < 1e-6


def test_waiting_as_told_is_enough():
    bucket = TokenBucket(10, 1)
    assert bucket.take(0.0) == 0
    wait = bucket.take(0.0)
    assert bucket.take(wait) == 0


@given(st.lists(st.floats(0, 0.5), max_size=200), st.floats(1, 50), st.integers(1, 20))
def test_no_stretch_of_time_passes_more_than_rate_and_burst(pauses, rate, burst):
    bucket, now, passed = TokenBucket(rate, burst), 0.0, []
    for pause in pauses:
        now += pause
        if not bucket.take(now):
            passed.append(now)
    for i, start in enumerate(passed):
        for j in range(i, len(passed)):
            assert j - i + 1 <= burst + rate * (passed[j] - start) + 1e-6


def test_a_client_that_ignores_refusals_is_abusive():
    rate = FrameRate(10, 5)
    for _ in range(5 + 25):
        rate.take(0.0)
    assert not rate.abused
    assert rate.take(0.0) > 0
    assert rate.abused


def test_a_client_that_pauses_is_forgiven():
    rate = FrameRate(10, 5)
    for _ in range(20):
        rate.take(0.0)
    assert rate.take(10.0) == 0
    for _ in range(25):
        rate.take(10.0)
    assert not rate.abused


def test_a_quota_is_given_back():
    quota = Quota(1)
    assert quota.take()
    assert not quota.take()
    quota.give()
    assert quota.take()


def test_connections_are_limited_in_all():
    connections = Connections(total=2, per_address=9, per_user=9)
    assert connections.open()
    assert connections.open()
    assert not connections.open()
    connections.close()
    assert connections.open()


@pytest.mark.parametrize(
    ("take", "give"), [("enter", "leave"), ("arrive", "depart")], ids=["user", "address"]
)
def test_connections_are_limited_for_each_user_and_address(take, give):
    connections = Connections(total=9, per_address=1, per_user=1)
    take, give = getattr(connections, take), getattr(connections, give)
    assert take("one")
    assert not take("one")
    assert take("two")
    give("one")
    assert take("one")


def test_sockets_of_this_machine_are_counted_only_under_a_limit_that_was_set():
    default = Connections(total=9, per_address=None, per_user=9)
    for place in ("127.0.0.1", "127.3.2.1", "::/64"):
        assert all(default.arrive(place) for _ in range(PER_ADDRESS + 1))
        default.depart(place)
    assert all(default.arrive("192.0.2.1") for _ in range(PER_ADDRESS))
    assert not default.arrive("192.0.2.1")
    chosen = Connections(total=9, per_address=1, per_user=9)
    assert chosen.arrive("127.0.0.1")
    assert not chosen.arrive("127.0.0.1")


@pytest.mark.parametrize(
    ("soft", "hard", "connections", "enough", "files"),
    [
        (100, 2_000, 1_000, 1_000, 1_200),
        (100, 700, 1_000, 500, 700),
        (100, 150, 1_000, 0, 150),
        (2_000, 2_000, 1_000, 1_000, 2_000),
    ],
)
def test_files_are_allowed_for_all_connections_as_far_as_the_system_lets_us(
    soft, hard, connections, enough, files
):
    program = f"""
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
from gateway.limits import allow_files
print(allow_files({connections}), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.split() == [str(enough), str(files)]
