"""The mailbox table: decoding its rows, and the keys that are derived from them.

Derived keys are local (they begin with a zero byte) and a function of the rows alone, so that a
table rebuilt from a compacted log equals the one that wrote it:
    head     of a mailbox: its last seq, with the state of its rate limit
    own      a member's last message: its seq, with the state of their rate limit
    id       of a kept message: its seq
    recall   a recalled message, by the head when it was recalled
    standing of a publish in a public mailbox: its last entry, percentage, expiry, end
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from operator import attrgetter
from types import NoneType
from typing import Any

import msgspec
from msgspec import Struct

from streams.ids import PUBLIC
from streams.public.layout import (
    UNKNOWN,
    decode_entry,
    decode_standing,
    publish_of,
    standing_key,
    with_entry,
)
from streams.routes.rules import decode_lease, decode_route
from tables.keys import message_key, owner_of, parse_key
from tables.overlay import Overlay, Row
from tables.rows import AnyEntry, Member, Message, PublicEntry, Pushing, State


class Last(Struct, frozen=True, array_like=True, gc=False):
    """A last message: its seq and, in microseconds, the arrival time of the rate limit it is subject to."""

    seq: int = 0
    arrival: int = 0


NONE = Last()

_KEYS = 100_000

decode_state = msgspec.json.Decoder(State).decode
decode_member = msgspec.json.Decoder(Member).decode
decode_message = msgspec.json.Decoder(Message).decode
decode_pushing = msgspec.json.Decoder(Pushing).decode
decode_last = msgspec.msgpack.Decoder(Last).decode
decode_seq = msgspec.msgpack.Decoder(int).decode


@lru_cache(_KEYS)
def head_key(mailbox: str) -> bytes:
    """Key of a mailbox's head."""
    return f"\0h/{mailbox}".encode()


@lru_cache(_KEYS)
def own_key(mailbox: str, user: str) -> bytes:
    """Key of a user's last message in a mailbox."""
    return f"\0o/{mailbox}/{user}".encode()


@lru_cache(_KEYS)
def id_prefix(mailbox: str) -> bytes:
    """What the keys of a mailbox's message ids begin with."""
    return f"\0i/{mailbox}/".encode()


def id_key(mailbox: str, message_id: str) -> bytes:
    """Key of a message id."""
    return id_prefix(mailbox) + message_id.encode()


def recall_key(mailbox: str, head: int, seq: int) -> bytes:
    """Key of a recalled message; keys sort by the head when it was recalled."""
    return f"\0r/{mailbox}/{head:016d}/{seq:016d}".encode()


def recall_prefix(mailbox: str) -> bytes:
    """What all recall keys of a mailbox begin with."""
    return f"\0r/{mailbox}/".encode()


class MailboxLayout:
    """How mailbox rows are read, and what follows from them."""

    bulk: frozenset[type] = frozenset((Message, Member))

    def decode(self, key: bytes, value: bytes) -> Row:
        """The typed row."""
        mailbox, kind, _ = parse_key(key)
        match kind:
            case "m":
                return decode_entry(value) if mailbox.startswith(PUBLIC) else decode_message(value)
            case "u":
                return decode_member(value)
            case "s":
                return decode_state(value)
            case "p":
                return decode_pushing(value)
            case "r":
                return decode_route(value)
            case "l":
                return decode_lease(value)
        raise ValueError(f"no row of a mailbox has the key {key!r}")

    def derive(self, rows: Overlay, keys: Sequence[bytes], put: Sequence[Row | None]) -> None:
        """Bring the derived keys in line with rows."""
        kind: Any = type(put[0])
        if kind is Message:
            _messages_put(rows, keys, put)  # type: ignore[arg-type]
        elif issubclass(kind, PublicEntry):
            for key, entry in zip(keys, put, strict=True):
                _entry_put(rows, owner_of(key), entry)  # type: ignore[arg-type]
        elif kind is NoneType:
            for key in keys:
                _removed(rows, key)


def _messages_put(rows: Overlay, keys: Sequence[bytes], messages: Sequence[Message]) -> None:
    """Take each mailbox's and each sender's last message after all, not after every one."""
    mailboxes: dict[bytes, _Lasts] = {}
    ids: dict[bytes, int] = {}
    for key, message in zip(keys, messages, strict=True):
        owner = key[: key.index(b"/")]
        lasts = mailboxes.get(owner)
        if lasts is None:
            lasts = mailboxes[owner] = _Lasts(owner.decode())
        seq, sender = message.seq, message.sender
        own = lasts.owns.get(sender)
        if own is None or seq >= own.seq:
            lasts.owns[sender] = message
        ids[lasts.id_prefix + message.id.encode()] = seq
        if message.recalled:
            rows.put_derived(recall_key(lasts.mailbox, message.recalled, seq), 0)
    rows.put_all_derived(ids)
    for lasts in mailboxes.values():
        mailbox, owns = lasts.mailbox, lasts.owns
        head = max(owns.values(), key=attrgetter("seq"))
        _last_put(rows, head_key(mailbox), Last(head.seq, head.rate[0]))
        for sender, own in owns.items():
            _last_put(rows, own_key(mailbox, sender), Last(own.seq, own.rate[1]))


class _Lasts:
    """The last message of each sender in a mailbox."""

    __slots__ = ("id_prefix", "mailbox", "owns")

    def __init__(self, mailbox: str) -> None:
        self.mailbox = mailbox
        self.id_prefix = id_prefix(mailbox)
        self.owns: dict[str, Message] = {}


def _last_put(rows: Overlay, key: bytes, last: Last) -> None:
    before = rows.get(key, decode_last)
    if before is None or last.seq >= before.seq:
        rows.put_derived(key, last)


def _removed(rows: Overlay, key: bytes) -> None:
    mailbox, kind, seq = parse_key(key)
    if kind == "m" and seq.isdecimal() and not mailbox.startswith(PUBLIC):
        _message_removed(rows, mailbox, int(seq))


def _entry_put(rows: Overlay, mailbox: str, entry: AnyEntry) -> None:
    head = rows.get(head_key(mailbox), decode_last)
    if head is None or entry.seq > head.seq:
        rows.put_derived(head_key(mailbox), Last(entry.seq))
    rows.put_derived(id_key(mailbox, entry.id), entry.seq)
    key = standing_key(mailbox, publish_of(entry))
    standing = rows.find(key, decode_standing) or UNKNOWN
    rows.put_derived(key, with_entry(standing, entry))


def _message_removed(rows: Overlay, mailbox: str, seq: int) -> None:
    message = rows.find(message_key(mailbox, seq), decode_message)
    if message is None:
        return
    rows.put_derived(id_key(mailbox, message.id), None)
    own = rows.get(own_key(mailbox, message.sender), decode_last)
    if own is not None and own.seq == seq:
        rows.put_derived(own_key(mailbox, message.sender), None)
    if message.recalled:
        rows.put_derived(recall_key(mailbox, message.recalled, seq), None)
