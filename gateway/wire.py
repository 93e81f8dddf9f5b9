"""What goes over the WebSocket: client frames, and events as JSON.

Everything that knows how they look is here; elsewhere frames are structs and events are bytes.
How server frames are made of events, and what of it is Protobuf, is for `gateway.forms`.
"""

from __future__ import annotations

import json
import uuid
from typing import Annotated, Any, Literal, NamedTuple, NoReturn, TypeVar

import msgspec
import orjson
from msgspec import UNSET, Meta, Struct, UnsetType

from gateway.errors import CloseCode, Disconnect
from streams.commands import Place, PolicyChange
from streams.errors import Code, Refused
from streams.feeds.commands import MAX_PAGE, StateName
from streams.feeds.order import format_id, post_id
from streams.schemas import (
    MAX_INT,
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
)
from tables.rows import Message, Policy, Priority, Reach
from tables.rows import Mode as Delivery

Ref = (
    Annotated[str, Meta(max_length=128)]
    | Annotated[int, Meta(ge=-MAX_INT, le=MAX_INT)]
    | Annotated[float, Meta(ge=-1e300, le=1e300)]
    | None
)
Limit = Annotated[int, Meta(ge=1, le=1_000)]

MAX_PARTS = 1_000
"""Chunks of a frame: none needs to be tiny."""

_Command = TypeVar("_Command", bound=MailboxCommand)


class Frame(
    Struct,
    frozen=True,
    kw_only=True,
    tag_field="op",
    forbid_unknown_fields=True,
    rename={"sender": "from"},
):
    """What a client frame may carry. `by`, `from` and `user` may only name the session's user."""

    ref: Ref = None
    by: str | UnsetType = UNSET
    sender: str | UnsetType = UNSET
    user: str | UnsetType = UNSET

    def names_only(self, user: str) -> bool:
        """Whether the frame claims to be nobody else's."""
        return all(name is UNSET or name == user for name in (self.by, self.sender, self.user))


class MailboxFrame(Frame, frozen=True, kw_only=True):
    """A frame about one mailbox."""

    mailbox: MailboxName


class CommandFrame(MailboxFrame, frozen=True, kw_only=True):
    """A frame that becomes a command; without `id` the gateway makes one."""

    id: CommandId | None = None

    def as_command(self, kind: type[_Command], by: str, reply: ReplyTo) -> _Command:
        """The command that has the same fields."""
        fields = {name: getattr(self, name) for name in self.__struct_fields__}
        for name in ("ref", "sender", "user"):
            del fields[name]
        return kind(**fields | {"id": self.id or str(uuid.uuid4()), "by": by, "reply": reply})


class Hello(Frame, frozen=True, kw_only=True, tag="hello"):
    """The first frame; again with a token, it renews the session's time.

    chunks: large frames are to come in chunks.
    """

    token: str | None = None
    since: dict[MailboxName, tuple[str, Seq]] = {}
    ack: bool = False
    chunks: bool = False


class Chunk(Frame, frozen=True, kw_only=True, tag="chunk"):
    """A piece of a frame that is too long for one; `ref` is that of the frame.

    id: the same in all its chunks. part: 1 to `of`. data: text in JSON; in Protobuf bytes, here as
    text in the codec's `encoding`.
    """

    id: Annotated[int, Meta(ge=0, le=MAX_INT)]
    part: Annotated[int, Meta(ge=1)]
    of: Annotated[int, Meta(ge=1, le=MAX_PARTS)]
    data: str


class Sync(Frame, frozen=True, kw_only=True, tag="sync"):
    """List and watch all mailboxes of the user, in one mode (default: by their size)."""

    mode: Literal["live", "notify"] | None = None


class Ping(Frame, frozen=True, kw_only=True, tag="ping"):
    """Ask for a pong."""


class Create(CommandFrame, frozen=True, kw_only=True, tag="create"):
    """Make a group."""

    policy: Policy = Policy()


class Join(CommandFrame, frozen=True, kw_only=True, tag="join"):
    """Add members (default: yourself)."""

    members: Members | None = None


class Leave(CommandFrame, frozen=True, kw_only=True, tag="leave"):
    """Remove members (default: yourself)."""

    members: Members | None = None


