"""Groups, direct chats, the private and the public mailbox as one list in the order of time."""

from typing import Any

import pytest

from tests.e2e.client import Client, Event
from tests.e2e.conftest import Connect, Party
from tests.processes import Gateway, System
from tests.records import new_id, unique

pytestmark = pytest.mark.both_wires


async def mixed(
    stack: System, party: Party, operate: Connect
) -> tuple[Client, Client, dict[str, str]]:
    """alice, bob, and alice's mailboxes by kind, with three messages to her in each."""
    group, bob, alice = await party("bob", "alice")
    names = {
        "group": group,
        "direct": "direct:{}~{}".format(*sorted((alice.user, bob.user))),
        "user": f"user:{alice.user}",
        "public": unique("public:news"),
    }
    olga = await operate()
    release = {"percent": 0, "users": [alice.user]}
    for number in range(3):
        await bob.send(group, number)
        await bob.send(names["direct"], number)
        private = {"type": "send", "mailbox": names["user"], "by": "system", "id": new_id()}
        stack.kafka.send(private | {"body": number})
        content = {"title": f"Number {number}", "body": number, "release": release}
        receipt = await olga.request("publish", mailbox=names["public"], id=new_id(), **content)
        await alice.expect("notice", mailbox=names["public"], publish=receipt["publish"])
        await alice.message(names["user"], number + 1)
    return alice, bob, names


def kinds(page: Event) -> list[str]:
    return [one["mailbox"].partition(":")[0] for one in page["messages"]]


async def test_all_kinds_are_one_list_with_unread_for_each(
    stack: System, party: Party, operate: Connect, connect: Connect, second: Gateway
):
    alice, _, names = await mixed(stack, party, operate)
    again: Client = await connect(alice.user, url=second.ws)
    answer = await again.request("sync")
    assert answer["unread"] == {"group": 3, "direct": 3, "user": 3, "public": 3}
    assert {one["mailbox"] for one in answer["mailboxes"]} == set(names.values())
    times = [one["last"]["ts"] for one in answer["mailboxes"]]
    assert times == sorted(times, reverse=True)

    page = await again.request("history")
    assert (len(page["messages"]), page["more"], page["place"]) == (12, False, None)
    assert [one["ts"] for one in page["messages"]] == sorted(one["ts"] for one in page["messages"])
    assert sorted(kinds(page)) == sorted([*names] * 3)
    assert [one["body"] for one in page["messages"]] == [
        number for number in range(3) for _ in "1234"
    ]
    notice = next(one for one in page["messages"] if one["mailbox"] == names["public"])
    assert (notice["title"], notice["publish"], notice["opened"]) == ("Number 0", 1, False)

    back: list[Any] = []
    place, more = None, True
    while more:
        part = await again.request("history", place=place, limit=5)
        back, place, more = part["messages"] + back, part["place"], part["more"]
    assert back == page["messages"]


async def test_a_client_that_is_notified_pulls_what_is_new(
    stack: System, party: Party, operate: Connect, connect: Connect
):
    alice, bob, names = await mixed(stack, party, operate)
    phone: Client = await connect(alice.user)
    before = await phone.request("sync", mode="notify")
    assert {one["mode"] for one in before["mailboxes"]} == {"notify", "notice"}
    sent = await bob.send(names["group"], "pull me")
    head = await phone.expect("head", mailbox=names["group"], head=sent["seq"])
    assert head["unread"] == 4
    newest = await phone.request("history", limit=1)
    assert [one["body"] for one in newest["messages"]] == ["pull me"]
    assert phone.delivered("message", names["group"]) == []
    assert (await phone.request("sync"))["unread"]["group"] == 4


async def test_what_was_withdrawn_or_left_is_in_no_list(
    stack: System, party: Party, operate: Connect
):
    alice, _, names = await mixed(stack, party, operate)
    olga = await operate()
    await olga.request("withdraw", mailbox=names["public"], id=new_id(), publish=2, expect=2)
    await alice.expect("withdrawn", mailbox=names["public"], publish=2)
    await alice.request("leave", mailbox=names["group"])
    page = await alice.request("history")
    assert "group" not in kinds(page)
    assert [one["publish"] for one in page["messages"] if "publish" in one] == [1, 3]
