"""The commands of feeds: to authors' outboxes, and to those who follow them."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from streams.schemas import (
    AuthorName,
    CommandId,
    EntrySeq,
    MailboxCommand,
    Members,
    Milliseconds,
    Name,
    ReplyTo,
    Seq,
    UserCommand,
)
from tables.rows import Mode, PostId

BACKFILL = 20
"""Posts of an author that come into the inbox with a follow."""

MAX_SNAPSHOT = 500
"""Posts that a snapshot holds."""

SEEN_MS = 3_600_000
"""How often a look at the feed is kept, ms."""

MAX_PAGE = 100
"""Posts that one question about a timeline may ask for."""

StateName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,31}\Z")]
Offset = Annotated[int, Meta(ge=-1, le=2**63 - 1)]


class AuthorCommand(MailboxCommand, frozen=True, kw_only=True):
    """What commands to an author's outbox share."""

    mailbox: AuthorName


class Post(AuthorCommand, frozen=True, tag="post"):
    """Put a post into the outbox. The same `id` again is the same post."""

    id: CommandId
    body: msgspec.Raw
    state: StateName | None = None


class Edit(AuthorCommand, frozen=True, tag="edit"):
    """Give a post another body."""

    id: CommandId
    seq: EntrySeq
    body: msgspec.Raw


class Delete(AuthorCommand, frozen=True, tag="delete"):
    """Take a post's body away; it vanishes from all feeds."""

    id: CommandId
    seq: EntrySeq


class SetState(AuthorCommand, frozen=True, tag="state"):
    """Say what a post is now, for instance `live`, `replay` or `ended`; null: nothing any more."""

    id: CommandId
    seq: EntrySeq
    state: StateName | None


class FollowersChange(AuthorCommand, frozen=True, kw_only=True):
    """What commands about followers share; `members` are the sender, unless `system` sends."""

    id: CommandId
    members: Members | None = None


class Follow(FollowersChange, frozen=True, tag="follow"):
    """Follow an author."""


class Unfollow(FollowersChange, frozen=True, tag="unfollow"):
    """Follow an author no more."""


class Block(FollowersChange, frozen=True, tag="block"):
    """Keep users from following, and from looking at the outbox; the author's own command."""


class Unblock(FollowersChange, frozen=True, tag="unblock"):
    """Let users follow again; the author's own command."""


class SetMode(AuthorCommand, frozen=True, tag="mode"):
    """Choose how this author's posts get to followers; `system` only."""

    id: CommandId
    mode: Mode


class PushOn(AuthorCommand, frozen=True, tag="push"):
    """Go on pushing a post, to the followers after `after`: an effect of the author's agent."""

    seq: EntrySeq
    after: Name


class SwitchOn(AuthorCommand, frozen=True, tag="switch"):
    """Go on telling followers of another delivery, after `after`: an effect of the author's agent."""

    after: Name


class Idle(AuthorCommand, frozen=True, tag="idle"):
    """A follower has not looked for long: an effect of their agent. `follow`: as in their row."""

    member: Name
    follow: Offset


class Awake(AuthorCommand, frozen=True, tag="awake"):
    """A follower is back: an effect of their agent."""

    member: Name
    follow: Offset


class OutboxQuery(AuthorCommand, frozen=True, tag="outbox"):
    """Ask in command order; answered on the replies topic.

    author: the facts of `mailbox`, as `by` sees them.
    timeline: the newest `limit` posts of all `authors` in this partition that come after `last` in a feed.
    posts: the posts (author, seq); at least the first of them, more as far as one answer holds them.
    """

    reply: ReplyTo
    what: Literal["author", "timeline", "posts"]
    authors: Annotated[tuple[Name, ...], Meta(max_length=5_000)] = ()
    posts: Annotated[tuple[tuple[Name, EntrySeq], ...], Meta(max_length=MAX_SNAPSHOT)] = ()
    last: PostId | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE)] = 20


class FollowersCommand(
    Struct, frozen=True, kw_only=True, tag_field="type", forbid_unknown_fields=True
):
    """What effects on followers share: an author's agent sends one to each partition, for the users there."""

    mailbox: AuthorName
    by: Name
    users: Members
    reply: ReplyTo | None = None


class Followed(FollowersCommand, frozen=True, tag="followed"):
    """They follow the author, or the author's delivery has changed.

    src: offset of the causing command. follow: the same if they begin here, null if they go on as they are.
    pulled, upto: as in a Follow row. posts: (ts, seq) of what goes into their inboxes.
    """

    src: Seq
    follow: Seq | None = None
    pulled: bool = False
    upto: tuple[Milliseconds, Seq] = (0, 0)
    posts: Annotated[tuple[tuple[Milliseconds, EntrySeq], ...], Meta(max_length=BACKFILL)] = ()


class Unfollowed(FollowersCommand, frozen=True, tag="unfollowed"):
    """They don't follow the author any more."""

    src: Seq


class Pushed(FollowersCommand, frozen=True, tag="pushed"):
    """A post for their inboxes."""

    seq: EntrySeq
    ts: Milliseconds


class Seen(UserCommand, frozen=True, tag="seen"):
    """The user has looked at the feed; at most one an hour is kept."""


class KeepSnapshot(UserCommand, frozen=True, tag="snapshot"):
    """Keep the order in which a visit sees its feed."""

    id: CommandId
    posts: Annotated[tuple[PostId, ...], Meta(max_length=MAX_SNAPSHOT)]


class FeedQuery(UserCommand, frozen=True, tag="feed"):
    """Ask in command order; answered on the replies topic.

    follows: the authors that the user follows whose names come after `after`.
    inbox: the newest `limit` references that come after `last` in a feed.
    snapshot: the snapshot `id`.
    """

    reply: ReplyTo
    what: Literal["follows", "inbox", "snapshot"]
    after: str = ""
    last: PostId | None = None
    limit: Annotated[int, Meta(ge=1, le=5_000)] = 1_000
    id: CommandId | None = None


AnyAuthorCommand = (
    Post
    | Edit
    | Delete
    | SetState
    | Follow
    | Unfollow
    | Block
    | Unblock
    | SetMode
    | PushOn
    | SwitchOn
    | Idle
    | Awake
    | OutboxQuery
)
AnyFollowerCommand = Followed | Unfollowed | Pushed | Seen | KeepSnapshot | FeedQuery
