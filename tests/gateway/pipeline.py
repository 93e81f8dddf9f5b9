"""A pipeline in memory: the agents as naive as can be, and logs that come when the test says.

It takes what the gateway produces, and brings the rows and replies as the tail would.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.clock import now_ms
from gateway.rows import Rows
from streams import commands
from streams.commands import decode_mailbox_command, decode_user_command
from streams.ids import parse_mailbox
from streams.partitioning import partition_of
from streams.users import touches
from tables.rows import (
    ORIGIN,
    Cursor,
    Member,
    Message,
    Policy,
    Position,
    Published,
    Released,
    State,
    Withdrawn,
)

PARTITIONS = 8
PAGE_BYTES = 900_000
encode = msgspec.json.encode


@dataclass
class Mailbox:
    """What the mailbox agent knows of one mailbox."""

    epoch: str = ""
    generation: int = 0
    members: dict[str, Member] = field(default_factory=dict)
    messages: list[Any] = field(default_factory=list)
    at: Position = ORIGIN

    @property
    def head(self) -> int:
        return len(self.messages)


class Totals:
    """Touched and opened, over all users."""

    def __init__(self) -> None:
        self.counts: defaultdict[str, dict[int, tuple[int, int]]] = defaultdict(dict)
        self.stages: defaultdict[str, dict[int, tuple[int, int]]] = defaultdict(dict)

    def of(self, mailbox: str, publish: int) -> tuple[int, int]:
        return self.counts[mailbox].get(publish, (0, 0))

    def stage(self, mailbox: str, entry: int) -> tuple[int, int]:
        return self.stages[mailbox].get(entry, (0, 0))

    def newest(self, mailbox: str) -> int:
        return max((*self.counts[mailbox], *self.stages[mailbox]), default=0)

    def take(self, mailbox: str, row: Cursor) -> None:
        for entry, total in row.stages.items():
            self.stages[mailbox][entry] = max(total, self.stage(mailbox, entry))
        for publish, total in row.counts.items():
            self.counts[mailbox][publish] = max(total, self.of(mailbox, publish))


class Pipeline:
    """Producer, agents and logs in one."""

    def __init__(self) -> None:
        self.rows: Rows
        self.mailboxes: defaultdict[str, Mailbox] = defaultdict(Mailbox)
        self.cursors: defaultdict[str, dict[str, Cursor]] = defaultdict(dict)
        self.commands: list[Any] = []
        self.silent = False
        self.silent_touches = False
        self.logs_stand_still = False
        self.stopped_log: list[Callable[[], None]] = []
        self.totals: Any = Totals()
        self.asked_partition: dict[int, int] = {}
        self.policy = Policy()
        self._offset = 0

    async def start(self) -> None: ...
    async def stop(self) -> None: ...

    def send(self, topic: str, value: bytes, key: bytes, partition: int) -> asyncio.Future:
        decode = decode_mailbox_command if "mailbox" in topic else decode_user_command
        command = decode(key, value)
        self.commands.append(command)
        if getattr(command, "what", None) in ("boards", "counts"):
            self.asked_partition[command.reply.ref] = partition
        else:
            assert partition == partition_of(key.decode(), PARTITIONS)
        held = self.silent_touches and isinstance(command, commands.Touch)
        if not self.silent and not held:
            asyncio.get_running_loop().call_soon(self.decide, command)
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        stored.set_result(None)
        return stored

    def decide(self, command: Any) -> None:
        """Decide one command as its agent would."""
        self._offset += 1
        getattr(self, f"_{type(command).__name__.lower()}")(command)

    def post(
        self, mailbox: str, sender: str = "alice", count: int = 1, body: object = None
    ) -> None:
        """Messages from elsewhere."""
        for _ in range(count):
            number = self.mailboxes[mailbox].head + 1
            message_id = f"00000000-0000-0000-0000-{number:012d}"
            raw = msgspec.Raw(encode({"n": number} if body is None else body))
            self.decide(commands.Send(mailbox=mailbox, by=sender, id=message_id, body=raw))

    @contextmanager
    def losing(self) -> Iterator[None]:
        """What the logs would bring meanwhile is lost."""
        self.logs_stand_still = True
        yield
        self.stopped_log.clear()
        self.logs_stand_still = False

    def go_on(self) -> None:
        """Bring what the logs have held back."""
        self.logs_stand_still = False
        for bring in self.stopped_log:
            bring()
        self.stopped_log.clear()

    def make(self, mailbox: str, *members: str) -> str:
        """A group from elsewhere; returns its epoch."""
        epoch = f"00000000-0000-0000-0000-{self._offset:012d}"
        owner, *others = members
        self.decide(commands.Create(mailbox=mailbox, by=owner, id=epoch))
        if others:
            self.decide(commands.Join(mailbox=mailbox, by=owner, id=epoch, members=tuple(others)))
        return epoch

    def _create(self, command: commands.Create) -> None:
        box = self.mailboxes[command.mailbox]
        box.epoch = command.id
        box.generation += 1
        box.members.clear()
        self._state(command.mailbox, Position(self._offset, 0))
        self._offset += 1
        self._add(command, (command.by,), "owner")

    def _join(self, command: commands.Join) -> None:
        self._add(command, command.members or (command.by,), "member")

    def _add(self, command: Any, names: tuple[str, ...], role: Any) -> None:
        box, offset = self.mailboxes[command.mailbox], self._offset
        for index, name in enumerate(names):
            self._cursor(name, command.mailbox, member=True, src=offset)
            at = Position(offset, index)
            member = Member(at=at, joined=box.head, role=role, generation=box.generation)
            box.members[name] = member
            self._log(command.mailbox, f"u/{name}", member, at)
        self._state(command.mailbox, Position(offset, len(names)))
        result = {"mailbox": command.mailbox, "epoch": box.epoch, "head": box.head}
        self._reply(command, result | {"members": list(names)})

    def _leave(self, command: commands.Leave) -> None:
        box = self.mailboxes[command.mailbox]
        names = command.members or (command.by,)
        for index, name in enumerate(names):
            box.members.pop(name, None)
            at = Position(self._offset, index)
            self._log(command.mailbox, f"u/{name}", None, at)
            self._cursor(name, command.mailbox, member=False, src=self._offset)
        self._reply(command, {"mailbox": command.mailbox, "members": list(names)})

    def _send(self, command: commands.Send) -> None:
        box = self.mailboxes[command.mailbox]
        if not self._may(command.by, command.mailbox):
            self._refuse(command, "not_member")
            return
        if any(row.id == command.id for row in box.messages):
            (row,) = (row for row in box.messages if row.id == command.id)
            receipt = {"mailbox": command.mailbox, "id": row.id, "seq": row.seq, "ts": row.ts}
            self._reply(command, receipt | {"duplicate": True})
            return
        if not box.epoch:
            box.epoch = command.id
            self._state(command.mailbox, Position(self._offset, 0))
            for name in parse_mailbox(command.mailbox).pair:
                self._subscribe(name, command.mailbox)
        at = Position(self._offset, 1)
        row = Message(
            at=at, seq=box.head + 1, id=command.id, sender=command.by, ts=self._offset,
            body=msgspec.Raw(bytes(command.body)),
        )  # fmt: skip
        box.messages.append(row)
        self._log(command.mailbox, f"m/{row.seq:016}", row, at)

    def _recall(self, command: commands.Recall) -> None:
        box = self.mailboxes[command.mailbox]
        before = box.messages[command.seq - 1]
        at = Position(self._offset, 0)
        row = Message(
            at=at, seq=before.seq, id=before.id, sender=before.sender, ts=before.ts,
            recalled=box.head, recalled_by=command.by,
        )  # fmt: skip
        box.messages[command.seq - 1] = row
        self._log(command.mailbox, f"m/{row.seq:016}", row, at)
        self._reply(command, {"mailbox": command.mailbox, "seq": row.seq})

    def _query(self, command: commands.Query) -> None:
        if command.what == "boards":
            partition = self.asked_partition[command.reply.ref]
            boards = [
                {"mailbox": name, "head": box.head}
                for name, box in self.mailboxes.items()
                if name.startswith("public:") and partition_of(name, PARTITIONS) == partition
            ]
            self._reply(command, {"boards": boards})
        elif command.what == "facts":
            names = command.mailboxes or (command.mailbox,)
            facts = [self._fact(name, command.by) for name in names]
            partition = partition_of(command.mailbox, PARTITIONS)
            ats = [
                box.at
                for name, box in self.mailboxes.items()
                if partition_of(name, PARTITIONS) == partition
            ]
            as_of = max(ats, default=Position(-1, 0))
            self._reply(command, {"as_of": as_of, "facts": facts})
        elif command.what == "timeline":
            self._reply(command, self._newest(command))
        elif not self._may(command.by, command.mailbox):
            self._refuse(command, "not_member")
        elif command.what == "members":
            self._reply(command, self._listed(command))
        else:
            self._reply(command, self._page(command))

    def _publish(self, c: commands.Publish) -> None:
        row = Published(
            *self._place(c), c.title, msgspec.Raw(bytes(c.body)), c.release, c.expires, c.priority,
            c.audience,
        )  # fmt: skip
        self._accept(c, row)

    def _release(self, c: commands.Release) -> None:
        if self._is_latest(c):
            self._accept(c, Released(*self._place(c), c.publish, c.release, c.expect))

    def _withdraw(self, c: commands.Withdraw) -> None:
        if self._is_latest(c):
            self._accept(c, Withdrawn(*self._place(c), c.publish, c.expect))

    def _place(self, command: Any) -> tuple[Any, ...]:
        seq = self.mailboxes[command.mailbox].head + 1
        return Position(self._offset, 0), seq, command.id, command.by, now_ms()

    def _is_latest(self, command: Any) -> bool:
        rows = self.mailboxes[command.mailbox].messages
        about = [
            row.seq for row in rows if command.publish in (row.seq, getattr(row, "publish", 0))
        ]
        if about[-1] != command.expect:
            self._refuse(command, "conflict")
        return about[-1] == command.expect

    def _accept(self, command: Any, row: Any) -> None:
        self.mailboxes[command.mailbox].messages.append(row)
        self._log(command.mailbox, f"m/{row.seq:016}", row, row.at)
        self._reply(
            command, {"mailbox": command.mailbox, "id": row.id, "seq": row.seq, "ts": row.ts}
        )

    def _touch(self, command: commands.Touch) -> None:
        before = self.cursors[command.user].get(command.mailbox, Cursor(at=ORIGIN))
        after = touches.decide(before, command, now_ms(), self.totals)
        fields = ("read", "deferred", "day", "today", "touched", "opened", "counts", "stages")
        if after != before:
            changes = {name: getattr(after, name) for name in fields}
            self._cursor(command.user, command.mailbox, **changes)
        self.totals.take(command.mailbox, after)
        if isinstance(command, commands.Touch):
            touched = after.touched if after != before else ()
            result = {"mailbox": command.mailbox, "read": after.read, "touched": touched}
            self._reply(command, result)
        else:
            self._reply(command, {"mailbox": command.mailbox, "read": after.read})

    def _open(self, command: commands.Open) -> None:
        self._touch(command)  # type: ignore[arg-type]

    def _role(self, command: commands.Role) -> None:
        self._reply(command, {"mailbox": command.mailbox})

    def _listed(self, command: commands.Query) -> dict[str, Any]:
        members = self.mailboxes[command.mailbox].members
        listed = [
            {"user": name, "role": member.role, "joined": member.joined}
            for name, member in sorted(members.items())
            if name > command.after_member
        ]
        more = len(listed) > command.limit
        return {"mailbox": command.mailbox, "members": listed[: command.limit], "more": more}

    def _newest(self, command: commands.Query) -> dict[str, Any]:
        rows = [
            (row.ts, name, row.seq, row)
            for name in command.mailboxes
            if self._may(command.by, name)
            for row in self.mailboxes[name].messages
            if command.place is None or (row.ts, name, row.seq) < command.place
        ]
        rows.sort(key=lambda row: row[:3], reverse=True)
        found = [(name, row) for _, name, _, row in rows[: command.limit]]
        return {"messages": found, "more": len(rows) > command.limit}

    def _page(self, command: commands.Query) -> dict[str, Any]:
        box = self.mailboxes[command.mailbox]
        after = command.after or 0
        rows = box.messages[after : after + command.limit]
        if command.before is not None or command.after is None:
            end = box.head if command.before is None else command.before - 1
            rows = box.messages[max(0, end - command.limit) : end]
        while len(rows) > 1 and sum(len(getattr(row, "body", b"")) for row in rows) > PAGE_BYTES:
            rows.pop()
        recalled = [
            row.seq
            for row in box.messages[:after]
            if isinstance(row, Message) and row.recalled and row.recalled >= after
        ]
        return {
            "mailbox": command.mailbox, "epoch": box.epoch, "head": box.head, "messages": rows,
            "recalled": recalled, "more": bool(rows) and rows[-1].seq < box.head,
        }  # fmt: skip

    def _fact(self, mailbox: str, user: str) -> dict[str, Any]:
        box = self.mailboxes.get(mailbox)
        if box is None or not box.epoch:
            return {"mailbox": mailbox, "epoch": ""}
        own = max((row.seq for row in box.messages if row.sender == user), default=0)
        member = box.members.get(user)
        last = box.messages[-1] if box.messages and self._may(user, mailbox) else None
        return {
            "mailbox": mailbox, "epoch": box.epoch, "head": box.head, "floor": 0, "own": own,
            "members": len(box.members), "closed": False, "policy": self.policy, "member": member,
            "last": last,
        }  # fmt: skip

    def _read(self, command: commands.Read) -> None:
        before = self.cursors[command.user].get(command.mailbox)
        read = max(before.read if before else 0, command.seq)
        self._cursor(command.user, command.mailbox, read=read)
        self._reply(command, {"mailbox": command.mailbox, "read": read})

    def _unread(self, command: commands.Unread) -> None:
        self._cursor(command.user, command.mailbox, read=command.seq)
        self._reply(command, {"mailbox": command.mailbox, "read": command.seq})

    def _userquery(self, command: commands.UserQuery) -> None:
        if command.what == "counts":
            # One partition has them all: whoever asks adds up.
            first = self.asked_partition[command.reply.ref] == 0
            counts = self.totals.counts[command.mailbox] if first else {}
            stages = self.totals.stages[command.mailbox] if first else {}
            totals = {"counts": counts, "stages": stages}
            self._reply(command, {"mailbox": command.mailbox, **totals})
            return
        names = sorted(self.cursors[command.user])
        rows = [
            {"mailbox": name, **msgspec.to_builtins(self.cursors[command.user][name])}
            for name in names
            if name > command.after
        ]
        self._reply(command, {"cursors": rows[: command.limit], "more": len(rows) > command.limit})

    def _may(self, user: str, mailbox: str) -> bool:
        kind, name = parsed = parse_mailbox(mailbox)
        if kind == "group":
            return user in self.mailboxes[mailbox].members
        return user in (*parsed.pair, name, "system")

    def _subscribe(self, user: str, mailbox: str) -> None:
        self._cursor(user, mailbox, member=True, src=self._offset)

    def _cursor(self, user: str, mailbox: str, **changes: Any) -> None:
        self._offset += 1
        at = Position(self._offset, 0)
        before = self.cursors[user].get(mailbox, Cursor(at=at))
        row = msgspec.structs.replace(before, at=at, **changes)
        self.cursors[user][mailbox] = row
        key = f"{user}/c/{mailbox}".encode()
        partition = partition_of(user, PARTITIONS)
        self._bring(lambda: self.rows.take_user(partition, key, encode(row), ()))

    def _state(self, mailbox: str, at: Position) -> None:
        box = self.mailboxes[mailbox]
        state = State(
            at=at, epoch=box.epoch, policy=self.policy, members=len(box.members),
            generation=box.generation or 1,
        )  # fmt: skip
        self._log(mailbox, "s", state, at)

    def _log(self, mailbox: str, rest: str, row: Any, at: Position) -> None:
        self.mailboxes[mailbox].at = at
        key = f"{mailbox}/{rest}".encode()
        value = None if row is None else encode(row)
        headers = (("at", f"{at.offset},{at.number}".encode()),) if row is None else ()
        partition = partition_of(mailbox, PARTITIONS)
        self._bring(lambda: self.rows.take_mailbox(partition, key, value, headers))

    def _bring(self, bring: Callable[[], None]) -> None:
        if self.logs_stand_still:
            self.stopped_log.append(bring)
        else:
            bring()

    def _reply(self, command: Any, result: Any) -> None:
        if command.reply is not None:
            value = encode({"ref": command.reply.ref, "result": result})
            self.rows.take_reply(command.reply.partition, command.reply.to.encode(), value, ())

    def _refuse(self, command: Any, code: str) -> None:
        if command.reply is not None:
            error = {"code": code, "message": "refused", "retriable": False}
            value = encode({"ref": command.reply.ref, "error": error})
            self.rows.take_reply(command.reply.partition, command.reply.to.encode(), value, ())
