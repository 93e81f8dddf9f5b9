from hypothesis import given
from hypothesis import strategies as st

from gateway.ring import Budget, Ring
from tests.gateway.fakes import JSON, events_of, ring


def event(number: int, size: int = 10) -> bytes:
    return b'"%0*d"' % (size - 2, number)


def test_a_reader_at_the_end_has_nothing_to_get():
    made = ring(head=7)
    assert made.since(made.end, 1_000).events == []


def test_events_come_in_order_from_any_place():
    made = ring()
    for seq in range(1, 6):
        made.append(event(seq), seq)
    part = made.since(2, 1_000)
    assert part.events == [event(3), event(4), event(5)]
    assert (part.place, part.head) == (5, 5)


def test_readers_at_one_place_share_one_frame():
    made = ring()
    made.append(b'{"op":"message"}', 1)
    assert made.since(0, 1_000).frames(JSON)[0] is made.since(0, 1_000).frames(JSON)[0]
    assert events_of(made.since(0, 1_000).frames(JSON)[0]) == [{"op": "message"}]


def test_a_shared_frame_holds_what_was_appended_since():
    made = ring()
    made.append(b"1", 1)
    assert made.since(0, 1_000).frames(JSON)[0].endswith(b"[1]")
    made.append(b"2", 2)
    assert made.since(0, 1_000).frames(JSON)[0].endswith(b"[1,2]")


def test_a_write_is_cut_at_its_limit_but_holds_one_event_at_least():
    made = ring()
    for seq in range(1, 6):
        made.append(event(seq, 100), seq)
    assert len(made.since(0, 250).events) == 2
    assert made.since(0, 250).head == 2
    made.unshare()
    assert len(made.since(0, 10).events) == 1


def test_the_oldest_leave_when_there_are_too_many():
    made = ring(events=3)
    for seq in range(1, 6):
        made.append(event(seq), seq)
    assert (made.first, made.base, made.head, len(made)) == (2, 2, 5, 3)


def test_the_oldest_leave_when_they_are_too_heavy():
    made = ring(size=100)
    for seq in range(1, 6):
        made.append(event(seq, 40), seq)
    assert len(made) == 2
    assert made.base == 3


def test_one_event_larger_than_the_ring_is_kept():
    made = ring(size=10)
    made.append(event(1, 100), 1)
    assert made.since(0, 10).events == [event(1, 100)]


def test_rings_share_a_budget_and_give_it_back():
    budget = Budget(100)
    one, other = Ring(1_000, 1_000, budget), Ring(1_000, 1_000, budget)
    for seq in range(1, 10):
        one.append(event(seq, 40), seq)
        other.append(event(seq, 40), seq)
    assert budget.used <= 2 * 40 + 100
    one.close()
    other.reset(9)
    assert budget.used == 0


def test_a_reset_puts_every_reader_out():
    made = ring()
    made.append(event(1), 1)
    end = made.end
    made.reset(9)
    assert end < made.first == made.end
    assert (made.base, made.head) == (9, 9)


def test_a_ring_that_starts_late_does_not_cover_recalls_before_it():
    made = ring(head=7)
    assert not made.covers(7)
    made.append(event(8), 8)
    assert made.covers(8)
    assert not made.covers(7)


def test_a_ring_from_the_first_message_covers_everything():
    assert ring(head=0).covers(0)


def test_a_reader_at_an_old_head_gets_the_recalls_since():
    made = ring()
    made.append(event(1), 1)
    made.append(b'"recalled"', 1)
    made.append(event(2), 2)
    assert made.covers(1)
    assert made.rest(made.place_after(1)) == [b'"recalled"', event(2)]


def test_recalls_that_left_the_ring_are_not_covered():
    made = ring(events=2)
    made.append(event(1), 1)
    made.append(b'"recalled"', 1)
    made.append(event(2), 2)
    assert made.covers(1)
    made.append(event(3), 3)
    assert not made.covers(1)
    assert made.covers(2)


def test_a_replaced_message_is_what_readers_get_from_then_on():
    budget = Budget(1_000)
    made = Ring(10, 1_000, budget, head=4)
    for seq in (5, 6, 7):
        made.append(event(seq), seq)
    assert made.since(made.first, 1_000).frames(JSON)
    made.replace(6, b'"-"')
    made.replace(4, b'"not here"')
    assert made.since(made.first, 1_000).events == [event(5), b'"-"', event(7)]
    assert budget.used == 23


@given(
    limit=st.integers(1, 8),
    start=st.integers(0, 5),
    kinds=st.lists(st.booleans(), max_size=30),
)
def test_a_covered_seq_gets_exactly_what_came_after_it(limit, start, kinds):
    """Against a list that forgets nothing: True is a message, False a recall."""
    made = ring(events=limit, head=start)
    everything = []
    for number, is_message in enumerate(kinds):
        head = made.head + is_message
        made.append(event(number), head)
        everything.append((event(number), head, is_message))
    for seq in range(start, made.head + 1):
        after, reached = [], seq == start
        for data, head, is_message in everything:
            if reached:
                after.append(data)
            reached = reached or (is_message and head == seq)
        if made.covers(seq):
            assert made.rest(made.place_after(seq)) == after
        elif start == 0:
            assert len(after) > limit, "only what has left the ring isn't covered"


def test_rings_that_stand_still_give_their_events_up_first():
    budget = Budget(100)
    idle, busy = Ring(1_000, 1_000, budget), Ring(1_000, 1_000, budget)
    for head in (1, 2):
        idle.append(b"x" * 40, head)
    for head in (1, 2):
        busy.append(b"y" * 40, head)
    assert (len(idle), len(busy), budget.used) == (0, 2, 80)
    assert (idle.first, idle.end, idle.head) == (2, 2, 2)
    assert idle.covers(2)
    assert not idle.covers(1)
    idle.append(b"z", 3)
    assert idle.since(2, 1_000).events == [b"z"]


def test_all_rings_together_hold_no_more_than_the_budget_and_one_event():
    budget = Budget(100)
    rings = [Ring(1_000, 1_000, budget) for _ in range(50)]
    for head in (1, 2, 3):
        for one in rings:
            one.append(b"x" * 30, head)
            assert budget.used <= 100
    rings[0].append(b"x" * 500, 4)
    assert (budget.used, len(rings[0])) == (500, 1)
    for one in rings:
        one.close()
    assert budget.used == 0