class ListMembers(MailboxFrame, frozen=True, kw_only=True, tag="members"):
    """List members whose names come after `after`."""

    after: Annotated[str, Meta(max_length=64)] = ""
    limit: Limit = 100


class Send(MailboxFrame, frozen=True, kw_only=True, tag="send"):
    """Send a message."""

    id: CommandId
    body: msgspec.Raw


class Watch(MailboxFrame, frozen=True, kw_only=True, tag="watch"):
    """Choose how a mailbox is delivered to this session."""

    mode: Literal["live", "notify", "off"] = "live"


class History(Frame, frozen=True, kw_only=True, tag="history"):
    """Messages after or before a seq (neither: the last ones); without a mailbox those of all, before a place."""

    mailbox: MailboxName | None = None
    after: Seq | None = None
    before: Seq | None = None
    place: Place | None = None
    limit: Limit = 50


class Ack(MailboxFrame, frozen=True, kw_only=True, tag="ack"):
    """Everything up to `seq` has arrived."""

    seq: Seq


class Read(MailboxFrame, frozen=True, kw_only=True, tag="read"):
    """Move the cursor forward."""

    seq: Seq


class Unread(MailboxFrame, frozen=True, kw_only=True, tag="unread"):
    """Set the cursor back."""

    seq: Seq


class Recall(CommandFrame, frozen=True, kw_only=True, tag="recall"):
    """Take a message back."""

    seq: Annotated[int, Meta(ge=1)]


class Role(CommandFrame, frozen=True, kw_only=True, tag="role"):
    """Give a member a role."""

    member: Name
    role: Literal["owner", "admin", "member"]


class Mute(CommandFrame, frozen=True, kw_only=True, tag="mute"):
    """Silence a member, or all but admins."""

    until: Milliseconds
    member: Name | None = None


class ChangePolicy(CommandFrame, frozen=True, kw_only=True, tag="policy"):
    """Change fields of the policy."""

    policy: PolicyChange


class Close(CommandFrame, frozen=True, kw_only=True, tag="close"):
    """End a group."""


class Trim(CommandFrame, frozen=True, kw_only=True, tag="trim"):
    """Drop messages up to a seq."""

    upto: Seq


class Notices(Frame, frozen=True, kw_only=True, tag="notices"):
    """What public mailboxes have for the user, published before a time (ms), newest first."""

    mailbox: PublicName | None = None
    before: Milliseconds | None = None
    limit: Limit = 20


class Open(MailboxFrame, frozen=True, kw_only=True, tag="open"):
    """The user has opened a publish."""

    publish: EntrySeq


class OperatorFrame(Frame, frozen=True, kw_only=True):
    """A frame that only operators may send."""


class Publish(OperatorFrame, CommandFrame, frozen=True, kw_only=True, tag="publish"):
    """Publish in a public mailbox."""

    mailbox: PublicName
    title: Annotated[str, Meta(min_length=1, max_length=200)]
    body: msgspec.Raw
    release: Reach = Reach()
    expires: Milliseconds = 0
    priority: Priority = "normal"
    audience: dict[str, Any] | None = None


class Release(OperatorFrame, CommandFrame, frozen=True, kw_only=True, tag="release"):
    """Let a publish reach more, unless there is a later entry about it than `expect`."""

    mailbox: PublicName
    publish: EntrySeq
    expect: EntrySeq
    release: Reach


class Withdraw(OperatorFrame, CommandFrame, frozen=True, kw_only=True, tag="withdraw"):
    """End a publish, unless there is a later entry about it than `expect`."""

    mailbox: PublicName
    publish: EntrySeq
    expect: EntrySeq


class ShowBoard(OperatorFrame, frozen=True, kw_only=True, tag="board"):
    """All public mailboxes with their publishes and counts; from then on, `progress`."""


class Entries(OperatorFrame, MailboxFrame, frozen=True, kw_only=True, tag="entries"):
    """The entries of a public mailbox before a seq, newest first."""

    mailbox: PublicName
    before: Seq | None = None
    limit: Limit = 50


class Preview(OperatorFrame, MailboxFrame, frozen=True, kw_only=True, tag="preview"):
    """Whether a publish reaches `user` with these claims, and what they would see."""

    mailbox: PublicName
    publish: EntrySeq
    user: Name
    claims: dict[str, Any] = {}

    def names_only(self, user: str) -> bool:
        """`user` is who is looked at, not who asks."""
        return all(name is UNSET or name == user for name in (self.by, self.sender))


