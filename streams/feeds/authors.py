"""The rules of outboxes: posts, followers, and how the ones get to the others.

A post is pushed (a reference for each follower's inbox) or left in the outbox for them to pull.
What keeps feeds complete at every moment is the order in which things become durable: effects are
stored before the rows of the same command. So references lie in the inboxes' command log before
the post is visible to anybody, and followers have been told to pull before a post is no longer pushed.

What is about more followers than one command handles goes on by a command to the outbox itself.
A post is marked `pushing` until the last of them has it; a switch of the delivery pushes until the
last of them is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace

from streams import bodies
from streams.decisions import Moment, Outcome
from streams.errors import Code, Refused
from streams.feeds.commands import (
    AuthorCommand,
    Awake,
    Block,
    Delete,
    Edit,
    Follow,
    FollowersChange,
    Idle,
    Post,
    PushOn,
    SetMode,
    SetState,
    SwitchOn,
    Unblock,
    Unfollow,
)
from streams.feeds.limits import FeedLimits
from streams.feeds.outbox import Chunk, Outbox
from streams.ids import SYSTEM
from streams.mailboxes.view import View
from streams.rate import advance, pace_of, refuse
from tables.keys import pushing_key
from tables.rows import NO_BODY, ORIGIN, Member, Message, Pushing


def decide(view: View, c: Any, moment: Moment, limits: FeedLimits) -> Outcome:
    """What a command does; raises `Refused`."""
    rule = _RULES.get(type(c))
    if rule is None:
        raise Refused(
            Code.BAD_REQUEST, "an outbox takes post, edit, delete, state, follow, unfollow, block"
        )
    return rule(Outbox(view, c, moment, limits), c)


def post(outbox: Outbox, c: Post) -> Outcome:
    """Give a post the next seq, and push it to the first followers if that is how they get it."""
    _require_author(outbox, c)
    seq = outbox.view.seq_of(c.mailbox, c.id)
    if seq is not None:
        return _posted_before(outbox, c, seq)
    head = outbox.view.head(c.mailbox)
    pace = pace_of(outbox.state.policy.member_rate)
    arrival, early = advance(head.arrival, pace, outbox.now * 1_000)
    if early and c.by != SYSTEM:
        refuse(early)
    # Pages find their place by time: it never goes back, whatever a broker's clock does.
    last = outbox.view.message(c.mailbox, head.seq)
    row = Message(
        ORIGIN,
        head.seq + 1,
        c.id,
        outbox.author,
        outbox.now if last is None else max(outbox.now, last.ts),
        c.body,
        (arrival, 0),
        state=c.state or "",
    )
    outbox.settle()
    if outbox.delivery.pushes:
        chunk = outbox.chunk("")
        outbox.push(chunk.names, row)
        if chunk.last:
            row = replace(row, pushing=True)
            _push_on(outbox, row.seq, chunk.last)
    outbox.put_post(row)
    return outbox.outcome(**_receipt(row))


def _posted_before(outbox: Outbox, c: Post, seq: int) -> Outcome:
    row = outbox.view.message(c.mailbox, seq)
    if row is None or not (row.recalled or row.edited or bodies.same(row.body, c.body)):
        raise Refused(Code.CONFLICT, "this id was used with another body; use a new UUID")
    # The very same record, decided again after a restart, is no duplicate.
    duplicate = {} if row.at.offset == outbox.offset else {"duplicate": True}
    return outbox.outcome(**_receipt(row), **duplicate)


def _receipt(row: Message) -> dict[str, Any]:
    return {"id": row.id, "seq": row.seq, "ts": row.ts}


def push_on(outbox: Outbox, c: PushOn) -> Outcome:
    """Push a post to the next followers; the last ones make it visible."""
    _require_system(c)
    pushing = outbox.view.pushing(c.mailbox, c.seq)
    row = outbox.view.message(c.mailbox, c.seq)
    if pushing is None or row is None or pushing.after != c.after:
        return outbox.outcome()
    chunk = Chunk([], "") if row.recalled else outbox.chunk(c.after)
    outbox.push(chunk.names, row)
    if chunk.last:
        _push_on(outbox, c.seq, chunk.last)
    else:
        outbox.changes.drop(pushing_key(c.mailbox, c.seq))
        outbox.put_post(replace(row, pushing=False))
    return outbox.outcome()


def _push_on(outbox: Outbox, seq: int, after: str) -> None:
    outbox.changes.put(pushing_key(outbox.mailbox, seq), Pushing(ORIGIN, after))
    outbox.go_on(PushOn(mailbox=outbox.mailbox, by=SYSTEM, seq=seq, after=after))


def switch_on(outbox: Outbox, c: SwitchOn) -> Outcome:
    """Tell the next followers how they get posts from here on."""
    _require_system(c)
    if outbox.delivery.switching and outbox.delivery.told == c.after:
        # Another switch waits for the next post or follower: of two tellings with one `src` the first counts.
        outbox.switch()
    return outbox.outcome()


def edit(outbox: Outbox, c: Edit) -> Outcome:
    """Give a post another body."""
    _require_author(outbox, c)
    row = outbox.post(c.seq)
    if bodies.same(row.body, c.body):
        return outbox.outcome(seq=c.seq)
    outbox.put_post(replace(row, body=c.body, edited=outbox.now))
    return outbox.outcome(seq=c.seq, offset=outbox.offset)


def delete(outbox: Outbox, c: Delete) -> Outcome:
    """Take a post's body away; its seq and id stay."""
    _require_author(outbox, c)
    row = outbox.view.message(c.mailbox, c.seq)
    if row is None:
        raise Refused(Code.NOT_FOUND, f"{outbox.author} has no post {c.seq}")
    if row.recalled:
        return outbox.outcome(seq=c.seq)
    head = outbox.view.head(c.mailbox).seq
    outbox.put_post(replace(row, body=NO_BODY, state="", recalled=head, recalled_by=c.by))
    return outbox.outcome(seq=c.seq, offset=outbox.offset)


