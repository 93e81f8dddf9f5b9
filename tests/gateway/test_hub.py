import asyncio
import operator

import msgspec
import pytest

from gateway.answers import Fact
from gateway.errors import CloseCode
from gateway.hub import LARGE, LOOK_AGAIN_SECONDS, Hub
from gateway.metrics import Metrics
from gateway.settings import Settings
from gateway.watch import Mode
from tables.rows import Position
from tests.gateway.fakes import EPOCH, Client, message, until, user_in


def make_hub(**settings) -> Hub:
    return Hub(Settings(**settings), Metrics())


class Group:
    """A mailbox in a hub, its box for bob, and messages on demand."""

    def __init__(self, hub: Hub, mailbox: str = "group:42") -> None:
        self.hub = hub
        self.channel = hub.channel(mailbox)
        self.channel.open(Fact(mailbox, EPOCH), Position(0, 0), 0)
        self.box = user_in(self.channel).box(self.channel)

    def watch(self, client: Client, mode: Mode = Mode.LIVE):
        ring = self.channel.ring
        return self.hub.attach(client.outlet, self.box, mode, ring.end, ring.head)

    def send(self, count: int = 1, body: msgspec.Raw | None = None) -> None:
        fields = {"body": body} if body else {}
        for _ in range(count):
            self.channel.take_message(message(self.channel.head + 1, **fields))
        self.hub.changed(self.channel)


async def turn() -> None:
    await asyncio.sleep(0)
    await asyncio.sleep(0)


@pytest.mark.parametrize("watchers", [3, LARGE, 3 * LARGE + 1])
async def test_every_watcher_gets_every_message_once_in_order(watchers: int):
    hub = make_hub()
    group, clients = Group(hub), [Client() for _ in range(watchers)]
    for client in clients:
        group.watch(client)
    group.send(2)
    await turn()
    group.send()
    await turn()
    assert [client.seqs for client in clients] == [[1, 2, 3]] * watchers


async def test_watchers_at_one_place_get_the_same_bytes_in_one_write():
    hub = make_hub()
    group, one, other = Group(hub), Client(), Client()
    group.watch(one)
    group.watch(other)
    group.send(5)
    await turn()
    assert len(one.transport.written) == 1
    assert one.transport.written[0] is other.transport.written[0]


async def test_messages_that_come_during_a_sweep_reach_everybody_once(monkeypatch):
    monkeypatch.setattr("gateway.hub.TURN_SECONDS", 0.0)
    hub = make_hub()
    group, clients = Group(hub), [Client() for _ in range(3 * LARGE)]
    watches = [group.watch(client) for client in clients]
    full, left = clients[-1], clients[-2]
    full.transport.buffered = 1 << 30
    for _ in range(5):
        group.send()
        await asyncio.sleep(0)
    hub.detach(watches[-2])
    await until(lambda: all(client.seqs == [1, 2, 3, 4, 5] for client in clients[:-2]))
    seen = list(left.seqs)
    full.transport.buffered = 0
    await until(lambda: full.seqs == [1, 2, 3, 4, 5])
    assert left.seqs == seen == [1, 2, 3, 4, 5][: len(seen)]
    assert len(seen) < 5


async def test_a_large_group_lets_others_have_their_turn(monkeypatch):
    monkeypatch.setattr("gateway.hub.TURN_SECONDS", 0.0)
    hub = make_hub()
    large, small = Group(hub), Group(hub, "group:small")
    crowd, few = [Client() for _ in range(10 * LARGE)], [Client() for _ in range(3)]
    for client in crowd:
        large.watch(client)
    for client in few:
        small.watch(client)
    large.send()
    await asyncio.sleep(0)
    small.send()
    await turn()
    assert all(client.seqs == [1] for client in few)
    assert any(client.seqs == [] for client in crowd)
    await until(lambda: all(client.seqs == [1] for client in crowd))


async def test_one_write_holds_what_is_missing_from_all_mailboxes():
    hub = make_hub()
    client, groups = Client(), [Group(hub, f"group:{n}") for n in range(3)]
    for group in groups:
        group.watch(client)
    for group in groups:
        group.send()
    await turn()
    assert len(client.transport.written) == 1
    assert {event["mailbox"] for event in client.transport.events} == {
        "group:0", "group:1", "group:2"
    }  # fmt: skip


async def test_an_answer_comes_before_what_was_sent_after_it():
    hub = make_hub()
    group, client = Group(hub), Client()
    group.watch(client)
    hub.emit(client.outlet, b'{"op":"watching"}')
    group.send()
    await turn()
    assert [event["op"] for event in client.transport.events] == ["watching", "message"]


async def test_a_full_socket_is_left_alone_and_served_when_it_has_room():
    hub = make_hub()
    group, slow, quick = Group(hub), Client(), Client()
    group.watch(slow)
    group.watch(quick)
    slow.transport.buffered = 1 << 30
    for _ in range(3):
        group.send()
        await turn()
    assert (slow.seqs, quick.seqs) == ([], [1, 2, 3])
    slow.transport.buffered = 0
    await until(lambda: slow.seqs == [1, 2, 3])
    assert len(slow.transport.written) == 1


