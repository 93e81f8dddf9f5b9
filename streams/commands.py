"""The commands: what producers write to the command topics.

A command is one JSON object under the key of what it is about: the mailbox id on
`<app>-mailbox-commands`, the user id on `<app>-user-commands`. docs/protocol.md shows
each with an example.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Any, Literal, NoReturn, TypeVar

import msgspec
from msgspec import Meta, Struct

from streams.errors import Code, Malformed
from streams.feeds.commands import AnyAuthorCommand, AnyFollowerCommand, FollowersCommand
from streams.ids import (
    MAILBOX_PATTERN,
    NAME_PATTERN,
    UUID_PATTERN,
    are_uuids,
    is_mailbox,
    is_user,
    is_uuid,
    parse_mailbox,
)
from streams.routes.commands import AnyMailboxRouting, AnyUserRouting
from streams.schemas import (
    CommandId,
    EntrySeq,
    MailboxCommand,
    MailboxName,
    Members,
    Milliseconds,
    Name,
    PublicName,
    ReplyTo,
    Seq,
    UserCommand,
)
from tables.rows import Policy, Priority, Rate, Reach

MAX_MAILBOXES = 1_000
"""Mailboxes that one query for facts or a timeline may name."""

MAX_TOUCHES = 100
"""Publishes that one touch may touch a user with."""

MAX_DEFERRED = 1_000
"""Entries of a public mailbox that may be deferred for a user at a time."""


class PolicyChange(Struct, frozen=True, forbid_unknown_fields=True):
    """The fields of a policy that a `policy` command sets; the others stay."""

    post: Literal["members", "admins"] | msgspec.UnsetType = msgspec.UNSET
    join: Literal["open", "invite"] | msgspec.UnsetType = msgspec.UNSET
    history: bool | msgspec.UnsetType = msgspec.UNSET
    member_rate: Rate | msgspec.UnsetType = msgspec.UNSET
    mailbox_rate: Rate | msgspec.UnsetType = msgspec.UNSET
    retain: Annotated[int, Meta(ge=0)] | msgspec.UnsetType = msgspec.UNSET


class Create(MailboxCommand, frozen=True, tag="create"):
    """Make a group; `by` owns it. `id` becomes its epoch."""

    id: CommandId
    policy: Policy = Policy()


class Join(MailboxCommand, frozen=True, tag="join"):
    """Add members (default: the sender)."""

    id: CommandId
    members: Members | None = None


class Leave(MailboxCommand, frozen=True, tag="leave"):
    """Remove members (default: the sender)."""

    id: CommandId
    members: Members | None = None


class Role(MailboxCommand, frozen=True, tag="role"):
    """Give a member a role; handing on `owner` makes the old owner an admin."""

    id: CommandId
    member: Name
    role: Literal["owner", "admin", "member"]


class Mute(MailboxCommand, frozen=True, tag="mute"):
    """Silence a member, or all but admins (`member` null), until a time (ms since 1970, 0 = speak again)."""

    id: CommandId
    until: Milliseconds
    member: Name | None = None


class Send(MailboxCommand, frozen=True, gc=False, tag="send"):
    """Send a message. The same `id` again is the same message."""

    # Checked by `_check_names`: as patterns they would cost as much as all the rest of a send.
    mailbox: str
    by: str
    id: str
    body: msgspec.Raw


class Recall(MailboxCommand, frozen=True, tag="recall"):
    """Take the body of a message back; its seq stays."""

    id: CommandId
    seq: Annotated[int, Meta(ge=1)]


class ChangePolicy(MailboxCommand, frozen=True, tag="policy"):
    """Change some fields of the policy."""

    id: CommandId
    policy: PolicyChange


class Close(MailboxCommand, frozen=True, tag="close"):
    """End a group: nobody sends or joins any more, history stays readable."""

    id: CommandId


class Trim(MailboxCommand, frozen=True, tag="trim"):
    """Drop messages up to and with seq `upto`; the last message always stays."""

    id: CommandId
    upto: Seq


class Sweep(MailboxCommand, frozen=True, tag="sweep"):
    """Go on dropping what a closed group held before it was made anew, after seq `after`: an effect of its agent."""

    after: Seq
    upto: Seq


class Publish(MailboxCommand, frozen=True, tag="publish"):
    """Put a message into a public mailbox, for those whom `release` reaches and `audience` matches.

    expires: ms since 1970, 0 = never. audience: see `streams.public.audience`; null = everybody.
    """

    mailbox: PublicName
    id: CommandId
    title: Annotated[str, Meta(min_length=1, max_length=200)]
    body: msgspec.Raw
    release: Reach = Reach()
    expires: Milliseconds = 0
    priority: Priority = "normal"
    audience: dict[str, Any] | None = None


class Release(MailboxCommand, frozen=True, tag="release"):
    """Let the publish with seq `publish` reach more: a percentage not below the last one, and more users.

    expect: seq of the last entry about this publish that the operator has seen.
    """

    mailbox: PublicName
    id: CommandId
    publish: EntrySeq
    release: Reach
    expect: EntrySeq


class Withdraw(MailboxCommand, frozen=True, tag="withdraw"):
    """Take the publish with seq `publish` back: nobody is touched by it any more."""

    mailbox: PublicName
    id: CommandId
    publish: EntrySeq
    expect: EntrySeq


Place = tuple[Milliseconds, MailboxName, Seq]
"""Where a message stands among those of all mailboxes: its time, and what orders those of one time."""


class Query(MailboxCommand, frozen=True, tag="query"):
    """Ask in command order; answered on the replies topic.

    facts: of `mailboxes` (all in this partition; default: `mailbox`) as `by` sees them.
    history: `limit` messages `after` or `before` a seq (neither: the last ones).
    timeline: the newest `limit` messages in `mailboxes` (as for facts) that stand before `place`.
    members: `limit` members whose names come after `after_member`.
    boards: the public mailboxes of the partition that the record is sent to.
    """

    reply: ReplyTo
    what: Literal["facts", "history", "timeline", "members", "boards"]
    mailboxes: Annotated[tuple[MailboxName, ...], Meta(max_length=MAX_MAILBOXES)] = ()
    after: Seq | None = None
    before: Seq | None = None
    place: Place | None = None
    after_member: Annotated[str, Meta(max_length=64)] = ""
    limit: Annotated[int, Meta(ge=1, le=1_000)] = 50


class Read(UserCommand, frozen=True, tag="read"):
    """Move the user's cursor in a mailbox forward to `seq`."""

    mailbox: MailboxName
    seq: Seq


