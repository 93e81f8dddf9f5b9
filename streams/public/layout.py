"""The entries of public mailboxes, and what is derived from them: how each publish stands."""

from __future__ import annotations

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tables.rows import AnyEntry, Published, Released

decode_entry = msgspec.json.Decoder(AnyEntry).decode


class Standing(Struct, frozen=True, array_like=True):
    """A publish as it stands: seq of the last entry about it, percentage, expiry (ms, 0 = never), end."""

    last: int = 0
    percent: float = 0.0
    expires: int = 0
    withdrawn: bool = False

    def expired(self, now: int) -> bool:
        """Whether it is over by time."""
        return 0 < self.expires <= now


UNKNOWN = Standing()

decode_standing = msgspec.msgpack.Decoder(Standing).decode


def standing_key(mailbox: str, publish: int) -> bytes:
    """Key of how a publish stands."""
    return b"\0p/%b/%016d" % (mailbox.encode(), publish)


def publish_of(entry: AnyEntry) -> int:
    """The seq of the publish that an entry is about."""
    return entry.seq if isinstance(entry, Published) else entry.publish


def with_entry(standing: Standing, entry: AnyEntry) -> Standing:
    """How a publish stands with one more entry, in whatever order and however often they come."""
    after = replace(standing, last=max(standing.last, entry.seq))
    if isinstance(entry, Published):
        after = replace(after, expires=entry.expires)
    if isinstance(entry, Published | Released):
        return replace(after, percent=max(after.percent, entry.release.percent))
    return replace(after, withdrawn=True)
