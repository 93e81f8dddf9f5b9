"""Keys of the rows, and what a key is about."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

_KEYS = 100_000
"""Keys kept ready: those of a busy mailbox and its members are asked for again and again."""


@lru_cache(_KEYS)
def state_key(mailbox: str) -> bytes:
    """Key of a mailbox's State row."""
    return f"{mailbox}/s".encode()


@lru_cache(_KEYS)
def member_key(mailbox: str, user: str) -> bytes:
    """Key of a Member row."""
    return f"{mailbox}/u/{user}".encode()


SEQ = b"%016d"
"""How a seq is written in a key: keys sort in the order of seqs."""


def message_key(mailbox: str, seq: int) -> bytes:
    """Key of a Message row."""
    return message_prefix(mailbox) + SEQ % seq


@lru_cache(_KEYS)
def message_prefix(mailbox: str) -> bytes:
    """What the keys of a mailbox's Message rows begin with; the seq follows."""
    return f"{mailbox}/m/".encode()


def cursor_key(user: str, mailbox: str) -> bytes:
    """Key of a Cursor row."""
    return f"{user}/c/{mailbox}".encode()


def pushing_key(mailbox: str, seq: int) -> bytes:
    """Key of a Pushing row."""
    return b"%b/p/%016d" % (mailbox.encode(), seq)


def follow_key(user: str, author: str) -> bytes:
    """Key of a Follow row."""
    return f"{user}/f/{author}".encode()


def reference_key(user: str, slot: int) -> bytes:
    """Key of a Reference row."""
    return b"%b/i/%04d" % (user.encode(), slot)


def inbox_key(user: str) -> bytes:
    """Key of an Inbox row."""
    return f"{user}/b".encode()


def snapshot_key(user: str, slot: int) -> bytes:
    """Key of a Snapshot row."""
    return b"%b/n/%d" % (user.encode(), slot)


GATEWAY = "gateway:"
"""What the owners of leases begin with."""


@lru_cache(_KEYS)
def route_key(owner: str) -> bytes:
    """Key of the Route row of a mailbox or user."""
    return f"{owner}/r".encode()


@lru_cache(_KEYS)
def lease_key(gateway: str) -> bytes:
    """Key of a gateway's Lease row."""
    return f"{GATEWAY}{gateway}/l".encode()


class RowKey(NamedTuple):
    """A key taken apart: whose row, which kind (`s`, `u`, `m`, `c`, ...), and which one of that kind."""

    owner: str
    kind: str
    name: str


def owner_of(key: bytes) -> str:
    """Whose row a key is of: the first part of it."""
    return key[: key.index(b"/")].decode()


def parse_key(key: bytes) -> RowKey:
    """Take a row's key apart; ids hold no slash, so this has one reading."""
    owner, _, rest = key.decode().partition("/")
    kind, _, name = rest.partition("/")
    return RowKey(owner, kind, name)


def split_key(key: bytes) -> tuple[str, str, str]:
    """The same as a plain tuple, in half the time: for those who look at the key of every record."""
    owner, _, rest = key.decode().partition("/")
    kind, _, name = rest.partition("/")
    return owner, kind, name