class Unread(UserCommand, frozen=True, tag="unread"):
    """Set the cursor back to `seq` on purpose."""

    mailbox: MailboxName
    seq: Seq


class Subscribed(UserCommand, frozen=True, tag="subscribed"):
    """The user is in the mailbox now: an effect of its agent. `src` is the causing command's offset."""

    mailbox: MailboxName
    src: Annotated[int, Meta(ge=0)]


class Unsubscribed(UserCommand, frozen=True, tag="unsubscribed"):
    """The user has left the mailbox: an effect of its agent."""

    mailbox: MailboxName
    src: Annotated[int, Meta(ge=0)]


class Touch(UserCommand, frozen=True, tag="touch"):
    """A public mailbox has been looked at for the user, up to and with entry `upto`.

    touched: what is shown: (seq of the publish, seq of the entry that reaches the user, priority).
    deferred: reaching entries that are kept for later. dropped: those deferred before whose publish is over.
    day: the user's day, in days since 1970 (default: that of UTC); it is held beside how many touched them on it.
    """

    mailbox: PublicName
    upto: Seq
    day: Annotated[int, Meta(ge=0)] | None = None
    touched: Annotated[
        tuple[tuple[EntrySeq, EntrySeq, Priority], ...], Meta(max_length=MAX_TOUCHES)
    ] = ()
    deferred: Annotated[tuple[EntrySeq, ...], Meta(max_length=MAX_DEFERRED)] = ()
    dropped: Annotated[tuple[EntrySeq, ...], Meta(max_length=MAX_DEFERRED)] = ()


class Open(UserCommand, frozen=True, tag="open"):
    """The user has opened the publish with seq `publish`; counted once.

    entry: the one that reached the user (default: the publish itself), to whose stage it counts.
    """

    mailbox: PublicName
    publish: EntrySeq
    entry: EntrySeq | None = None


class UserQuery(UserCommand, frozen=True, tag="query"):
    """Ask in command order; answered on the replies topic.

    cursors: of the user, `limit` at a time in the order of mailbox ids.
    counts: of the public `mailbox`, by the users of the partition that the record is sent to.
    """

    reply: ReplyTo
    what: Literal["cursors", "counts"] = "cursors"
    mailbox: PublicName | None = None
    after: str = ""
    limit: Annotated[int, Meta(ge=1, le=2_000)] = 1_000


AnyMailboxCommand = (
    Create
    | Join
    | Leave
    | Role
    | Mute
    | Send
    | Recall
    | ChangePolicy
    | Close
    | Trim
    | Sweep
    | Publish
    | Release
    | Withdraw
    | Query
    | AnyAuthorCommand
    | AnyMailboxRouting
)
AnyUserCommand = (
    Read
    | Unread
    | Subscribed
    | Unsubscribed
    | Touch
    | Open
    | UserQuery
    | AnyFollowerCommand
    | AnyUserRouting
)

