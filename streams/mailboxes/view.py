"""The mailboxes of a partition as the rules see them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import compress
from typing import Any, Protocol

from msgspec import Struct

from streams.mailboxes import layout
from streams.mailboxes.layout import NONE, Last, id_prefix
from streams.public.layout import Standing, decode_entry, decode_standing, standing_key
from streams.rate import Pace
from streams.routes.rules import Routes
from tables.keys import member_key, message_key, pushing_key, state_key
from tables.overlay import Decode, Overlay
from tables.rows import AnyEntry, Member, Message, Pushing, State


class Rows(Protocol):
    """What the view reads: an overlay."""

    def get(self, key: bytes, decode: Decode) -> object: ...
    def find(self, key: bytes, decode: Decode) -> object: ...
    def scan(self, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]: ...


class View:
    """Typed reading of rows."""

    __slots__ = ("_find", "_get", "_scan", "routes")

    def __init__(self, rows: Rows) -> None:
        self._get = rows.get
        self._find = rows.find
        self._scan = rows.scan
        self.routes = Routes(rows)

    def state(self, mailbox: str) -> State | None:
        """The mailbox, if it exists."""
        return self._get(state_key(mailbox), layout.decode_state)  # type: ignore[return-value]

    def member(self, mailbox: str, user: str) -> Member | None:
        """The row of a member, of whatever generation of the mailbox."""
        return self._get(member_key(mailbox, user), layout.decode_member)  # type: ignore[return-value]

    def members(self, mailbox: str, after: str = "") -> Iterator[tuple[str, Member]]:
        """Rows of members with their names, in the order of names, from the first beyond `after`."""
        prefix = member_key(mailbox, "")
        for key, value in self._scan(prefix, member_key(mailbox, after)):
            yield key[len(prefix) :].decode(), layout.decode_member(value)

    def head(self, mailbox: str) -> Last:
        """The last message."""
        return self._get(layout.head_key(mailbox), layout.decode_last) or NONE  # type: ignore[return-value]

    def own(self, mailbox: str, user: str) -> Last:
        """A user's last message."""
        return self._get(layout.own_key(mailbox, user), layout.decode_last) or NONE  # type: ignore[return-value]

    def seq_of(self, mailbox: str, message_id: str) -> int | None:
        """The seq of the kept message with this id."""
        return self._find(layout.id_key(mailbox, message_id), layout.decode_seq)  # type: ignore[return-value]

    def message(self, mailbox: str, seq: int) -> Message | None:
        """A kept message."""
        return self._find(message_key(mailbox, seq), layout.decode_message)  # type: ignore[return-value]

    def pushing(self, mailbox: str, seq: int) -> Pushing | None:
        """How far a post has been pushed that is still on its way."""
        return self._find(pushing_key(mailbox, seq), layout.decode_pushing)  # type: ignore[return-value]

    def entry(self, mailbox: str, seq: int) -> AnyEntry | None:
        """An entry of a public mailbox."""
        return self._find(message_key(mailbox, seq), decode_entry)  # type: ignore[return-value]

    def standing(self, mailbox: str, publish: int) -> Standing | None:
        """How a publish stands."""
        return self._find(standing_key(mailbox, publish), decode_standing)  # type: ignore[return-value]


class Seat(Struct, gc=False):
    """A sender in a mailbox, as long as only messages come: what holds for all of them, and their own last one.

    muted: until when, in ms since 1970. arrival: of the last message, as in `Last`.
    """

    muted: int
    pace: Pace
    arrival: int


class Room(Struct):
    """A mailbox, as long as only messages come: what holds for all of them, and the last one's seq, ts and arrival.

    plain: up to which seq a message comes to its row and nothing else. prefix: of the keys of messages.
    """

    state: State
    pace: Pace
    seq: int
    ts: int
    arrival: int
    plain: int
    prefix: bytes
    seats: dict[str, Seat]


class BatchView(View):
    """The mailboxes as a batch sees them, with what its messages have in common."""

    __slots__ = ("_holds", "_prefetch", "fresh", "rooms")

    def __init__(self, rows: Overlay) -> None:
        super().__init__(rows)
        self._holds = rows.holds
        self._prefetch = rows.prefetch
        self.rooms: dict[str, Room] = {}
        """By mailbox; cleared where anything but a run of messages is decided."""
        self.fresh: set[str] = set()
        """Ids that were looked up and are of no message, as long as none takes them."""

    def look_up_ids(self, messages: Sequence[Any]) -> None:
        """Look up the ids of messages to come: nearly always a miss, answered by the filter."""
        known = self._holds([id_prefix(c.mailbox) + c.id.encode() for c in messages])
        self.fresh = {c.id for c in messages}
        if any(known):
            self.fresh.difference_update(c.id for c in compress(messages, known))

    def look_up_members(self, mailbox: str, users: Sequence[str]) -> None:
        """Look up at once those who may be members, where they are many."""
        if len(users) > 1:
            self._prefetch([member_key(mailbox, user) for user in users], layout.decode_member)
