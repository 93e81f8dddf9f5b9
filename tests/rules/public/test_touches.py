"""Touching and opening, and what is counted of it."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.commands import MAX_DEFERRED
from streams.errors import Refused
from streams.users import layout, touches
from tests.rules.public.commands import DAY, NEWS, opened
from tests.rules.public.cursors import Cursors

NOW = 20_000 * DAY


@pytest.fixture
def cursors():
    return Cursors()


def touch(user, upto, *touched, **fields):
    command = {"type": "touch", "user": user, "by": user, "mailbox": NEWS, "upto": upto}
    items = [[*one, "normal"] if len(one) == 2 else one for one in touched]
    return command | {"day": NOW // DAY, "touched": items} | fields


def code(cursors, command, now=NOW):
    with pytest.raises(Refused) as refused:
        cursors.do(command, now)
    return str(refused.value.code)


def test_a_touch_moves_on_and_counts(cursors):
    result = cursors.do(touch("ann", 5, (1, 1), (2, 4, "urgent")), NOW)
    assert result == {"mailbox": NEWS, "read": 5, "touched": (1, 2)}
    cursor = cursors.cursor("ann", NEWS)
    assert (cursor.read, cursor.day, cursor.today) == (5, 20_000, 1)
    assert cursor.counts == {1: (1, 0), 2: (1, 0)}


def test_what_the_cursor_has_passed_is_not_touched_again(cursors):
    cursors.do(touch("ann", 5, (1, 1)), NOW)
    again = cursors.do(touch("ann", 5, (1, 1), (2, 4)), NOW)
    assert again["touched"] == ()
    assert cursors.do(touch("ann", 3), NOW)["read"] == 5
    assert cursors.totals.of(NEWS, 1) == (1, 0)
    assert cursors.cursor("ann", NEWS).touched == (1,)


def test_what_is_deferred_is_touched_later_and_once(cursors):
    cursors.do(touch("ann", 5, (4, 4, "urgent"), deferred=[1, 3]), NOW)
    assert cursors.cursor("ann", NEWS).deferred == (1, 3)
    assert cursors.do(touch("ann", 5, (2, 3)), NOW)["touched"] == (2,)
    assert cursors.do(touch("ann", 5, (2, 3), deferred=[3]), NOW)["touched"] == ()
    assert cursors.cursor("ann", NEWS).deferred == (1,)


def test_a_device_that_is_behind_does_not_defer_what_was_shown(cursors):
    cursors.do(touch("ann", 5, (1, 1)), NOW)
    cursors.do(touch("ann", 6, deferred=[1, 6]), NOW)
    assert cursors.cursor("ann", NEWS).deferred == (6,)


def test_what_is_dropped_waits_no_longer(cursors):
    cursors.do(touch("ann", 5, deferred=[1, 3]), NOW)
    cursors.do(touch("ann", 5, dropped=[1, 4]), NOW)
    assert cursors.cursor("ann", NEWS).deferred == (3,)
    assert cursors.do(touch("ann", 5, (1, 1)), NOW)["touched"] == ()


def test_no_more_can_wait_than_the_row_may_hold(cursors):
    cursors.do(touch("ann", MAX_DEFERRED, deferred=[*range(1, MAX_DEFERRED + 1)]), NOW)
    one_more = touch("ann", MAX_DEFERRED + 1, deferred=[MAX_DEFERRED + 1])
    assert code(cursors, one_more) == "conflict"
    assert cursors.do(one_more | {"dropped": [7]}, NOW)["read"] == MAX_DEFERRED + 1


def test_the_days_touches_are_counted_anew_each_day(cursors):
    cursors.do(touch("ann", 2, (1, 1), (2, 2)), NOW)
    cursors.do(touch("ann", 3, (3, 3)), NOW)
    assert cursors.cursor("ann", NEWS).today == 3
    cursors.do(touch("ann", 4, (4, 4), day=20_001), NOW)
    assert (cursors.cursor("ann", NEWS).day, cursors.cursor("ann", NEWS).today) == (20_001, 1)
    cursors.do(touch("ann", 5, (5, 5), day=20_000), NOW)
    assert (cursors.cursor("ann", NEWS).day, cursors.cursor("ann", NEWS).today) == (20_001, 2)


def test_without_a_day_it_is_that_of_utc(cursors):
    cursors.do(touch("ann", 2, (1, 1), day=None), NOW + DAY - 1)
    assert (cursors.cursor("ann", NEWS).day, cursors.cursor("ann", NEWS).today) == (20_000, 1)


@pytest.mark.parametrize(
    "bad",
    [
        touch("ann", 5, (6, 6)),
        touch("ann", 5, (4, 3)),
        touch("ann", 5, deferred=[6]),
        touch("ann", 5, (1, 1), (1, 2)),
        touch("ann", 5, (1, 2), (2, 2)),
        touch("ann", 5, day=19_998),
        touch("ann", 5, day=20_002),
        opened("ann", 1),
    ],
)
def test_what_can_not_be_is_refused(cursors, bad):
    assert code(cursors, bad) == "bad_request"
    assert cursors.cursor("ann", NEWS).read == 0


@pytest.mark.parametrize(
    "other",
    [
        touch("ann", 5, (1, 1)) | {"by": "bob"},
        opened("ann", 1) | {"by": "bob"},
        {"type": "read", "user": "ann", "by": "ann", "mailbox": NEWS, "seq": 3},
        {"type": "unread", "user": "ann", "by": "ann", "mailbox": NEWS, "seq": 0},
        {"type": "subscribed", "user": "ann", "by": "system", "mailbox": NEWS, "src": 1},
    ],
)
def test_nothing_and_nobody_else_moves_the_cursor(cursors, other):
    cursors.do(touch("ann", 5, (1, 1)), NOW)
    assert code(cursors, other) == "forbidden"
    assert cursors.cursor("ann", NEWS).read == 5


def test_an_opening_counts_once_for_each_user(cursors):
    for user in ("ann", "bob"):
        cursors.do(touch(user, 5, (1, 1)), NOW)
        for _ in range(2):
            assert cursors.do(opened(user, 1), NOW) == {"mailbox": NEWS, "read": 5}
    assert cursors.totals.of(NEWS, 1) == (2, 2)
    assert cursors.cursor("ann", NEWS).opened == (1,)


def test_a_further_stage_is_counted_by_its_entry(cursors):
    cursors.do(touch("ann", 5, (1, 1), (2, 4)), NOW)
    cursors.do(touch("bob", 5, (1, 3), (2, 4)), NOW)
    cursors.do(opened("bob", 1) | {"entry": 3}, NOW)
    cursors.do(opened("ann", 1) | {"entry": 1}, NOW)
    assert cursors.totals.of(NEWS, 1) == (2, 2)
    assert cursors.totals.stage(NEWS, 3) == (1, 1)
    assert cursors.totals.stage(NEWS, 4) == (2, 0)
    assert cursors.cursor("bob", NEWS).stages == {3: (1, 1), 4: (2, 0)}
    assert cursors.cursor("ann", NEWS).stages == {}
    assert cursors.cursor("ann", NEWS).counts == {1: (2, 2)}
    for entry in (6, 1):
        command = opened("bob", 2) | {"entry": entry}
        assert code(cursors, command) == "bad_request"


def test_a_stage_is_forgotten_when_it_is_long_ago(cursors):
    cursors.do(touch("ann", 3, (1, 2), (3, 3)), NOW)
    cursors.do(touch("bob", 3, (1, 2)), NOW)
    assert cursors.totals.stage(NEWS, 2) == (2, 0)
    last = 2 + layout.COUNTED
    cursors.do(touch("bob", last, (last, last)), NOW)
    assert cursors.cursor("bob", NEWS).stages == {}
    assert cursors.totals.stage(NEWS, 2) == (0, 0)
    assert cursors.totals.of(NEWS, 3) == (1, 0)


def test_a_row_carries_the_totals_that_are_still_the_latest(cursors):
    cursors.do(touch("ann", 2, (1, 1), (2, 2)), NOW)
    cursors.do(touch("bob", 2, (1, 1)), NOW)
    cursors.do(touch("ann", 3, (3, 3)), NOW)
    assert cursors.cursor("bob", NEWS).counts == {1: (2, 0)}
    assert cursors.cursor("ann", NEWS).counts == {2: (1, 0), 3: (1, 0)}


def test_a_publish_that_is_long_over_is_counted_no_more(cursors):
    cursors.do(touch("ann", 2, (1, 1), (2, 2)), NOW)
    cursors.do(opened("ann", 2), NOW)
    last = 1 + layout.COUNTED
    cursors.do(touch("ann", last, (last, last)), NOW)
    assert cursors.cursor("ann", NEWS).counts == {2: (1, 1), last: (1, 0)}
    assert cursors.cursor("ann", NEWS).opened == (2,)
    cursors.do(touch("bob", last, (1, 1), (2, 2)), NOW)
    cursors.do(opened("bob", 1), NOW)
    assert cursors.totals.of(NEWS, 1) == (0, 0)
    assert cursors.totals.of(NEWS, 2) == (2, 1)
    cursors.do(touch("bob", 5_000, (5_000, 5_000)), NOW)
    assert cursors.cursor("bob", NEWS).counts == {5_000: (1, 0)}
    assert cursors.cursor("bob", NEWS).opened == ()


@settings(max_examples=200)
@given(st.integers(0, 2**32), st.integers(1, 60))
def test_with_a_narrow_window_the_counts_of_those_in_it_are_exact(seed, length):
    random, cursors, model, heads = Random(seed), Cursors(), {}, {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "COUNTED", 4)
        patch.setattr(touches, "COUNTED", 4)
        for _ in range(length):
            user = random.choice(("ann", "bob", "cid"))
            head = heads.get(user, 0)
            if head and random.random() < 0.3:
                publish = random.randint(1, head)
                if publish > max(model, default=0) - 4:
                    model.setdefault(publish, (set(), set()))[1].add(user)
                cursors.do(opened(user, publish), NOW)
            else:
                publishes = random.sample(range(head + 1, head + 4), random.randint(1, 2))
                heads[user] = head + 3
                newest = max(*publishes, *model, 0)
                for publish in publishes:
                    if publish > newest - 4:
                        model.setdefault(publish, (set(), set()))[0].add(user)
                cursors.do(touch(user, head + 3, *((one, one) for one in publishes)), NOW)
            newest = max(model, default=0)
            model = {publish: found for publish, found in model.items() if publish > newest - 4}
            for publish in range(1, newest + 1):
                touched, opening = model.get(publish, ((), ()))
                assert cursors.totals.of(NEWS, publish) == (len(touched), len(opening))
            assert all(len(cursors.cursor(one, NEWS).counts) <= 4 for one in heads)


def test_an_opening_of_the_newest_keeps_the_row_within_its_bound(cursors):
    last = 1 + layout.COUNTED
    cursors.do(touch("ann", last, (1, 1)), NOW)
    cursors.do(opened("ann", last), NOW)
    assert cursors.cursor("ann", NEWS).counts == {last: (0, 1)}
