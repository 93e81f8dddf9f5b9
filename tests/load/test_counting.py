"""What a listener lost, got twice or out of order is counted exactly."""

import asyncio
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from load.member import Member
from load.plan import Plan
from load.tally import Tally
from readcast import Unanswered
from readcast.client import Receipt

HEAD = 12
PLAN = Plan("ws://127.0.0.1:1/ws", "", "r", (2,))


def heard(seqs: list[int], ids: list[str] | None = None) -> Tally:
    """The counts of a listener whose group has HEAD messages, after these have come."""
    tally = Tally()
    member = Member(PLAN, 0, lambda: tally)
    member._begin = 0
    for place, seq in enumerate(seqs):
        message = {"op": "message", "seq": seq, "body": {"at": 0}}
        member._take({**message, "id": ids[place] if ids else str(seq)})
    assert member.has(HEAD) == (set(seqs) == set(range(1, HEAD + 1)))
    member.conclude(HEAD)
    return tally


@given(st.lists(st.integers(1, HEAD), max_size=40))
def test_against_a_naive_count(seqs: list[int]):
    tally = heard(seqs)
    first = [seq for place, seq in enumerate(seqs) if seq not in seqs[:place]]
    late = [seq for place, seq in enumerate(first) if any(seq < one for one in first[:place])]
    assert tally.delivered == len(seqs)
    assert tally.lost == HEAD - len(set(seqs))
    assert tally.doubled == sum(count - 1 for count in Counter(seqs).values())
    assert tally.disordered == len(late)


def test_all_in_order_is_no_fault():
    tally = heard(list(range(1, HEAD + 1)))
    assert not any(tally.faults.values())


def test_one_message_under_two_seqs_is_stored_twice():
    ids = [str(seq) for seq in range(1, HEAD)] + ["1"]
    assert heard(list(range(1, HEAD + 1)), ids).faults["stored twice"] == 1


def test_a_receipt_for_what_is_not_stored_is_a_fault():
    tally = heard(list(range(1, HEAD + 1)))
    tally.acknowledged = HEAD + 1
    assert tally.faults["acknowledged, not stored"] == 1


def test_parts_add_up():
    whole = Tally(sent=1, failed={"a": 1}, back={3: 1})
    whole.merge(Tally(sent=2, failed={"a": 2, "b": 1}, back={4: 1}))
    assert (whole.sent, whole.failed, whole.back) == (3, {"a": 3, "b": 1}, {3: 1, 4: 1})


class Gateway:
    """Stores and answers as the test says; a message is (id, seq or None)."""

    def __init__(self, member: Member, stores: bool, answers: bool) -> None:
        self.member, self.stores, self.answers, self.head = member, stores, answers, 0

    async def send(self, mailbox: str, body: Any) -> Receipt:
        seq = self.head + 1
        receipt = Receipt(mailbox, f"{mailbox}/{seq}", seq, 0, False)
        if self.stores:
            self.head = seq
            event = {"op": "message", "mailbox": mailbox, "seq": seq, "id": receipt.id}
            self.member._take({**event, "from": "r-0", "body": body})
        if not self.answers:
            raise Unanswered("send")
        return receipt


def test_a_receipt_for_what_is_not_stored_is_a_fault_whatever_else_is_stored():
    tally = Tally()
    for number, (stores, answers) in enumerate([(True, False), (False, True)]):
        member = Member(PLAN, number, lambda: tally)
        member._begin = 0
        gateway = Gateway(member, stores, answers)
        member.client.send = gateway.send
        asyncio.run(member.speak(0))
        member.conclude(gateway.head)
    assert (tally.sent, tally.acknowledged, tally.stored) == (2, 1, 1)
    assert tally.faults["acknowledged, not stored"] == 1
