"""What the same conversation weighs in each form of the wire: JSON and Protobuf, plain and deflated.

`python -m bench.wire_sizes` prints the tables of docs/wire-sizes.md; with `--write` they are put there. One user has
a session in each form at the same gateway, so all four are told the same; bytes are those of WebSocket frames.
"""

import argparse
import asyncio
import itertools
import re
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from bench.broker import broker
from bench.paths import ROOT
from bench.readcast import make_topics, ready_gateway, ready_worker, token
from gateway import wire
from gateway.deflate import WINDOWS
from gateway.forms import FORMS as FRAMES
from gateway.proto import frames
from gateway.proto import readcast_pb2 as pb

DOCUMENT = ROOT / "docs/wire-sizes.md"
BEGIN, END = "<!-- the tables begin -->\n", "<!-- the tables end -->\n"
PROSE = ROOT / "docs/design.md"

GROUPS = 30
MESSAGES = 200
NOTICES = 20
POSTS = 20
SENDS = 50
ROUNDS = 20
LENGTHS = (12, 160)
"""Characters of a text: what people write to each other."""

PEOPLE = ("alice", "bob", "carol", "dave", "erin", "mustafa", "yuki", "olga")
WRITERS = ("walt", "vera", "tina", "nils")
"""One in each form: what somebody writes is told to all their sessions."""

NEWS = "public:news"


class Form(NamedTuple):
    """A subprotocol, with or without permessage-deflate."""

    name: str
    subprotocol: str
    deflate: bool


FORMS = (
    Form("JSON", "readcast.json", False),
    Form("JSON, deflated", "readcast.json", True),
    Form("Protobuf", "readcast.proto", False),
    Form("Protobuf, deflated", "readcast.proto", True),
)


