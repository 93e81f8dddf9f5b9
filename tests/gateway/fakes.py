"""Stand-ins for what the gateway's parts touch at their edges."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import msgspec

from gateway.answers import Fact
from gateway.boxes import User
from gateway.channel import Channel
from gateway.codecs import CODECS
from gateway.errors import CloseCode
from gateway.forms import FORMS
from gateway.outlet import Outlet
from gateway.ring import Budget, Ring
from tables.rows import Member, Message, Position

JSON = FORMS[CODECS[0].subprotocol, 0]
EPOCH = "0b9f7f0c-6d6c-4a2b-9f2e-1c9e0a4f1a01"


class FakeTransport:
    """A socket whose buffer is what the test says; if it `holds`, also what is written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.buffered = 0
        self.holds = False
        self.closing = False

    def write(self, data: bytes) -> None:
        self.written.append(data)
        if self.holds:
            self.buffered += len(data)

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def is_closing(self) -> bool:
        return self.closing

    def abort(self) -> None:
        self.closing = True

    @property
    def events(self) -> list[dict[str, object]]:
        """The events of all messages that are complete."""
        events: list[dict[str, object]] = []
        fragments: list[bytes] = []
        for frame in self.written:
            fragments.append(payload(frame, frame[0]))
            assert frame[0] & 0x0F == (0x1 if len(fragments) == 1 else 0x0)
            if frame[0] & 0x80:
                events += json.loads(b"".join(fragments))
                fragments.clear()
        return events


class Client:
    """An outlet on a fake socket, and why it was closed."""

    def __init__(self) -> None:
        self.transport = FakeTransport()
        self.closed: list[CloseCode] = []
        self.outlet = Outlet(self.transport, JSON, self._close)

    def _close(self, code: CloseCode, _reason: str) -> None:
        self.closed.append(code)
        self.outlet.clear()

    @property
    def seqs(self) -> list[object]:
        return [event["seq"] for event in self.transport.events if event["op"] == "message"]


def payload(frame: bytes, first: int = 0x81) -> bytes:
    """The payload of one unmasked WebSocket frame, by default a final text frame; its length must be right."""
    assert frame[0] == first
    length, start = frame[1], 2
    if length == 126:
        length, start = int.from_bytes(frame[2:4]), 4
    elif length == 127:
        length, start = int.from_bytes(frame[2:10]), 10
    assert len(frame) == start + length
    return frame[start:]


def events_of(frame: bytes) -> list[dict[str, object]]:
    """The events in a server frame."""
    events = json.loads(payload(frame))
    assert isinstance(events, list)
    return events


def message(seq: int, sender: str = "alice", at: int | None = None, **fields: object) -> Message:
    """A message row that was decided as command `at` (default: its seq)."""
    offset = seq if at is None else at
    return Message(
        at=Position(offset, 0),
        seq=seq,
        id=f"00000000-0000-0000-0000-{seq:012d}",
        sender=sender,
        ts=1_700_000_000_000 + seq,
        **{"body": msgspec.Raw(b'{"n":%d}' % seq), **fields},  # type: ignore[arg-type]
    )


def ring(events: int = 1_000, size: int = 1 << 20, budget: int = 1 << 30, head: int = 0) -> Ring:
    return Ring(events, size, Budget(budget), head)


def channel(head: int = 0, mailbox: str = "group:42", members: int = 2) -> Channel:
    """A channel that has had its facts."""
    made = Channel(mailbox, ring())
    fact = Fact(mailbox, EPOCH, head, members=members)
    assert made.open(fact, Position(head, 0), made.generation)
    return made


def user_in(made: Channel, name: str = "bob", joined: int = 0) -> User:
    """A user who is a member."""
    user = User(name)
    member = Member(at=Position(0, 0), joined=joined)
    user.box(made).take_fact(Fact(made.mailbox, EPOCH, member=member), Position(0, 0))
    return user


DIRECT = "direct:alice~bob"


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, at most some seconds."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)