class MakePost(Frame, frozen=True, kw_only=True, tag="post"):
    """Put a post into one's outbox; the same `id` again is the same post."""

    id: CommandId | None = None
    body: msgspec.Raw
    state: StateName | None = None


class PostFrame(Frame, frozen=True, kw_only=True):
    """A frame about one post of the user; `post` is its id."""

    post: str


class EditPost(PostFrame, frozen=True, kw_only=True, tag="edit"):
    """Give a post another body."""

    body: msgspec.Raw


class DeletePost(PostFrame, frozen=True, kw_only=True, tag="delete"):
    """Take a post out of all feeds."""


class SetState(PostFrame, frozen=True, kw_only=True, tag="state"):
    """Say what a post is now; null: nothing any more."""

    state: StateName | None = None


class AuthorFrame(Frame, frozen=True, kw_only=True):
    """A frame about one author."""

    author: Name


class Follow(AuthorFrame, frozen=True, kw_only=True, tag="follow"):
    """Follow an author."""


class Unfollow(AuthorFrame, frozen=True, kw_only=True, tag="unfollow"):
    """Follow an author no more."""


class MembersFrame(Frame, frozen=True, kw_only=True):
    """A frame about others, and the user's own outbox."""

    members: Members


class Block(MembersFrame, frozen=True, kw_only=True, tag="block"):
    """Keep users from following and from looking at the outbox."""


class Unblock(MembersFrame, frozen=True, kw_only=True, tag="unblock"):
    """Let users follow again."""


class ShowAuthor(AuthorFrame, frozen=True, kw_only=True, tag="author"):
    """Facts about an author."""


class ChooseDelivery(OperatorFrame, AuthorFrame, frozen=True, kw_only=True, tag="mode"):
    """Choose how an author's posts get to followers."""

    mode: Delivery


class Feed(Frame, frozen=True, kw_only=True, tag="feed"):
    """A page of the user's feed, or of one author's posts, after the post `last_id`.

    snapshot: the order of the visit that this page belongs to. refresh: the one that is looked at anew.
    """

    last_id: str | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE)] = 20
    order: Literal["time", "state"] = "time"
    snapshot: CommandId | None = None
    refresh: CommandId | None = None
    author: Name | None = None


AnyFrame = (
    Hello
    | Chunk
    | Sync
    | Ping
    | Create
    | Join
    | Leave
    | ListMembers
    | Send
    | Watch
    | History
    | Ack
    | Read
    | Unread
    | Recall
    | Role
    | Mute
    | ChangePolicy
    | Close
    | Trim
    | Notices
    | Open
    | Publish
    | Release
    | Withdraw
    | ShowBoard
    | Entries
    | Preview
    | MakePost
    | EditPost
    | DeletePost
    | SetState
    | Follow
    | Unfollow
    | Block
    | Unblock
    | ShowAuthor
    | ChooseDelivery
    | Feed
)


class _Envelope(Struct):
    ref: Ref = None


class BadFrame(NamedTuple):
    """A frame that is JSON but no request: what is wrong, and its `ref` if it has a usable one."""

    ref: Ref
    error: Refused


_decoder: msgspec.json.Decoder[AnyFrame] = msgspec.json.Decoder(AnyFrame)
_decode_envelope = msgspec.json.Decoder(_Envelope).decode

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_NOT_BY_ALL = "not all parsers read this JSON: it has half a surrogate pair, or is nested too deep"


def decode(data: bytes) -> AnyFrame | BadFrame:
    """Decode one client frame; `Disconnect` if it isn't JSON at all."""
    try:
        return _decoder.decode(data)
    except msgspec.ValidationError as error:
        return BadFrame(frame_ref(data), Refused(Code.BAD_REQUEST, str(error)))
    except _UNREADABLE as error:
        return BadFrame(_ref_of_unreadable(data, error), Refused(Code.BAD_REQUEST, _NOT_BY_ALL))


def frame_ref(data: bytes) -> Ref:
    """The `ref` of a frame whatever else is in it; `Disconnect` if it isn't JSON at all."""
    try:
        return _decode_envelope(data).ref
    except msgspec.ValidationError:
        return None
    except _UNREADABLE as error:
        return _ref_of_unreadable(data, error)


