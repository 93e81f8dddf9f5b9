"""The rules of users: what a command makes of a cursor."""

from __future__ import annotations

from msgspec.structs import replace

from streams.commands import Read, Subscribed, Unread, Unsubscribed
from streams.errors import Code, Refused
from streams.ids import AUTHOR, PUBLIC, SYSTEM
from tables.rows import Cursor


def decide(cursor: Cursor, c: Read | Unread | Subscribed | Unsubscribed) -> Cursor:
    """The cursor after a command; raises `Refused`."""
    if c.by not in (c.user, SYSTEM):
        raise Refused(Code.FORBIDDEN, "only the user moves their own cursor")
    if c.mailbox.startswith(PUBLIC):
        raise Refused(Code.FORBIDDEN, "a cursor in a public mailbox takes only touch and open")
    if c.mailbox.startswith(AUTHOR):
        raise Refused(Code.FORBIDDEN, "an author's posts have no cursor: see the feed")
    match c:
        case Read():
            return replace(cursor, read=max(cursor.read, c.seq))
        case Unread():
            return replace(cursor, read=min(cursor.read, c.seq))
        case Subscribed() | Unsubscribed():
            return _membership(cursor, c)


def _membership(cursor: Cursor, c: Subscribed | Unsubscribed) -> Cursor:
    if c.by != SYSTEM:
        raise Refused(Code.FORBIDDEN, "joining and leaving are commands to the mailbox")
    # An effect may come late and twice; the mailbox command that caused it says which one is newer.
    if c.src <= cursor.src:
        return cursor
    return replace(cursor, member=isinstance(c, Subscribed), src=c.src)
