"""Names of users and mailboxes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

NAME = r"[A-Za-z0-9_.-]{1,64}"
NAME_PATTERN = rf"^{NAME}\Z"
MAILBOX_PATTERN = rf"^(?:(?:group|user|public|author):{NAME}|direct:{NAME}~{NAME})\Z"
PUBLIC_PATTERN = rf"^public:{NAME}\Z"
AUTHOR_PATTERN = rf"^author:{NAME}\Z"
UUID_PATTERN = r"^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z"

SYSTEM = "system"
"""The name under which trusted producers act; no token may carry it."""

PUBLIC = "public:"
"""What the ids of public mailboxes begin with."""

AUTHOR = "author:"
"""What the ids of authors' outboxes begin with; the user's name follows."""

_mailbox = re.compile(MAILBOX_PATTERN)
_name = re.compile(NAME_PATTERN)
_ANY_HEX = bytes.maketrans(b"123456789abcdefABCDEF", b"0" * 21)
_UUID_OF_ZEROS = b"00000000-0000-0000-0000-000000000000"
_REMEMBERED = 100_000
_LONGEST = len("direct:") + 2 * 64 + 1


class MailboxId(NamedTuple):
    """A mailbox id taken apart: `group:42` is `("group", "42")`."""

    kind: str
    name: str

    @property
    def pair(self) -> tuple[str, str]:
        """The two users of a direct mailbox."""
        first, _, second = self.name.partition("~")
        return first, second


def is_name(text: str) -> bool:
    """Whether `text` may name a user, a group or a channel."""
    return _name.match(text) is not None


def is_user(text: str) -> bool:
    """Whether `text` may name a user; remembered, since the same ones come again and again."""
    return len(text) <= _LONGEST and _is_user(text)


def is_mailbox(text: str) -> bool:
    """Whether `text` has the form of a mailbox id; remembered."""
    return len(text) <= _LONGEST and _is_mailbox(text)


_is_user = lru_cache(_REMEMBERED)(is_name)


@lru_cache(_REMEMBERED)
def _is_mailbox(text: str) -> bool:
    return _mailbox.match(text) is not None


def is_uuid(text: str) -> bool:
    """Whether `text` is a UUID in its usual form, as UUID_PATTERN says; quicker than that."""
    return are_uuids((text,))


def are_uuids(texts: Sequence[str]) -> bool:
    """Whether each of them is a UUID."""
    lines = "\n".join(texts)
    return lines.isascii() and lines.encode().translate(_ANY_HEX) == _zeros(len(texts))


@lru_cache
def _zeros(count: int) -> bytes:
    return b"\n".join([_UUID_OF_ZEROS] * count)


def parse_mailbox(text: str) -> MailboxId:
    """Take a mailbox id apart; `ValueError` says what is wrong with it."""
    if _mailbox.match(text) is None:
        raise ValueError(
            "a mailbox is group:<id>, user:<id>, public:<id>, author:<id> or direct:<a>~<b>, "
            "with ids of 1 to 64 letters, digits, '_', '.' or '-'"
        )
    mailbox = MailboxId(*text.split(":", 1))
    if mailbox.kind == "direct" and not mailbox.pair[0] < mailbox.pair[1]:
        raise ValueError(
            "the two users of a direct mailbox differ and stand in order: direct:<a>~<b>, a < b"
        )
    return mailbox


def author_of(mailbox: str) -> str:
    """The user whose outbox this is."""
    return mailbox.removeprefix(AUTHOR)