async def full_reader(hub: Hub) -> tuple[Group, Client]:
    """A reader of a group who has its one message, and whose socket takes nothing more."""
    group, slow = Group(hub), Client()
    group.watch(slow)
    group.send()
    await turn()
    slow.transport.buffered = 1 << 30
    return group, slow


async def test_a_reader_that_falls_out_of_the_ring_is_told_what_it_missed():
    hub = make_hub(ring_events=3)
    group, slow = await full_reader(hub)
    group.send(9)
    await turn()
    slow.transport.buffered = 0
    await until(lambda: slow.seqs == [1, 8, 9, 10])
    gaps = [event for event in slow.transport.events if event["op"] == "gap"]
    assert gaps == [{"op": "gap", "mailbox": "group:42", "from": 2, "to": 7}]


async def test_a_reader_who_missed_recalls_alone_is_told_to_look_anew():
    hub = make_hub(ring_events=3)
    group, slow = await full_reader(hub)
    for _ in range(5):
        group.channel.take_recalls([1])
        hub.changed(group.channel)
        await turn()
    slow.transport.buffered = 0
    await until(lambda: len(slow.transport.events) == 5)
    assert [event["op"] for event in slow.transport.events[1:]] == ["resumed"] + ["recalled"] * 3
    resumed = slow.transport.events[1]
    assert (resumed["recovered"], resumed["head"]) == (False, 1)


async def test_who_reads_nothing_for_long_is_closed():
    hub = make_hub(slow_seconds=0.1)
    group, slow = Group(hub), Client()
    group.watch(slow)
    slow.transport.buffered = 1 << 30
    group.send()
    await until(lambda: slow.closed == [CloseCode.SLOW])


async def test_who_reads_slowly_is_not_closed():
    hub = make_hub(slow_seconds=0.2)
    group, slow = Group(hub), Client()
    group.watch(slow)
    slow.transport.buffered = 1 << 30
    group.send()
    for _ in range(10):
        await asyncio.sleep(0.05)
        slow.transport.buffered -= 1
    assert slow.closed == []


async def test_a_session_with_too_many_answers_is_closed():
    hub = make_hub(outbox_bytes=1 << 20)
    client = Client()
    client.transport.buffered = 1 << 30
    for _ in range(20):
        hub.emit(client.outlet, b" " * 100_000)
    assert client.closed == [CloseCode.SLOW]


async def test_heads_are_told_once_per_interval():
    hub = make_hub(head_seconds=0.1)
    group, client = Group(hub), Client()
    group.watch(client, Mode.NOTIFY)
    group.send()
    await until(lambda: len(client.transport.events) == 1)
    for _ in range(5):
        group.send()
        await turn()
    assert len(client.transport.events) == 1
    await until(lambda: len(client.transport.events) == 2)
    assert client.transport.events[-1] == {
        "op": "head", "mailbox": "group:42", "head": 6, "unread": 6
    }  # fmt: skip


async def test_cursors_that_wait_are_one_event():
    hub = make_hub()
    group, client = Group(hub), Client()
    for _ in range(3):
        hub.emit_cursor(client.outlet, group.box)
    await turn()
    assert client.transport.events == [
        {"op": "cursor", "mailbox": "group:42", "read": 0, "unread": 0}
    ]


async def test_unacknowledged_messages_are_delivered_again():
    hub = make_hub()
    group, client = Group(hub), Client()
    watch = group.watch(client)
    group.send(3)
    await turn()
    watch.ack(1, due=0.0)
    hub.rewind(watch)
    await turn()
    assert client.seqs == [1, 2, 3, 2, 3]


async def test_a_channel_nobody_needs_is_dropped():
    hub = make_hub()
    group, client = Group(hub), Client()
    watch = group.watch(client)
    group.send()
    await turn()
    hub.release(group.channel)
    assert hub.channels
    group.box.user.drop("group:42")
    hub.detach(watch)
    assert not hub.channels
    assert hub.ring_bytes == 0


async def test_a_closed_outlet_gets_nothing():
    hub = make_hub()
    group, client = Group(hub), Client()
    group.watch(client)
    group.send()
    hub.remove(client.outlet)
    await turn()
    assert client.transport.written == []


@pytest.mark.parametrize("large", [True, False])
async def test_a_long_turn_leaves_time_for_others(monkeypatch, large: bool):
    monkeypatch.setattr("gateway.hub.TURN_SECONDS", 0.0)
    hub = make_hub()
    groups = [Group(hub, f"group:{number}") for number in range(1 if large else 3)]
    clients = [Client() for _ in range(3 * (LARGE - 1))]
    for number, client in enumerate(clients):
        groups[number % len(groups)].watch(client)
    for group in groups:
        group.send()
    await turn()
    assert any(client.seqs == [] for client in clients)
    await until(lambda: all(client.seqs == [1] for client in clients))


LARGE_BODY = msgspec.Raw(b'"%b"' % (b"x" * 1_000_000))


