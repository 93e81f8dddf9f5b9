"""The client against a real gateway that refuses, leaves, is killed and comes back."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from functools import partial

import pytest

from readcast import Backoff, Client, Closed, Refused, Unanswered
from readcast.connection import Pace
from readcast.websocket import WebSocket, dial
from tests.processes import Gateway, System
from tests.records import FAST, new_id, unique
from tests.waiting import soon

LIMIT_SECONDS = 120
QUICK = Backoff(base=0.1, cap=1.0)


@pytest.fixture(autouse=True)
async def limited() -> AsyncIterator[None]:
    """A test that waits for ever fails instead."""
    async with asyncio.timeout(LIMIT_SECONDS):
        yield


def client(stack: System, user: str, url: str | None = None, **options) -> Client:
    options = {"backoff": QUICK, **options}
    return Client(url or stack.ws, lambda: stack.token(user), **options)


async def first(of: Client, op: str, **fields):
    """The next event with these fields."""
    async for event in of:
        if event["op"] == op and all(event.get(name) == fields[name] for name in fields):
            return event
    raise AssertionError(f"closed before {op}")


async def messages(of: Client, mailbox: str, upto: int) -> list[int]:
    """The seqs of a mailbox as they are given, up to one."""
    seqs: list[int] = []
    while not seqs or seqs[-1] < upto:
        seqs.append((await first(of, "message", mailbox=mailbox))["seq"])
    return seqs


async def test_what_is_sent_comes_to_all_with_a_receipt(stack: System):
    group, bob_name = unique("group:g"), unique("bob")
    async with (
        client(stack, unique("alice")) as alice,
        client(stack, bob_name) as bob,
    ):
        await alice.create(group)
        await alice.join(group, bob_name)
        receipt = await alice.send(group, {"text": "hi"})
        message = await first(bob, "message", mailbox=group)
        assert (receipt.mailbox, receipt.seq, receipt.duplicate) == (group, 1, False)
        assert (message["id"], message["seq"], message["body"]) == (receipt.id, 1, {"text": "hi"})
        assert (await bob.history(group, after=0))["head"] == 1


async def test_the_same_id_again_is_the_same_message(stack: System):
    group, message = unique("group:g"), new_id()
    async with client(stack, unique("alice")) as alice:
        await alice.create(group)
        receipt = await alice.send(group, "once", id=message)
        again = await alice.send(group, "once", id=message)
    assert again == receipt._replace(duplicate=True)


async def test_a_refusal_has_a_code_and_is_not_tried_again(stack: System):
    async with client(stack, unique("alice")) as alice:
        with pytest.raises(Refused) as refused:
            await alice.send(unique("group:none"), "hello?")
    assert refused.value.code in ("not_found", "not_member")
    assert refused.value.retriable is False


async def test_too_fast_is_tried_again_until_it_passes(stack: System):
    group = unique("group:g")
    async with client(stack, unique("alice")) as alice:
        await alice.create(group, member_rate=[5, 1])
        receipts = [await alice.send(group, number) for number in range(3)]
    assert [receipt.seq for receipt in receipts] == [1, 2, 3]


@pytest.mark.parametrize("as_function", [True, False])
async def test_a_refused_token_is_not_tried_again(stack: System, as_function: bool):
    asked = 0

    def token() -> str:
        nonlocal asked
        asked += 1
        return "no.token.atall"

    dialled = 0

    async def counted(url: str, take: Callable[[bytes], None]) -> WebSocket:
        nonlocal dialled
        dialled += 1
        return await dial(url, take)

    given = token if as_function else token()
    with pytest.raises(Closed) as closed:
        async with Client(stack.ws, given, backoff=QUICK, dial=counted):
            pass
    assert (closed.value.code, closed.value.close_code) == ("bad_token", 4501)
    assert (asked, dialled) == (1, 1)


async def test_an_expired_token_is_fetched_anew_once(stack: System):
    user, old = unique("alice"), int(time.time()) - 10
    tokens = [stack.token(user, exp=old), stack.token(user)]
    async with Client(stack.ws, lambda: tokens.pop(0), backoff=QUICK):
        assert tokens == []
    with pytest.raises(Closed) as closed:
        async with Client(stack.ws, lambda: stack.token(user, exp=old), backoff=QUICK):
            pass
    assert closed.value.code == "expired"


async def test_a_token_is_renewed_before_its_end_on_the_same_connection(stack: System):
    user, asked = unique("alice"), 0

    async def token() -> str:
        nonlocal asked
        asked += 1
        return stack.token(user, exp=int(time.time()) + 8)

    async with Client(stack.ws, token) as alice:

        async def renewed() -> bool:
            await alice.request("ping")
            return asked >= 3

        await soon(renewed, "two renewals")
        await alice.request("ping")
        assert [event["op"] for event in alice._queue].count("welcome") == 1


async def test_a_token_that_cannot_be_had_is_fetched_again(stack: System):
    user, failures = unique("alice"), [OSError("the token service is away")] * 2

    def token() -> str:
        if failures:
            raise failures.pop()
        return stack.token(user)

    async with Client(stack.ws, token, backoff=QUICK) as alice:
        await alice.request("ping")


async def test_a_mailbox_that_may_not_be_watched_is_told_at_once(stack: System):
    with pytest.raises(Refused):
        async with client(stack, unique("alice"), watch=[unique("group:none")]):
            pass


async def test_a_lost_connection_loses_and_doubles_nothing(stack: System):
    group, owner, reader = unique("group:g"), unique("alice"), unique("bob")
    async with client(stack, owner) as alice:
        await alice.create(group, **FAST)
        await alice.join(group, reader)
        async with client(stack, reader, watch=[group]) as bob:

            async def chat() -> None:
                for number in range(1, 201):
                    await alice.send(group, number)
                    if number % 20 == 0:
                        bob.drop()
                    if number % 50 == 0:
                        alice.drop()

            sending = asyncio.create_task(chat())
            seqs = await messages(bob, group, 200)
            await sending
            assert seqs == list(range(1, 201))
            assert bob.counts["recovered"] >= 1


async def test_a_gateway_killed_and_started_again_loses_and_doubles_nothing(
    stack: System, own_gateway: Callable[..., Gateway]
):
    gateway = own_gateway()
    group, owner, reader = unique("group:g"), unique("alice"), unique("bob")
    async with (
        client(stack, owner, gateway.ws) as alice,
        client(stack, reader, gateway.ws) as bob,
    ):
        await alice.create(group, **FAST)
        await alice.join(group, reader)
        sent = 0

        async def chat() -> None:
            nonlocal sent
            for number in range(1, 301):
                await alice.send(group, number)
                sent = number

        sending = asyncio.create_task(chat())
        for so_far in (50, 150):
            await soon(partial(reached, lambda so_far=so_far: sent >= so_far), "messages sent")
            await asyncio.to_thread(gateway.kill)
            gateway.start()
        seqs = await messages(bob, group, 300)
        await sending
        assert seqs == list(range(1, 301))
        head = (await bob.history(group, before=301, limit=1))["head"]
        assert head == 300


async def reached(holds: Callable[[], bool]) -> bool:
    return holds()


async def test_a_group_that_notifies_does_so_after_a_lost_connection(
    stack: System, own_gateway: Callable[..., Gateway]
):
    gateway = own_gateway(READCAST_GATEWAY_NOTIFY_ABOVE="2")
    group, reader = unique("group:g"), unique("bob")
    async with (
        client(stack, unique("alice"), gateway.ws) as alice,
        client(stack, reader, gateway.ws) as bob,
    ):
        await alice.create(group)
        await alice.join(group, reader, unique("carol"))
        await first(bob, "joined", mailbox=group)
        bob.drop()
        await first(bob, "sync")
        await alice.send(group, "hi")
        async for event in bob:
            if event["op"] in ("head", "message"):
                break
        assert (event["op"], event["mailbox"], event["head"]) == ("head", group, 1)


async def test_a_chat_that_began_during_an_absence_is_delivered(stack: System):
    sender, reader, back = unique("alice"), unique("bob"), asyncio.Event()
    chat = f"direct:{sender}~{reader}"

    async def once_back(url: str, take: Callable[[bytes], None]) -> WebSocket:
        await back.wait()
        return await dial(url, take)

    back.set()
    async with (
        client(stack, sender) as alice,
        client(stack, reader, watch=[chat], dial=once_back) as bob,
    ):
        back.clear()
        bob.drop()
        await first(bob, "disconnected")
        await alice.send(chat, "hi")
        back.set()
        assert await messages(bob, chat, 1) == [1]


async def test_a_leaving_gateway_says_when_to_come_back(
    stack: System, own_gateway: Callable[..., Gateway]
):
    gateway = own_gateway(READCAST_GATEWAY_RECONNECT_SECONDS="0.5")
    async with client(stack, unique("alice"), gateway.ws) as alice:
        await asyncio.to_thread(gateway.stop)
        assert (await first(alice, "reconnect"))["after_ms"] <= 500
        assert (await first(alice, "disconnected"))["code"] == 4002
        gateway.start()
        assert await first(alice, "welcome")


async def test_what_does_not_fit_into_the_queue_is_pulled_once_there_is_room(stack: System):
    group, owner = unique("group:g"), unique("alice")
    async with client(stack, owner) as alice:
        await alice.create(group, **FAST)
        async with client(stack, owner, watch=[group], queue=10) as lazy:
            for number in range(100):
                await alice.send(group, number)
            await lazy.request("ping")
            assert len(lazy._queue) <= 12
            assert await messages(lazy, group, 100) == list(range(1, 101))
            assert lazy.counts["pulled"] > 0


async def test_an_earlier_clients_places_go_on(stack: System):
    group, owner = unique("group:g"), unique("alice")
    async with client(stack, owner) as alice:
        await alice.create(group)
        for number in range(3):
            await alice.send(group, number)
        await messages(alice, group, 2)
        places = alice.places
    async with client(stack, owner, since=places) as again:
        assert await messages(again, group, 3) == [3]


async def test_a_request_has_a_time_limit(stack: System, own_gateway: Callable[..., Gateway]):
    gateway = own_gateway()
    async with client(stack, unique("alice"), gateway.ws) as alice:
        gateway.freeze()
        with pytest.raises(Unanswered) as unanswered:
            await alice.request("ping", within=0.5)
        gateway.thaw()
        assert unanswered.value.retriable
        await alice.request("ping")


async def test_an_attempt_that_was_not_answered_is_not_told_as_the_refusal_before_it(
    stack: System, own_gateway: Callable[..., Gateway]
):
    gateway, group = own_gateway(), unique("group:g")
    async with client(stack, unique("alice"), gateway.ws) as alice:
        await alice.create(group, member_rate=[1, 1])
        await alice.send(group, 1)
        sending = asyncio.create_task(alice.send(group, 2, within=4))
        await soon(partial(reached, lambda: alice.refusals["rate_limited"] == 1), "a refusal")
        gateway.freeze()
        with pytest.raises(Unanswered):
            await sending
        gateway.thaw()


async def test_closing_ends_the_iteration_and_what_waits(
    stack: System, own_gateway: Callable[..., Gateway]
):
    gateway = own_gateway()
    alice = client(stack, unique("alice"), gateway.ws)
    async with alice:
        gateway.freeze()
        waiting = asyncio.create_task(alice.request("ping"))
        await asyncio.sleep(0)
    gateway.thaw()
    with pytest.raises(Closed):
        await waiting
    with contextlib.suppress(StopAsyncIteration):
        while True:
            await anext(alice)
    with pytest.raises(Closed):
        await alice.request("ping")


async def test_connecting_waits_for_a_gateway_and_says_so(
    stack: System, own_gateway: Callable[..., Gateway], caplog: pytest.LogCaptureFixture
):
    gateway = own_gateway()
    await asyncio.to_thread(gateway.stop)
    entering = asyncio.create_task(
        client(stack, unique("alice"), gateway.ws, backoff=QUICK).__aenter__()
    )
    while f"no connection to {gateway.ws}" not in caplog.text:
        await asyncio.sleep(0.05)
    gateway.start()
    alice = await entering
    assert alice.connected
    await alice.close()


async def test_a_body_of_a_megabyte_goes_and_comes_like_any_other(stack: System):
    group, reader = unique("group:g"), unique("bob")
    large = '"€😀' * 100_000
    async with client(stack, unique("alice")) as alice:
        await alice.create(group, **FAST)
        await alice.join(group, reader)
        async with client(stack, reader, watch=[group]) as bob:
            bodies = [large, 1, large, 2]
            receipts = await asyncio.gather(*(alice.send(group, body) for body in bodies))
            assert sorted(receipt.seq for receipt in receipts) == [1, 2, 3, 4]
            come = [await first(bob, "message", mailbox=group) for _ in bodies]
            by_id = {message["id"]: message["body"] for message in come}
            assert [by_id[receipt.id] for receipt in receipts] == bodies
            page = await bob.history(group, after=0)
            assert page["messages"][0]["body"] == come[0]["body"]


async def test_a_large_body_that_was_given_up_is_not_in_the_way_of_the_next(stack: System):
    group = unique("group:g")
    async with client(stack, unique("alice")) as alice:
        await alice.create(group)
        assert alice._connection is not None
        alice._connection._pace = Pace(per_second=5, at_once=2)
        with pytest.raises(Unanswered):
            await alice.send(group, "x" * 1_000_000, within=0.5)
        alice._connection._pace = Pace(per_second=100, at_once=100)
        assert (await alice.send(group, "y" * 1_000_000)).seq == 1


async def test_a_body_too_large_even_in_chunks_is_refused(stack: System):
    group = unique("group:g")
    async with client(stack, unique("alice")) as alice:
        await alice.create(group)
        for size in (1 << 20, 2 << 20):
            with pytest.raises(Refused) as refused:
                await alice.send(group, "x" * size)
            assert refused.value.code == "too_large"
