import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.commands import MAX_DEFERRED, MAX_TOUCHES
from streams.public.disturbance import (
    Calm,
    Candidate,
    Plan,
    Quiet,
    day_of,
    is_quiet,
    local_time,
    look_again_in,
    parse_quiet,
    plan,
)

HOUR = 3_600_000
DAY = 24 * HOUR
NOON, NIGHT = 20_000 * DAY + 12 * HOUR, 20_000 * DAY + 23 * HOUR
QUIET = Quiet(22 * 60, 8 * 60)


def one(entry, priority="normal", over=False):
    return Candidate(entry, entry, priority, over)


def shown(plan):
    return [entry for _, entry, _ in plan.touched]


@pytest.mark.parametrize(
    ("text", "quiet"),
    [
        ("22:00-08:00", QUIET),
        ("00:00-23:59", Quiet(0, 23 * 60 + 59)),
        ("", Quiet(0, 0)),
        ("08:30-08:30", Quiet(510, 510)),
    ],
)
def test_quiet_hours_are_read(text, quiet):
    assert parse_quiet(text) == quiet


@pytest.mark.parametrize(
    "text",
    ["22-8", "22:00", "24:00-08:00", "22:60-08:00", "22:00-8:00", " 22:00-08:00", "22:00-08:00\n"],
)
def test_what_are_no_quiet_hours_is_told(text):
    with pytest.raises(ValueError, match="quiet hours look like"):
        parse_quiet(text)


@pytest.mark.parametrize(
    ("quiet", "time", "expected"),
    [
        ("22:00-08:00", 22 * HOUR, True),
        ("22:00-08:00", 22 * HOUR - 1, False),
        ("22:00-08:00", 0, True),
        ("22:00-08:00", 8 * HOUR - 1, True),
        ("22:00-08:00", 8 * HOUR, False),
        ("01:00-06:00", 0, False),
        ("01:00-06:00", HOUR, True),
        ("01:00-06:00", 6 * HOUR, False),
        ("", 0, False),
        ("08:00-08:00", 8 * HOUR, False),
    ],
)
def test_when_it_is_quiet(quiet, time, expected):
    assert is_quiet(20_000 * DAY + time, parse_quiet(quiet)) is expected


@pytest.mark.parametrize(
    ("offset", "minutes"),
    [(0, 0), (480, 480), (-300, -300), (840, 840), (841, 0), ("60", 0), (None, 0), (True, 0)],
)
def test_a_users_time_is_utc_unless_the_claim_says_how_far_off(offset, minutes):
    assert local_time(NOON, offset) == NOON + minutes * 60_000


def test_a_users_day_begins_at_their_midnight():
    assert day_of(local_time(NIGHT, 60)) == 20_001
    assert day_of(local_time(NIGHT, 59)) == 20_000


@pytest.mark.parametrize(
    ("local", "quiet", "hours"), [(NIGHT, QUIET, 9), (NOON, QUIET, 12), (NOON, Quiet(0, 0), 12)]
)
def test_what_waits_is_looked_at_again_when_it_may_be_shown(local, quiet, hours):
    assert look_again_in(local, quiet) == hours * HOUR


@given(st.integers(0, 10**13), st.integers(0, 1439), st.integers(0, 1439))
def test_waiting_so_long_ends_the_quiet_or_the_day(local, start, end):
    quiet = Quiet(start, end)
    after = local + look_again_in(local, quiet)
    assert after > local
    assert not is_quiet(after, quiet) if is_quiet(local, quiet) else day_of(after) > day_of(local)


def test_by_day_all_is_shown_by_priority():
    found = plan([one(2)], [one(4, "low"), one(5), one(7, "urgent")], 9, NOON, Calm(QUIET), 0)
    assert (shown(found), found.deferred, found.upto) == ([7, 2, 5, 4], (), 9)


def test_in_quiet_hours_only_what_is_urgent():
    found = plan([one(2)], [one(4, "low"), one(5), one(7, "urgent")], 9, NIGHT, Calm(QUIET), 0)
    assert (shown(found), found.deferred) == ([7], (4, 5))


@pytest.mark.parametrize(("today", "expected"), [(0, [7, 2, 5]), (1, [7, 2]), (2, [7]), (3, [7])])
def test_urgent_ones_pass_the_cap_and_do_not_use_it_up(today, expected):
    coming = [one(4, "low"), one(5), one(7, "urgent")]
    assert shown(plan([one(2)], coming, 9, NOON, Calm(QUIET, 2), today)) == expected


def test_what_is_over_is_dropped_and_never_shown():
    found = plan([one(1, over=True), one(2)], [one(4, over=True)], 9, NOON, Calm(), 0)
    assert found == Plan(9, ((2, 2, "normal"),), (), (1,))


def test_one_touch_is_bounded_and_the_rest_waits():
    coming = [one(entry, "urgent") for entry in range(1, 151)]
    found = plan([], coming, 200, NOON, Calm(), 0)
    assert (shown(found), found.upto) == ([*range(1, MAX_TOUCHES + 1)], 200)
    assert found.deferred == tuple(range(MAX_TOUCHES + 1, 151))


def test_what_finds_no_room_to_wait_stays_beyond_the_cursor():
    waiting = [one(entry) for entry in range(1, MAX_DEFERRED - 1)]
    coming = [one(entry) for entry in range(2_000, 2_010)]
    found = plan(waiting, coming, 3_000, NIGHT, Calm(QUIET), 0)
    assert (found.upto, found.deferred) == (2_001, (2_000, 2_001))


candidates = st.lists(
    st.builds(one, st.integers(1, 60), st.sampled_from(("low", "normal", "urgent")), st.booleans()),
    unique_by=lambda candidate: candidate.entry,
    max_size=20,
)


@given(candidates, st.integers(0, 60), st.integers(0, DAY), st.integers(0, 4), st.integers(0, 6))
def test_every_publish_is_shown_or_waits_or_is_over(found, read, time, cap, today):
    waiting = [one for one in found if one.entry <= read]
    coming = sorted((one for one in found if one.entry > read), key=lambda one: one.entry)
    result = plan(waiting, coming, 60, time, Calm(QUIET, cap), today)
    live = {one.entry for one in found if not one.over}
    still = {one.entry for one in waiting} - set(shown(result)) - set(result.dropped)
    assert still | set(shown(result)) | set(result.deferred) == live
    assert not set(shown(result)) & (still | set(result.deferred))
    calm = [priority for _, _, priority in result.touched if priority != "urgent"]
    assert len(calm) <= (0 if is_quiet(time, QUIET) else max(0, cap - today))
    urgent = {one.entry for one in found if one.priority == "urgent" and not one.over}
    assert urgent <= set(shown(result))
