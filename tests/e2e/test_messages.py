"""Messages: sent once, delivered in order, found again, taken back."""

import asyncio

import pytest

from tests.e2e.client import seqs
from tests.e2e.conftest import Connect, Party
from tests.processes import Gateway, System
from tests.records import FAST, new_id, unique
from tests.waiting import soon

pytestmark = pytest.mark.both_wires

BODIES = [
    None,
    True,
    0,
    -1.5,
    "",
    "text",
    'zażółć 你好 🦉 \u2028 \x00 \\ "',
    [],
    {},
    [1, [2, [3, {"deep": None}]]],
    {"text": "hi", "op": "error", "ref": 1, "seq": 99},
    "x" * 60_000,
]


async def test_a_message_reaches_every_member_and_its_sender(party: Party):
    group, alice, bob = await party("alice", "bob")
    sent = await alice.send(group, {"text": "hi"}, id=(message_id := new_id()))
    assert sent["op"] == "sent"
    assert (sent["mailbox"], sent["id"], sent["seq"]) == (group, message_id, 1)
    assert not sent["duplicate"]
    for client in (alice, bob):
        message = await client.message(group, 1)
        assert message["id"] == message_id
        assert message["from"] == alice.user
        assert message["ts"] == sent["ts"]
        assert message["body"] == {"text": "hi"}


@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body)[:20])
async def test_any_json_is_a_body(party: Party, body: object):
    group, alice, bob = await party("alice", "bob")
    await alice.send(group, body)
    assert (await bob.message(group, 1))["body"] == body
    history = await bob.request("history", mailbox=group, after=0)
    assert [message["body"] for message in history["messages"]] == [body]


async def test_seqs_are_dense_and_the_same_for_all(party: Party):
    group, alice, bob = await party("alice", "bob", **FAST)
    refs = [
        await client.post("send", mailbox=group, id=new_id(), body=number)
        for number in range(25)
        for client in (alice, bob)
    ]
    del refs
    await alice.message(group, 50)
    await bob.message(group, 50)
    assert alice.seqs(group) == bob.seqs(group) == list(range(1, 51))
    assert alice.delivered("message", group) == bob.delivered("message", group)


async def test_messages_of_one_session_keep_their_order(party: Party):
    group, alice, bob = await party("alice", "bob", **FAST)
    for number in range(50):
        await alice.post("send", mailbox=group, id=new_id(), body=number)
    await bob.message(group, 50)
    assert [event["body"] for event in bob.delivered("message", group)] == list(range(50))


async def test_a_retry_is_a_duplicate_and_shown_once(party: Party):
    group, alice, bob = await party("alice", "bob")
    first = await alice.send(group, "once", id=(message_id := new_id()))
    again = await alice.send(group, "once", id=message_id)
    assert again["duplicate"] is True
    assert (again["seq"], again["ts"]) == (first["seq"], first["ts"])
    await alice.send(group, "next")
    await bob.message(group, 2)
    assert bob.seqs(group) == [1, 2]


async def test_a_retry_on_another_gateway_is_a_duplicate(
    party: Party, connect: Connect, second: Gateway
):
    group, alice = await party("alice")
    first = await alice.send(group, "once", id=(message_id := new_id()))
    elsewhere = await connect(alice.user, url=second.ws)
    again = await elsewhere.send(group, "once", id=message_id)
    assert (again["seq"], again["duplicate"]) == (first["seq"], True)


async def test_the_same_send_twice_at_once_gets_two_answers_and_one_seq(party: Party):
    group, alice = await party("alice")
    message_id = new_id()
    refs = [await alice.post("send", mailbox=group, id=message_id, body="once") for _ in range(5)]
    answers = [await alice.answer(ref) for ref in refs]
    assert {answer["seq"] for answer in answers} == {1}
    assert (await alice.send(group, "next"))["seq"] == 2


async def test_an_id_with_another_body_or_sender_is_a_conflict(party: Party):
    group, alice, bob = await party("alice", "bob")
    message_id = new_id()
    await alice.send(group, "mine", id=message_id)
    changed = {"mailbox": group, "id": message_id, "body": "changed"}
    assert await alice.refusal("send", **changed) == "conflict"
    stolen = {"mailbox": group, "id": message_id, "body": "mine"}
    assert await bob.refusal("send", **stolen) == "conflict"
    assert (await bob.send(group, "next"))["seq"] == 2