def _ref_of_unreadable(data: bytes, error: Exception) -> Ref:
    """The `ref` of JSON that not all parsers read; `Disconnect` if it isn't JSON."""
    try:
        frame = json.loads(data, parse_constant=_no_json)
    except RecursionError:
        return None
    except ValueError:
        raise Disconnect(CloseCode.PROTOCOL, f"a frame is one JSON object: {error}"[:120]) from None
    try:
        ref = msgspec.convert(frame, _Envelope).ref
        str(ref).encode()
    except (msgspec.ValidationError, UnicodeEncodeError):
        return None
    return ref


def _no_json(name: str) -> NoReturn:
    raise ValueError(name)


def check_body(body: bytes, limit: int) -> None:
    """Refuse a body that is too large or that some client couldn't read: nested too deep, or half a surrogate."""
    if len(body) > limit:
        raise Refused(Code.TOO_LARGE, f"a body is at most {limit} bytes")
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refused(Code.BAD_REQUEST, f"body: {error}") from None


def op_of(frame: Frame) -> str:
    """The `op` of a decoded frame."""
    return str(frame.__struct_config__.tag)


def event(op: str, ref: Ref = None, **fields: object) -> bytes:
    """Encode one event; fields may hold `Fragment`s of ready JSON."""
    content = {"op": op, **fields} if ref is None else {"op": op, "ref": ref, **fields}
    return orjson.dumps(content)


def ready_event(op: str, ref: Ref, fields: bytes) -> bytes:
    """An event whose other fields are ready JSON, without braces: nothing of them is copied twice."""
    return b"%b,%b}" % (event(op, ref)[:-1], fields)


def error_event(error: Refused, ref: Ref = None, mailbox: str | None = None) -> bytes:
    """Encode a refusal; `mailbox` where one request is about several."""
    fields: dict[str, object] = {
        "code": error.code,
        "message": error.message,
        "retriable": error.code.retriable,
    }
    if error.retry_after is not None:
        fields["retry_after"] = round(error.retry_after, 3)
    if mailbox is not None:
        fields["mailbox"] = mailbox
    return event("error", ref, **fields)


def message_fields(row: Message) -> dict[str, object]:
    """A message as clients see it, in `history` and as `last`."""
    fields: dict[str, object] = {"seq": row.seq, "id": row.id, "from": row.sender, "ts": row.ts}
    if row.recalled:
        fields["recalled"] = True
    elif row.body:
        fields["body"] = orjson.Fragment(bytes(row.body))
    return fields


def post_fields(row: Message) -> dict[str, object]:
    """A post as clients see it."""
    fields: dict[str, object] = {
        "post": format_id(post_id(row)),
        "author": row.sender,
        "seq": row.seq,
        "ts": row.ts,
        "body": orjson.Fragment(bytes(row.body) or b"null"),
    }
    if row.state:
        fields["state"] = row.state
    if row.edited:
        fields["edited"] = row.edited
    return fields


def post_json(row: Message) -> bytes:
    """A post as clients see it, as JSON."""
    return orjson.dumps(post_fields(row))


def post_changed_event(row: Message) -> bytes:
    """Encode what has become of a post."""
    post = format_id(post_id(row))
    if row.recalled:
        return event("post_changed", post=post, deleted=True)
    body = orjson.Fragment(bytes(row.body) or b"null")
    edited = {"edited": row.edited} if row.edited else {}
    return event("post_changed", post=post, body=body, state=row.state or None, **edited)


def message_event(mailbox: str, row: Message) -> bytes:
    """Encode a `message` event."""
    return orjson.dumps({"op": "message", "mailbox": mailbox, **message_fields(row)})


def resumed_event(mailbox: str, epoch: str, head: int, *, recovered: bool) -> bytes:
    """Encode a `resumed` event; `recovered` is false where what is shown may be out of date."""
    return event("resumed", mailbox=mailbox, epoch=epoch, head=head, recovered=recovered)


def recalled_event(mailbox: str, seq: int, by: str | None, ref: Ref = None) -> bytes:
    """Encode a `recalled` event; `by` is null where only the fact is known."""
    return event("recalled", ref, mailbox=mailbox, seq=seq, by=by)