async def test_a_large_message_is_written_piece_by_piece_and_before_anything_else():
    hub = make_hub()
    group, client = Group(hub), Client()
    group.watch(client)
    client.transport.holds = True
    group.send(body=LARGE_BODY)
    await turn()
    hub.emit(client.outlet, b'{"op":"pong"}')
    await turn()
    assert 0 < client.transport.buffered <= 2 * Settings().write_bytes
    pieces = len(client.transport.written)
    assert len(client.outlet.unwritten) == 4 - pieces > 0
    for _ in range(3):
        client.transport.buffered = 0
        await asyncio.sleep(2 * LOOK_AGAIN_SECONDS)
        await turn()
    assert [event["op"] for event in client.transport.events] == ["message", "pong"]
    assert client.outlet.unwritten == ()


async def test_all_get_the_same_pieces_of_a_large_message_however_late():
    hub = make_hub()
    group, clients = Group(hub), [Client() for _ in range(3)]
    for client in clients:
        group.watch(client)
    one, other, late = clients
    late.transport.buffered = 1 << 30
    group.send(body=LARGE_BODY)
    await until(lambda: one.seqs == other.seqs == [1])
    late.transport.buffered = 0
    await until(lambda: late.seqs == [1])
    for client in (other, late):
        assert all(map(operator.is_, one.transport.written, client.transport.written))
    assert len(one.transport.written) == 4


@pytest.mark.parametrize("watchers", [3, LARGE])
async def test_small_messages_stay_in_order_around_a_large_one(watchers: int):
    hub = make_hub()
    group, clients = Group(hub), [Client() for _ in range(watchers)]
    for client in clients:
        group.watch(client)
    for body in (None, LARGE_BODY, None, None, LARGE_BODY):
        group.send(body=body)
    await until(lambda: all(client.seqs == [1, 2, 3, 4, 5] for client in clients))
    for body in (LARGE_BODY, None):
        group.send(body=body)
        await turn()
    group.send(body=LARGE_BODY)
    await until(lambda: all(client.seqs == list(range(1, 9)) for client in clients))


async def test_what_is_taken_at_a_time_of_many_mailboxes_and_answers_is_bounded():
    hub, limit = make_hub(ring_bytes=8 << 20), Settings().write_bytes
    client, groups = Client(), [Group(hub, f"group:{n}") for n in range(5)]
    client.transport.buffered = 1 << 30
    for group in groups:
        group.watch(client)
        group.send(2, body=msgspec.Raw(b'"%b"' % (b"x" * 200_000)))
    answer = b'{"op":"history","n":%d,"x":"' + b"y" * 200_000 + b'"}'
    hub.emit(client.outlet, *(answer % n for n in range(5)))
    await turn()
    while (taken := client.outlet.take(limit)) is not None:
        assert sum(map(len, taken.frames)) <= 2 * limit
        client.outlet.put(taken.frames, 2 * limit)
    events = client.transport.events
    assert [event["n"] for event in events if event["op"] == "history"] == [0, 1, 2, 3, 4]
    for group in groups:
        name = group.channel.mailbox
        assert [one["seq"] for one in events if one.get("mailbox") == name] == [1, 2]


async def test_what_waits_is_written_before_a_close_as_far_as_the_socket_takes_it():
    hub = make_hub()
    quick, slow = Client(), Client()
    slow.transport.holds = True
    for client in (quick, slow):
        hub.emit(client.outlet, b'{"op":"history","x":"%b"}' % (b"y" * 1_000_000))
        hub.emit(client.outlet, b'{"op":"reconnect"}')
        hub.write_now(client.outlet)
    assert [event["op"] for event in quick.transport.events] == ["history", "reconnect"]
    assert slow.transport.buffered <= 2 * Settings().write_bytes


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    monkeypatch.delenv("READCAST_GATEWAY_PORT", raising=False)


async def test_frames_made_for_who_was_slow_are_not_kept():
    hub = Hub(Settings(demo=True), Metrics())
    channel = hub.channel("group:42")
    channel.open(Fact(channel.mailbox, EPOCH), Position(0, 0), channel.generation)
    box, clients = user_in(channel).box(channel), []
    body = msgspec.Raw(b'"%b"' % (b"x" * 4_000))
    for seq in range(1, 901):
        if seq % 30 == 1:
            # One more reader, whose socket is full for now.
            client = Client()
            client.transport.buffered = 1 << 30
            hub.attach(client.outlet, box, Mode.LIVE, channel.ring.end, channel.head)
            clients.append(client)
        channel.take_message(message(seq, body=body))
        hub.changed(channel)
        await asyncio.sleep(0)
    await asyncio.sleep(0.1)
    for client in clients:
        client.transport.buffered = 0
    await until(lambda: all(one.seqs[-1:] == [900] for one in clients))
    await asyncio.sleep(0.1)
    shared = channel.ring._shared.values()
    frames = [one for part in shared for made in part._frames.values() for one in made]
    assert sum(map(len, frames)) == 0