async def test_the_same_id_in_two_groups_is_two_messages(connect: Connect):
    alice = await connect(unique("alice"))
    message_id = new_id()
    for group in (unique("group:a"), unique("group:b")):
        await alice.request("create", mailbox=group, policy={})
        sent = await alice.send(group, "x", id=message_id)
        assert (sent["seq"], sent["duplicate"]) == (1, False)


async def test_strangers_and_unknown_groups_are_refused(party: Party, connect: Connect):
    group, _ = await party("alice")
    mallory = await connect(unique("mallory"))
    send = {"id": new_id(), "body": "x"}
    assert await mallory.refusal("send", mailbox=group, **send) == "not_member"
    nowhere = unique("group:none")
    assert await mallory.refusal("send", mailbox=nowhere, **send) == "not_found"
    assert await mallory.refusal("history", mailbox=nowhere, after=0) == "not_found"
    assert await mallory.refusal("watch", mailbox=group, mode="live") == "not_member"


async def test_history_is_read_in_both_directions(party: Party):
    group, alice, bob = await party("alice", "bob")
    for number in range(1, 11):
        await alice.send(group, number)

    forward, after = [], 0
    while True:
        page = await bob.request("history", mailbox=group, after=after, limit=4)
        assert page["head"] == 10
        forward += seqs(page)
        if not page["more"]:
            break
        after = forward[-1]
    assert forward == list(range(1, 11))

    backward, before = [], 11
    while True:
        page = await bob.request("history", mailbox=group, before=before, limit=4)
        backward = seqs(page) + backward
        if not page["more"]:
            break
        before = backward[0]
    assert backward == list(range(1, 11))


async def test_history_without_a_place_is_the_newest(party: Party):
    group, alice = await party("alice")
    for number in range(1, 8):
        await alice.send(group, number)
    page = await alice.request("history", mailbox=group, limit=3)
    assert seqs(page) == [5, 6, 7]
    assert page["more"] is True


async def test_history_equals_what_was_delivered(party: Party):
    group, alice, bob = await party("alice", "bob")
    for body in BODIES[:8]:
        await alice.send(group, body)
    await bob.message(group, 8)
    history = await bob.request("history", mailbox=group, after=0)
    delivered = bob.delivered("message", group)
    for message, event in zip(history["messages"], delivered, strict=True):
        assert message == {name: event[name] for name in message}


async def test_history_stays_whole_above_a_megabyte(party: Party):
    group, alice, bob = await party("alice", "bob", **FAST)
    for number in range(30):
        await alice.post("send", mailbox=group, id=new_id(), body=f"{number}" + "x" * 60_000)
    await bob.message(group, 30)
    found, after = [], 0
    while True:
        page = await bob.request("history", mailbox=group, after=after, limit=1000)
        found += seqs(page)
        if not page["more"]:
            break
        after = found[-1]
    assert found == list(range(1, 31))


async def test_the_sender_takes_a_message_back(party: Party, connect: Connect):
    group, alice, bob = await party("alice", "bob")
    await alice.send(group, "oops")
    await alice.send(group, "fine")
    taken = await alice.request("recall", mailbox=group, seq=1)
    assert (taken["op"], taken["seq"], taken["by"]) == ("recalled", 1, alice.user)
    told = await bob.expect("recalled", mailbox=group)
    assert (told["seq"], told["by"]) == (1, alice.user)
    first, last = (await bob.request("history", mailbox=group, after=0))["messages"]
    assert first["recalled"] is True
    assert "body" not in first
    assert last["body"] == "fine"
    late = await connect(bob.user)
    assert (await late.sync())[group]["head"] == 2


async def test_others_may_not_take_it_back_but_admins_may(party: Party):
    group, alice, bob, carol = await party("alice", "bob", "carol")
    await bob.send(group, "mine")
    assert await carol.refusal("recall", mailbox=group, seq=1) == "forbidden"
    assert (await alice.request("recall", mailbox=group, seq=1))["by"] == alice.user
    await bob.expect("recalled", mailbox=group, seq=1)


async def test_nothing_to_take_back(party: Party):
    group, alice = await party("alice")
    assert await alice.refusal("recall", mailbox=group, seq=5) == "not_found"