def set_state(outbox: Outbox, c: SetState) -> Outcome:
    """Set what a post is now."""
    _require_author(outbox, c)
    row = outbox.post(c.seq)
    if row.state == (c.state or ""):
        return outbox.outcome(seq=c.seq, state=c.state)
    outbox.put_post(replace(row, state=c.state or ""))
    return outbox.outcome(seq=c.seq, state=c.state, offset=outbox.offset)


def follow(outbox: Outbox, c: Follow) -> Outcome:
    """Add followers; those who follow already stay as they are."""
    names = _themselves(c)
    rows = {name: outbox.view.member(c.mailbox, name) for name in names}
    for name, row in rows.items():
        if row is not None and row.blocked:
            raise Refused(Code.FORBIDDEN, f"{outbox.author} has blocked {name}")
    added = [name for name, row in rows.items() if row is None]
    if added:
        joined = outbox.view.head(c.mailbox).seq
        for name in added:
            outbox.put_member(name, Member(ORIGIN, joined, follow=outbox.offset))
        outbox.counted(len(added))
        outbox.settle()
        outbox.tell(added, follow=outbox.offset)
    return outbox.outcome(followers=outbox.state.members)


def unfollow(outbox: Outbox, c: Unfollow) -> Outcome:
    """Remove followers."""
    _remove(outbox, _followers_among(outbox, _themselves(c)))
    return outbox.outcome(followers=outbox.state.members)


def block(outbox: Outbox, c: Block) -> Outcome:
    """Keep users from following; those who do are removed."""
    names = _named(outbox, c)
    if outbox.author in names:
        raise Refused(Code.BAD_REQUEST, "authors don't block themselves")
    rows = {name: outbox.view.member(c.mailbox, name) for name in names}
    fresh = [name for name, row in rows.items() if row is None or not row.blocked]
    joined = outbox.view.head(c.mailbox).seq
    for name in fresh:
        outbox.put_member(name, Member(ORIGIN, joined, blocked=True))
    _ended(outbox, [name for name in fresh if rows[name] is not None])
    return outbox.outcome(followers=outbox.state.members)