_Command = TypeVar("_Command")

_REMEMBERED = 100_000

_WORDS = 1_000
"""Characters of what is wrong with a command: msgspec repeats names and values, however long they are."""

_NO_COMMAND = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_decode_mailbox_command = msgspec.json.Decoder(AnyMailboxCommand).decode
_decode_user_command = msgspec.json.Decoder(AnyUserCommand).decode


def decode_mailbox_command(key: bytes | None, value: bytes | None) -> AnyMailboxCommand:
    """Decode and validate one record of the mailbox commands; `Malformed` says what is wrong."""
    command: AnyMailboxCommand = _decoded(_decode_mailbox_command, value)
    if type(command) is Send:
        _check_names(command)
    if key != _key_of(command.mailbox):
        raise Malformed(Code.BAD_REQUEST, "the record's key must be the mailbox id")
    return command


def decode_sends(keys: list[bytes | None], values: list[bytes | None]) -> list[Send] | None:
    """Decode and validate records of the mailbox commands all together, as far as their bodies.

    None where one of them is no send, or where anything is wrong: what, only a look at each can tell.
    """
    sends = _decode_alike(Send, _decode_mailbox_command, values)
    if sends is None:
        return None
    mailboxes = [c.mailbox for c in sends]
    names = set(mailboxes)
    if not all(map(is_mailbox, names)):
        return None
    try:
        key_of = {mailbox: _key_of(mailbox) for mailbox in names}
    except Malformed:
        return None
    is_sound = (
        list(map(key_of.get, mailboxes)) == keys
        and all(map(is_user, {c.by for c in sends}))
        and are_uuids([c.id for c in sends])
    )
    return sends if is_sound else None


def decode_subscriptions(
    keys: list[bytes | None], values: list[bytes | None]
) -> list[Subscribed] | None:
    """Decode and validate records of the user commands all together; None unless all are `Subscribed`."""
    commands = _decode_alike(Subscribed, _decode_user_command, values)
    return commands if commands and [c.user.encode() for c in commands] == keys else None


def _decode_alike(
    kind: type[_Command], decode: Callable[[bytes], Any], values: list[bytes | None]
) -> list[_Command] | None:
    """Decode records of one kind of command; None where one is of another, or none at all."""
    try:
        if type(decode(values[0])) is not kind:  # type: ignore[arg-type]
            return None
        _check_text(b"\n".join(values))  # type: ignore[arg-type]
        commands = list(map(decode, values))  # type: ignore[arg-type]
    except (TypeError, *_NO_COMMAND):
        return None
    return commands if set(map(type, commands)) == {kind} else None


@lru_cache(_REMEMBERED)
def _key_of(mailbox: str) -> bytes:
    """The key of a mailbox's commands, remembered; `Malformed` if it is no direct mailbox of two in order."""
    if mailbox.startswith("direct:"):
        try:
            parse_mailbox(mailbox)
        except ValueError as error:
            raise Malformed(Code.BAD_REQUEST, str(error)) from None
    return mailbox.encode()


def _check_names(command: Send) -> None:
    if not is_mailbox(command.mailbox):
        _refuse_name("mailbox", MAILBOX_PATTERN)
    if not is_user(command.by):
        _refuse_name("by", NAME_PATTERN)
    if not is_uuid(command.id):
        _refuse_name("id", UUID_PATTERN)


def _refuse_name(field: str, pattern: str) -> NoReturn:
    # The words are msgspec's own, which names the same faults in all other commands.
    message = f"Expected `str` matching regex {pattern!r} - at `$.{field}`"
    raise Malformed(Code.BAD_REQUEST, message)


def decode_user_command(key: bytes | None, value: bytes | None) -> AnyUserCommand:
    """Decode and validate one record of the user commands; `Malformed` says what is wrong."""
    command: AnyUserCommand = _decoded(_decode_user_command, value)
    if isinstance(command, FollowersCommand):
        if key != command.mailbox.encode():
            raise Malformed(Code.BAD_REQUEST, "the record's key must be the author's mailbox id")
    elif key != command.user.encode():
        raise Malformed(Code.BAD_REQUEST, "the record's key must be the user id")
    return command


def _decoded(decode: Callable[[bytes], _Command], value: bytes | None) -> _Command:
    if value is None:
        raise Malformed(Code.BAD_REQUEST, "a command is a JSON object, the record is empty")
    try:
        _check_text(value)
        return decode(value)
    except _NO_COMMAND as error:
        raise Malformed(Code.BAD_REQUEST, str(error)[:_WORDS]) from None


def _check_text(value: bytes) -> None:
    """A body is kept as it came, so its bytes are checked here and nowhere else."""
    if not value.isascii():
        value.decode()