class Counted(ClientConnection):
    """A connection that counts its bytes."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.down = self.up = 0
        data_to_send = self.protocol.data_to_send

        def counted() -> list[bytes]:
            parts = data_to_send()
            self.up += sum(map(len, parts))
            return parts

        self.protocol.data_to_send = counted  # type: ignore[method-assign]

    def data_received(self, data: bytes) -> None:
        self.down += len(data)
        super().data_received(data)


class Event(NamedTuple):
    """What is looked for in an event."""

    op: str
    ref: int | None
    fields: Any


class Session:
    """A session in one form; requests are written in Protobuf, and sent as the form has it."""

    def __init__(self, connection: Counted, form: Form) -> None:
        self.connection = connection
        self.form = form
        self._refs = itertools.count(1)

    async def ask(self, **operation: Any) -> Any:
        """Send a request, and read on to its answer."""
        ref = next(self._refs)
        await self._send(pb.ClientFrame(ref_number=ref, **operation))
        event = await self.read(lambda event: event.ref == ref)
        if event.op == "error":
            raise RuntimeError(f"{operation}: {event.fields}")
        return event.fields

    async def told(self, op: str) -> Any:
        """Read on to the next event of a kind."""
        return (await self.read(lambda event: event.op == op)).fields

    async def read(self, wanted: Callable[[Event], bool]) -> Event:
        async with asyncio.timeout(30):
            while True:
                events = _events(await self.connection.recv())
                found = next(filter(wanted, events), None)
                if found is not None:
                    return found

    async def _send(self, frame: pb.ClientFrame) -> None:
        if self.form.subprotocol == "readcast.proto":
            await self.connection.send(frame.SerializeToString())
        else:
            await self.connection.send(frames.as_json(frame).decode())


def _events(frame: str | bytes) -> Iterator[Event]:
    if isinstance(frame, str):
        return (Event(one["op"], one.get("ref"), one) for one in orjson.loads(frame))
    events = pb.ServerFrame.FromString(frame).events
    return (_event(one) for one in events)


def _event(event: Any) -> Event:
    op = event.WhichOneof("op")
    ref = event.ref_number if event.WhichOneof("ref") else None
    return Event(op, ref, getattr(event, op))


@asynccontextmanager
async def session(url: str, user: str, form: Form, **claims: object) -> AsyncIterator[Session]:
    """A session that has said hello; what came before that is not counted."""
    extensions = [ClientPerMessageDeflateFactory(client_max_window_bits=True)]
    async with connect(
        url,
        subprotocols=[form.subprotocol],  # type: ignore[list-item]
        compression=None,
        extensions=extensions if form.deflate else None,
        max_size=None,
        proxy=None,
        create_connection=Counted,
    ) as connection:
        assert isinstance(connection, Counted)
        assert bool(connection.protocol.extensions) is form.deflate
        connection.down = connection.up = 0
        made = Session(connection, form)
        await made.ask(hello={"token": token(user, **claims)})
        yield made


Row = tuple[str, list[int]]


class Tally:
    """A session in each form, and what they have received and sent since one looked last."""

    def __init__(self, sessions: list[Session]) -> None:
        self.sessions = sessions
        self._down = self._up = [0] * len(sessions)

    async def each(self, step: Callable[[Session], Awaitable[Any]]) -> None:
        for one in self.sessions:
            await step(one)

    def down(self) -> list[int]:
        """Bytes received since."""
        before, self._down = self._down, [one.connection.down for one in self.sessions]
        return [now - then for now, then in zip(self._down, before, strict=True)]

    def up(self) -> list[int]:
        """Bytes sent since."""
        before, self._up = self._up, [one.connection.up for one in self.sessions]
        return [now - then for now, then in zip(self._up, before, strict=True)]


async def converse(url: str) -> list[Row]:
    texts = iter(TEXTS)
    async with AsyncExitStack() as stack:

        async def enter(user: str, form: Form, **claims: object) -> Session:
            return await stack.enter_async_context(session(url, user, form, **claims))

        people = [await enter(name, FORMS[0], role="operator") for name in PEOPLE]
        groups = [f"group:{uuid.uuid5(uuid.NAMESPACE_URL, str(n)).hex[:8]}" for n in range(GROUPS)]
        await settle(people, groups, texts)
        readers = Tally([await enter("reader", form) for form in FORMS])
        writers = Tally(
            [await enter(name, form) for name, form in zip(WRITERS, FORMS, strict=True)]
        )
        return [
            *await log_in(readers),
            *await chat(readers, people, groups[0], texts),
            *await write(writers, groups[0], texts),
            *await publish(readers, people[0], texts),
            *await look(readers),
        ]


async def settle(people: list[Session], groups: list[str], texts: Iterator[str]) -> None:
    """Groups with a message each, and posts."""
    owner = people[0]
    policy = {"member_rate": {"per_second": 1_000, "burst": 1_000}}
    for group in groups:
        await owner.ask(create={"mailbox": group, "policy": policy})
        await owner.ask(join={"mailbox": group, "members": [*PEOPLE[1:], *WRITERS, "reader"]})
        await owner.ask(send=_send(group, next(texts)))
    for number in range(POSTS):
        await people[number % len(people)].ask(post={"id": _id(), "body": _body(next(texts))})


async def log_in(readers: Tally) -> list[Row]:
    await readers.each(lambda reader: reader.ask(sync={}))
    return [(f"login, and `sync` of {GROUPS} groups", readers.down())]


async def chat(
    readers: Tally, people: list[Session], group: str, texts: Iterator[str]
) -> list[Row]:
    for number in range(MESSAGES):
        await people[number % len(people)].ask(send=_send(group, next(texts)))
        await readers.each(lambda reader: reader.told("message"))
    live = readers.down()
    await readers.each(lambda reader: reader.ask(history={"mailbox": group, "limit": MESSAGES}))
    page = readers.down()
    await readers.each(lambda reader: reader.ask(watch={"mailbox": group, "mode": "off"}))
    readers.down()
    return [
        (f"{MESSAGES} messages, each when it is sent", live),
        (f"the same {MESSAGES} messages as a page of `history`", page),
    ]


async def write(writers: Tally, group: str, texts: Iterator[str]) -> list[Row]:
    some = [next(texts) for _ in range(SENDS)]

    async def write_all(writer: Session) -> None:
        for text in some:
            await writer.ask(send=_send(group, text))

    writers.down()
    writers.up()
    await writers.each(write_all)
    return [
        (f"{SENDS} messages written: what goes up", writers.up()),
        ("the answers", writers.down()),
    ]


async def publish(readers: Tally, operator: Session, texts: Iterator[str]) -> list[Row]:
    for _ in range(NOTICES):
        content = {"title": next(texts), "body": _body(next(texts)), "release": {"percent": 100}}
        await operator.ask(publish={"mailbox": NEWS, "id": _id(), **content})
        await readers.each(lambda reader: reader.told("notice"))
    live = readers.down()
    await readers.each(lambda reader: reader.ask(notices={"limit": NOTICES}))
    return [
        (f"{NOTICES} notices, each when it is published", live),
        (f"the same {NOTICES} notices as a page", readers.down()),
    ]


async def look(readers: Tally) -> list[Row]:
    for name in PEOPLE:
        await readers.sessions[0].ask(follow={"author": name})
    readers.down()
    await readers.each(lambda reader: reader.ask(feed={"limit": POSTS}))
    return [(f"a feed page of {POSTS} posts", readers.down())]


def sentences() -> list[str]:
    """Sentences of our own prose: no two are the same, as in a chat."""
    text = re.sub(
        r"```.*?```|^[|#].*?$|[*`]|\[([^]]*)\]\([^)]*\)",
        r"\1",
        PROSE.read_text(),
        flags=re.DOTALL | re.MULTILINE,
    )
    some = (" ".join(one.split()) for one in re.split(r"(?<=[.:;?!])\s|\n\n", text))
    shortest, longest = LENGTHS
    return [*dict.fromkeys(one for one in some if shortest <= len(one) <= longest)]


TEXTS = sentences()


def _send(mailbox: str, text: str) -> dict[str, Any]:
    return {"mailbox": mailbox, "id": _id(), "body": _body(text)}


def _body(text: str) -> bytes:
    return orjson.dumps({"text": text})


def _id() -> str:
    return str(uuid.uuid4())


def table(rows: list[Row]) -> str:
    """The measured bytes in Markdown; in each form also as a share of JSON."""
    total = [sum(column) for column in zip(*(sizes for _, sizes in rows), strict=True)]
    lines = [("bytes", *(form.name for form in FORMS)), ("---", *["---:"] * len(FORMS))]
    lines += [(name, *_cells(sizes)) for name, sizes in [*rows, ("**all**", total)]]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _cells(sizes: list[int]) -> list[str]:
    first, *others = sizes
    return [f"{first:,}", *(f"{size:,} ({size / first:.0%})" for size in others)]


def costs() -> str:
    """What it takes the gateway to make a frame, in Markdown; whoever shares it doesn't pay again."""
    lines = [
        ("µs to make a frame", *(form.name for form in FORMS)),
        ("---", *["---:"] * len(FORMS)),
    ]
    for name, count in (("a message", 1), (f"{MESSAGES} messages at once", MESSAGES)):
        lines.append((name, *(f"{_microseconds(form, count):,.0f}" for form in FORMS)))
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _microseconds(form: Form, count: int) -> float:
    """The least of some rounds; no event comes twice, so none is known already."""
    made = FRAMES[form.subprotocol, WINDOWS[0] if form.deflate else 0]
    numbers = itertools.count(1)
    rounds = []
    for _ in range(ROUNDS):
        events = [
            [_event_json(next(numbers)) for _ in range(count)] for _ in range(MESSAGES // count)
        ]
        started = time.perf_counter()
        for some in events:
            made.frame(some)
        rounds.append((time.perf_counter() - started) / len(events))
    return min(rounds) * 1e6


def _event_json(seq: int) -> bytes:
    text = TEXTS[seq % len(TEXTS)]
    body = {"text": text}
    return wire.event(
        "message", mailbox="group:0a1b2c3d", seq=seq, id=_id(), **{"from": "alice"}, ts=0, body=body
    )


def measure() -> str:
    with broker() as kafka:
        make_topics(kafka)
        with ready_worker(kafka), ready_gateway(kafka) as (_, port):
            sizes = table(asyncio.run(converse(f"ws://127.0.0.1:{port}/ws")))
    return f"{sizes}\n{costs()}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.wire_sizes", description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the tables into the document")
    write = parser.parse_args().write
    made = measure()
    if write:
        before, _, rest = DOCUMENT.read_text().partition(BEGIN)
        DOCUMENT.write_text(f"{before}{BEGIN}\n{made}\n{END}{rest.partition(END)[2]}")
    print(made)


if __name__ == "__main__":
    main()