def unblock(outbox: Outbox, c: Unblock) -> Outcome:
    """Let users follow again."""
    for name in _named(outbox, c):
        row = outbox.view.member(c.mailbox, name)
        if row is not None and row.blocked:
            outbox.drop_member(name)
    return outbox.outcome(followers=outbox.state.members)


def set_mode(outbox: Outbox, c: SetMode) -> Outcome:
    """Choose how this author's posts get to followers."""
    _require_system(c)
    if outbox.delivery.mode != c.mode:
        outbox.choose(c.mode)
        outbox.settle()
    return outbox.outcome(mode=c.mode)


def idle(outbox: Outbox, c: Idle) -> Outcome:
    """Push nothing more to a follower who has not looked for long, and who knows to pull."""
    _require_system(c)
    row = outbox.view.member(c.mailbox, c.member)
    if row is not None and row.follow == c.follow and not row.idle:
        outbox.put_member(c.member, replace(row, idle=True))
    return outbox.outcome()


def awake(outbox: Outbox, c: Awake) -> Outcome:
    """Push again to a follower who is back."""
    _require_system(c)
    row = outbox.view.member(c.mailbox, c.member)
    if row is not None and row.follow == c.follow and row.idle:
        outbox.put_member(c.member, replace(row, idle=False, follow=outbox.offset))
        outbox.tell([c.member], follow=outbox.offset)
    return outbox.outcome()


_RULES: dict[type, Callable[[Outbox, Any], Outcome]] = {
    Post: post,
    Edit: edit,
    Delete: delete,
    SetState: set_state,
    Follow: follow,
    Unfollow: unfollow,
    Block: block,
    Unblock: unblock,
    SetMode: set_mode,
    PushOn: push_on,
    SwitchOn: switch_on,
    Idle: idle,
    Awake: awake,
}


def _require_author(outbox: Outbox, c: AuthorCommand) -> None:
    if c.by not in (outbox.author, SYSTEM):
        raise Refused(Code.FORBIDDEN, "an outbox is its author's")


def _require_system(c: AuthorCommand) -> None:
    if c.by != SYSTEM:
        raise Refused(Code.FORBIDDEN, "only `system` may do that")


def _themselves(c: FollowersChange) -> tuple[str, ...]:
    """Who is to follow or to follow no more: the sender, or whomever `system` names."""
    names = tuple(dict.fromkeys(c.members or (c.by,)))
    if names != (c.by,) and c.by != SYSTEM:
        raise Refused(Code.FORBIDDEN, "users follow for themselves: leave `members` out")
    if SYSTEM in names:
        raise Refused(Code.BAD_REQUEST, "'system' follows nobody: name the followers in `members`")
    return names


def _named(outbox: Outbox, c: FollowersChange) -> tuple[str, ...]:
    _require_author(outbox, c)
    if c.members is None:
        raise Refused(Code.BAD_REQUEST, "`members` names the users")
    return tuple(dict.fromkeys(c.members))


def _followers_among(outbox: Outbox, names: Iterable[str]) -> list[str]:
    rows = {name: outbox.view.member(outbox.mailbox, name) for name in names}
    return [name for name, row in rows.items() if row is not None and not row.blocked]


def _remove(outbox: Outbox, names: list[str]) -> None:
    for name in names:
        outbox.drop_member(name)
    _ended(outbox, names)


def _ended(outbox: Outbox, names: list[str]) -> None:
    """What follows from it that followers are followers no more."""
    if names:
        # Told before a switch tells all who still have a row here: of two with one `src` the first counts.
        outbox.tell_end(names)
        outbox.counted(-len(names))
        outbox.settle()
