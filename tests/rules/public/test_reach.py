from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.public.reach import Stage, bucket, reached, reaching_entry, share

ID = "0b9f7f0c-6d6c-4a2b-9f2e-1c9e0a4f1a01"
percents = st.integers(0, 10_000).map(lambda steps: steps / 100)
names = st.text("abc", min_size=1, max_size=4)


def test_a_bucket_is_what_the_protocol_says():
    digest = blake2b(f"{ID}/alice".encode(), digest_size=8).hexdigest()
    assert bucket(ID, "alice") == int(digest, 16) % 10_000
    assert (bucket(ID, "alice"), bucket(ID, "bob")) == (2172, 6913)


@pytest.mark.parametrize(
    ("percent", "buckets"), [(0, 0), (0.01, 1), (0.07, 7), (0.29, 29), (1.15, 115), (100, 10_000)]
)
def test_a_percentage_is_so_many_buckets(percent, buckets):
    assert share(percent) == buckets


def test_every_step_of_a_percentage_is_one_bucket():
    assert [share(steps / 100) for steps in range(10_001)] == [*range(10_001)]


@pytest.mark.parametrize("percent", [0, 0.5, 5, 50, 99, 100])
def test_a_percentage_reaches_about_so_many(percent):
    count = sum(reached(ID, f"user-{number}", percent, ()) for number in range(20_000))
    assert count / 200 == pytest.approx(percent, abs=1.2)


def test_buckets_of_two_publishes_are_independent():
    both = sum(
        reached(ID, user, 10, ()) and reached("another", user, 10, ())
        for user in map(str, range(20_000))
    )
    assert both / 200 == pytest.approx(1, abs=0.3)


@given(names, percents, percents)
def test_a_further_stage_holds_all_earlier_ones(user, one, other):
    low, high = sorted((one, other))
    assert not reached(ID, user, low, ()) or reached(ID, user, high, ())


@given(names)
def test_all_and_nobody(user):
    assert reached(ID, user, 100, ())
    assert not reached(ID, user, 0, ())
    assert reached(ID, user, 0, {user})


@given(names, st.lists(st.tuples(percents, st.frozensets(names, max_size=2)), max_size=6))
def test_the_reaching_entry_is_the_first_that_reaches(user, added):
    growing = sorted(percent for percent, _ in added)
    stages = [
        Stage(3 * number + 1, percent, users)
        for number, (percent, (_, users)) in enumerate(zip(growing, added, strict=True))
    ]
    reaching = [s.seq for s in stages if reached(ID, user, s.percent, s.users)]
    assert reaching_entry(ID, user, stages) == (reaching[0] if reaching else None)