async def test_a_retry_does_not_bring_a_recalled_message_back(party: Party):
    group, alice = await party("alice")
    await alice.send(group, "oops", id=(message_id := new_id()))
    await alice.request("recall", mailbox=group, seq=1)
    await alice.post("send", mailbox=group, id=message_id, body="oops")
    assert (await alice.send(group, "next"))["seq"] == 2
    history = await alice.request("history", mailbox=group, after=0)
    assert [message.get("body") for message in history["messages"]] == [None, "next"]


async def test_every_device_gets_every_message(party: Party, connect: Connect, second: Gateway):
    group, alice, bob = await party("alice", "bob")
    other = await connect(bob.user, url=second.ws)
    await other.sync()
    for number in range(1, 6):
        await alice.send(group, number)
    for device in (bob, other):
        await device.message(group, 5)
        assert device.seqs(group) == [1, 2, 3, 4, 5]


async def test_a_direct_chat_needs_no_making(connect: Connect):
    alice, bob = await connect(unique("a")), await connect(unique("b"))
    for client in (alice, bob):
        await client.sync()
    chat = f"direct:{alice.user}~{bob.user}"
    assert (await alice.send(chat, "psst"))["seq"] == 1
    assert (await bob.message(chat, 1))["from"] == alice.user
    assert (await bob.send(chat, "what?"))["seq"] == 2
    assert (await alice.message(chat, 2))["body"] == "what?"
    assert alice.seqs(chat) == bob.seqs(chat) == [1, 2]
    assert (await bob.sync())[chat]["head"] == 2


async def test_a_direct_chat_is_closed_to_others(connect: Connect):
    alice, bob = await connect(unique("a")), await connect(unique("b"))
    mallory = await connect(unique("mallory"))
    chat = f"direct:{alice.user}~{bob.user}"
    await alice.send(chat, "psst")
    send = {"mailbox": chat, "id": new_id(), "body": "x"}
    assert await mallory.refusal("send", **send) in ("not_member", "forbidden")
    assert await mallory.refusal("history", mailbox=chat, after=0) in ("not_member", "forbidden")
    assert await mallory.refusal("watch", mailbox=chat, mode="live") in ("not_member", "forbidden")
    assert await mallory.refusal("join", mailbox=chat) in ("not_member", "forbidden", "bad_request")


async def test_the_names_of_a_direct_chat_stand_in_order(connect: Connect):
    bob = await connect(unique("b"))
    wrong = {"mailbox": f"direct:{bob.user}~a", "id": new_id(), "body": "x"}
    assert await bob.refusal("send", **wrong) == "bad_request"


async def test_a_trusted_producer_writes_to_a_users_own_mailbox(stack: System, connect: Connect):
    bob, mallory = await connect(unique("bob")), await connect(unique("mallory"))
    await bob.sync()
    own = f"user:{bob.user}"
    stack.kafka.send(notice(own, "your parcel is here"))
    assert (await bob.message(own, 1))["body"] == "your parcel is here"
    entry = (await bob.sync())[own]
    assert (entry["head"], entry["unread"]) == (1, 1)
    cursor = await bob.request("read", mailbox=own, seq=1)
    assert cursor["unread"] == 0

    for client in (bob, mallory):
        send = {"mailbox": own, "id": new_id(), "body": "x"}
        assert await client.refusal("send", **send) in ("forbidden", "not_member")
    assert await mallory.refusal("history", mailbox=own, after=0) in ("forbidden", "not_member")


async def test_a_notice_to_somebody_away_waits(stack: System, connect: Connect):
    bob = unique("bob")
    own = f"user:{bob}"
    commands = [notice(own, number) for number in range(3)]
    await asyncio.to_thread(stack.kafka.send_all, commands)
    stack.kafka.ask({"type": "query", "mailbox": own, "by": bob, "what": "facts"})
    client = await connect(bob)

    async def seen() -> bool:
        return (await client.sync()).get(own, {}).get("unread") == 3

    await soon(seen, "three notices")
    history = await client.request("history", mailbox=own, after=0)
    assert [message["body"] for message in history["messages"]] == [0, 1, 2]


def notice(mailbox: str, body: object) -> dict[str, object]:
    return {"type": "send", "mailbox": mailbox, "by": "system", "id": new_id(), "body": body}
