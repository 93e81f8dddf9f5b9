"""What commands are made of: names, numbers, and the fields that all of them share."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from streams.ids import (
    AUTHOR_PATTERN,
    MAILBOX_PATTERN,
    NAME_PATTERN,
    PUBLIC_PATTERN,
    UUID_PATTERN,
)

MAX_INT = 2**53
"""The largest integer that all parsers of JSON read exactly: to JavaScript a number is a double."""

MAX_MEMBERS = 1_000
"""Members that one join or leave may name: a command's rows are one record batch."""

Name = Annotated[str, Meta(pattern=NAME_PATTERN)]
MailboxName = Annotated[str, Meta(pattern=MAILBOX_PATTERN)]
PublicName = Annotated[str, Meta(pattern=PUBLIC_PATTERN)]
AuthorName = Annotated[str, Meta(pattern=AUTHOR_PATTERN)]
CommandId = Annotated[str, Meta(pattern=UUID_PATTERN)]
Seq = Annotated[int, Meta(ge=0, le=MAX_INT)]
EntrySeq = Annotated[int, Meta(ge=1, le=MAX_INT)]
Milliseconds = Annotated[int, Meta(ge=0, le=MAX_INT)]
Members = Annotated[tuple[Name, ...], Meta(min_length=1, max_length=MAX_MEMBERS)]


class ReplyTo(Struct, frozen=True, forbid_unknown_fields=True):
    """Where an answer goes: the key and partition of the replies topic, and the asker's own number."""

    to: Annotated[str, Meta(min_length=1, max_length=64)]
    partition: Annotated[int, Meta(ge=0)]
    ref: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


class MailboxCommand(
    Struct, frozen=True, kw_only=True, tag_field="type", forbid_unknown_fields=True
):
    """What all mailbox commands share. `by` is who acts: a user, or `system`."""

    mailbox: MailboxName
    by: Name
    reply: ReplyTo | None = None


class UserCommand(Struct, frozen=True, kw_only=True, tag_field="type", forbid_unknown_fields=True):
    """What all user commands share. `by` is the user, or `system`."""

    user: Name
    by: Name
    reply: ReplyTo | None = None
