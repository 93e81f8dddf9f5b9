"""The Python client against a gateway that is slow to answer, and after it has come back."""

import asyncio

from readcast import Backoff
from readcast import Client as Library
from streams import commands
from tests.gateway.conftest import House, Open
from tests.gateway.fakes import until
from tests.gateway.test_races import NOTHING_COMES, add

QUICK = Backoff(base=0.05, cap=0.1)


async def test_a_client_whose_resume_had_no_answer_goes_on(house_of: Open, group: str):
    house = await house_of(request_seconds=0.2)
    epoch = house.pipeline.make(group, "alice", "bob")
    house.pipeline.post(group)
    house.pipeline.silent = True
    seen = []
    client = Library(house.url, house.token("bob"), since={group: (epoch, 0)}, listener=seen.append)
    entering = asyncio.create_task(client.__aenter__())
    try:
        await until(lambda: any(event["op"] == "error" for event in seen))
        house.pipeline.silent = False
        house.pipeline.post(group)
        async with asyncio.timeout(5):
            await entering
        await until(lambda: [one["seq"] for one in seen if one["op"] == "message"] == [1, 2])
    finally:
        entering.cancel()
        await client.close()


async def test_a_client_comes_back_to_as_many_mailboxes_as_it_may_watch(house: House):
    names = [f"group:{number:08}" for number in range(2_500)]
    since = {name: (house.pipeline.make(name, "bob"), 0) for name in names}
    async with asyncio.timeout(30), Library(house.url, house.token("bob"), since=since):
        pass


async def test_a_client_that_watches_one_mailbox_gets_no_other_after_a_reconnect(
    house: House, group: str
):
    house.pipeline.make(group, "alice", "bob")
    other = f"{group}-other"
    house.pipeline.make(other, "alice")
    seen = []

    def got(op, **fields):
        return any(one["op"] == op and fields.items() <= one.items() for one in seen)

    async with Library(house.url, house.token("bob"), watch=[group], listener=seen.append) as bob:
        add(house.pipeline, other, "bob")
        await until(lambda: got("joined", mailbox=other))
        bob.drop()
        await until(lambda: got("resumed", mailbox=group))
        house.pipeline.post(other)
        house.pipeline.post(group)
        await until(lambda: got("message", mailbox=group))
        await asyncio.sleep(NOTHING_COMES)
    assert not got("message", mailbox=other)


async def test_a_mailbox_that_notifies_goes_on_notifying_after_a_reconnect(
    house_of: Open, group: str
):
    house = await house_of(notify_above=1, head_seconds=0.05)
    house.pipeline.make(group, "alice")
    seen = []

    def got(op):
        return sum(one["op"] == op for one in seen)

    async with Library(house.url, house.token("bob"), listener=seen.append) as bob:
        add(house.pipeline, group, "bob")
        await until(lambda: got("joined"))
        house.pipeline.post(group)
        await until(lambda: got("head") == 1)
        bob.drop()
        await until(lambda: got("sync") == 2)
        house.pipeline.post(group)
        await until(lambda: got("head") == 2 or got("message"))
    assert got("message") == 0


async def test_a_publish_without_an_id_is_one_however_often_the_connection_is_lost(house: House):
    olga = Library(house.url, house.token("olga", role="operator"), backoff=QUICK)
    async with asyncio.timeout(10), olga:
        house.pipeline.silent = True  # it is taken, and the answer is lost with the connection
        asking = asyncio.create_task(
            olga.request("publish", mailbox="public:news", title="Sale", body={"text": "today"})
        )

        def taken() -> list[commands.Publish]:
            return [one for one in house.pipeline.commands if isinstance(one, commands.Publish)]

        await until(lambda: len(taken()) == 1)
        olga.drop()
        await until(lambda: len(taken()) == 2)
        house.pipeline.silent = False
        for command in taken():
            house.pipeline.decide(command)
        await asking
    assert len({command.id for command in taken()}) == 1


async def test_a_later_client_goes_on_in_a_mailbox_that_was_quiet(house: House, group: str):
    house.pipeline.make(group, "alice", "bob")
    house.pipeline.post(group)
    async with asyncio.timeout(10), Library(house.url, house.token("bob")) as bob:
        async for event in bob:
            if event["op"] == "sync":
                break
        places = dict(bob.places)
    house.pipeline.post(group)  # while bob's program is restarted
    async with asyncio.timeout(10), Library(house.url, house.token("bob"), since=places) as again:
        house.pipeline.post(group)
        seqs = []
        async for event in again:
            if event["op"] == "message":
                seqs.append(event["seq"])
                if event["seq"] == 3:
                    break
    assert seqs == [2, 3]


async def test_a_frame_of_just_the_limit_passes(house: House, group: str):
    house.pipeline.make(group, "alice")
    async with asyncio.timeout(10), Library(house.url, house.token("alice")) as alice:
        limit = int(alice._connection._limits["frame_bytes"])
        written = []
        send = alice._connection._socket.send
        alice._connection._socket.send = lambda frame: (written.append(len(frame)), send(frame))
        await alice.send(group, "")
        (empty,) = written
        written.clear()
        assert (await alice.send(group, "x" * (limit - empty))).seq == 2
        assert written == [limit]
