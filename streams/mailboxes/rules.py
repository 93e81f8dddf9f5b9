"""The rules of mailboxes: pure functions from what is kept and a command to what it does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, NoReturn

from msgspec import UNSET, Struct
from msgspec.structs import replace

from streams import bodies
from streams.commands import (
    ChangePolicy,
    Close,
    Create,
    Join,
    Leave,
    Mute,
    Recall,
    Role,
    Send,
    Subscribed,
    Sweep,
    Trim,
    Unsubscribed,
)
from streams.decisions import Changes, Effect, Moment, Outcome, Run
from streams.errors import Code, Refused
from streams.feeds import authors
from streams.feeds.limits import FeedLimits
from streams.ids import AUTHOR, PUBLIC, SYSTEM, author_of, parse_mailbox
from streams.mailboxes.view import BatchView, Room, Seat, View
from streams.public import rules as public
from streams.rate import advance, pace_of, refuse
from streams.schemas import MailboxCommand
from tables.fetching import Record
from tables.keys import SEQ, member_key, message_key, message_prefix, state_key
from tables.overlay import Row
from tables.rows import NO_BODY, ORIGIN, Member, Message, Policy, Position, State

TRIM_ROWS = 10_000
"""Messages that one trim drops at most: its rows are one record batch."""

RETAIN_SLACK = 100
"""How far a mailbox may outgrow its `retain` before it is trimmed: so that not every send trims."""

_NEVER = 1 << 63

_RANK = {"member": 1, "admin": 2, "owner": 3}


class Limits(Struct, frozen=True):
    """What the rules leave to the settings: seconds in which a sender may recall, and those of feeds."""

    recall_seconds: int = 120
    feeds: FeedLimits = FeedLimits()


def decide(view: BatchView, command: MailboxCommand, moment: Moment, limits: Limits) -> Outcome:
    """What a command does; raises `Refused`."""
    if command.mailbox.startswith(PUBLIC):
        return public.decide(view, command, moment)
    if command.mailbox.startswith(AUTHOR):
        return authors.decide(view, command, moment, limits.feeds)
    if type(command) is Send:
        return send(view, command, moment, limits)
    return _RULES[type(command)](view, command, moment, limits)


def send(view: View, c: Send, moment: Moment, limits: Limits) -> Outcome:
    """Give a message the next seq, or say why not. The same message again gets its first receipt."""
    seq = view.seq_of(c.mailbox, c.id)
    if seq is not None:
        return _sent_before(view, c, seq, moment)
    room = _room(view, c.mailbox, c.id)
    row = _next_message(room, _seat(view, room.state, c), c, moment.offset, moment.now)
    changes = Changes(moment)
    changes.put(message_key(c.mailbox, row.seq), row)
    state = view.state(c.mailbox)
    if state is None:
        return _first_message(c.mailbox, room.state, changes, moment)
    if row.seq > _untrimmed(state):
        _trim_to(view, changes, c.mailbox, state, row.seq - state.policy.retain)
    return Outcome(changes, [], None)


def _untrimmed(state: State) -> int:
    """The last seq before a mailbox is trimmed."""
    retain = state.policy.retain
    return state.floor + retain + RETAIN_SLACK if retain else _NEVER


def send_run(view: BatchView, commands: Iterable[tuple[Record, Any]]) -> Run:
    """The rows of the first commands, as far as each does nothing but add a message to its mailbox.

    The same as `send` for one after the other, several times as fast: what the messages share is looked
    up once. It ends before the first that is something else, is refused, or is answered by more than its row.
    """
    keys: list[bytes] = []
    rows: list[Row] = []
    rooms, fresh = view.rooms, view.fresh
    with suppress(Refused):
        for record, c in commands:
            if type(c) is not Send or c.id not in fresh:
                break
            mailbox, by = c.mailbox, c.by
            room = rooms.get(mailbox)
            if room is None:
                room = rooms[mailbox] = _room(view, mailbox, c.id)
            if room.seq >= room.plain or (c.reply and view.routes.passes_by(c.reply.to, mailbox)):
                break
            seat = room.seats.get(by)
            if seat is None:
                seat = room.seats[by] = _seat(view, room.state, c)
            row = _next_message(room, seat, c, record.offset, record.timestamp)
            fresh.remove(c.id)
            keys.append(room.prefix + SEQ % row.seq)
            rows.append(row)
    return Run(keys, rows)


def _next_message(room: Room, seat: Seat, c: Send, offset: int, ts: int) -> Message:
    """The message behind a room's last one, whose place it takes; refuses a sender who is muted or too fast."""
    if seat.muted > ts:
        raise Refused(Code.MUTED, "you are muted here", (seat.muted - ts) / 1_000)
    now = ts * 1_000
    of_mailbox, early = advance(room.arrival, room.pace, now)
    of_member, too_early = advance(seat.arrival, seat.pace, now)
    if (early or too_early) and c.by != SYSTEM:
        refuse(max(early, too_early))
    room.arrival, seat.arrival = of_mailbox, of_member
    room.seq = seq = room.seq + 1
    # Pages of several mailboxes find their place by time: it never goes back, whatever a broker's clock does.
    if ts > room.ts:
        room.ts = ts
    return Message(Position(offset, 0), seq, c.id, c.by, room.ts, c.body, (of_mailbox, of_member))


def _sent_before(view: View, c: Send, seq: int, moment: Moment) -> Outcome:
    row = view.message(c.mailbox, seq)
    if row is None or row.sender != c.by:
        raise Refused(Code.CONFLICT, "this id belongs to another message; use a new UUID")
    if not row.recalled and not bodies.same(row.body, c.body):
        raise Refused(Code.CONFLICT, "this id was used with another body; use a new UUID")
    if row.at.offset == moment.offset:
        return Outcome([], [], None)
    return Outcome(
        [], [], {"mailbox": c.mailbox, "id": c.id, "seq": seq, "ts": row.ts, "duplicate": True}
    )


def _room(view: View, mailbox: str, message_id: str) -> Room:
    """A mailbox that may be sent to; one that exists with its first message has the epoch of that."""
    kept = _open_group(view, mailbox) if mailbox.startswith("group:") else view.state(mailbox)
    state = kept or State(ORIGIN, message_id, members=len(_fixed_readers(mailbox)))
    plain = 0 if kept is None or mailbox.startswith((PUBLIC, AUTHOR)) else _untrimmed(kept)
    head = view.head(mailbox)
    last = view.message(mailbox, head.seq) if plain else None
    pace = pace_of(state.policy.mailbox_rate)
    prefix = message_prefix(mailbox)
    return Room(state, pace, head.seq, last.ts if last else 0, head.arrival, plain, prefix, {})


def _seat(view: View, state: State, c: Send) -> Seat:
    """The sender's; refuses one who may not post."""
    member = _sender(view, state, c)
    muted = member.muted if member is not None else 0
    if member is not None and member.role == "member":
        if state.policy.post == "admins":
            raise Refused(Code.FORBIDDEN, "only admins may post here")
        muted = max(muted, state.muted)
    arrival = view.own(c.mailbox, c.by).arrival
    return Seat(muted, pace_of(state.policy.member_rate), arrival)


def _sender(view: View, state: State, c: Send) -> Member | None:
    """The sender's membership, if there is one to have: refuses those who are not in the mailbox."""
    if c.by == SYSTEM:
        return None
    if c.mailbox.startswith("group:"):
        return _member(view, state, c.mailbox, c.by)
    if c.mailbox.startswith("user:"):
        raise Refused(Code.FORBIDDEN, "only trusted producers write to a user's mailbox")
    if c.by not in _fixed_readers(c.mailbox):
        raise Refused(Code.NOT_MEMBER, "you are not one of these two")
    return None


def _first_message(mailbox: str, state: State, changes: Changes, moment: Moment) -> Outcome:
    """A mailbox that exists with its first message: it and its readers' subscriptions come with that."""
    changes.put(state_key(mailbox), state)
    return Outcome(
        changes,
        [_subscribe(mailbox, user, moment.offset) for user in _fixed_readers(mailbox)],
        None,
    )


def _fixed_readers(mailbox: str) -> tuple[str, ...]:
    parsed = parse_mailbox(mailbox)
    return parsed.pair if parsed.kind == "direct" else (parsed.name,)


def _trim_to(view: View, changes: Changes, mailbox: str, state: State, upto: int) -> int:
    """Drop messages up to `upto`, as many as one command may; returns the new floor."""
    floor = min(upto, state.floor + TRIM_ROWS)
    first = _first_kept(view, mailbox, state)
    _drop_messages(changes, mailbox, range(first, floor + 1))
    changes.put(state_key(mailbox), replace(state, floor=floor))
    return floor


def _drop_messages(changes: Changes, mailbox: str, seqs: range) -> None:
    for seq in seqs:
        changes.drop(message_key(mailbox, seq))


def _first_kept(view: View, mailbox: str, state: State) -> int:
    """The first seq that may be kept: at its floor, what carried the head when a group was made anew."""
    if state.generation > 1 and view.message(mailbox, state.floor) is not None:
        return state.floor
    return state.floor + 1


def create(view: View, c: Create, moment: Moment, limits: Limits) -> Outcome:
    """Make a group, or make a closed one anew: later seqs, a new epoch, and none of its old members."""
    if not c.mailbox.startswith("group:"):
        raise Refused(
            Code.BAD_REQUEST,
            "only groups are created; a direct mailbox exists with its first message",
        )
    if c.by == SYSTEM:
        raise Refused(Code.BAD_REQUEST, "a group is owned by a user: name its owner in 'by'")
    old = view.state(c.mailbox)
    if old is not None and old.epoch == c.id:
        return Outcome([], [], _standing(view, c.mailbox, old, (c.by,)))
    if old is not None and not old.closed:
        raise Refused(Code.CONFLICT, "this group exists; choose another id")
    head = view.head(c.mailbox).seq
    generation = old.generation + 1 if old else 1
    state = State(
        ORIGIN, c.id, c.by, c.policy, members=1, generation=generation, floor=head if old else 0
    )
    changes = Changes(moment)
    changes.put(state_key(c.mailbox), state)
    changes.put(member_key(c.mailbox, c.by), Member(ORIGIN, head, "owner", generation=generation))
    effects = [_subscribe(c.mailbox, c.by, moment.offset)]
    if old is not None and (first := _first_kept(view, c.mailbox, old)) < head:
        effects.append(_sweep(c.mailbox, first - 1, head - 1))
    return Outcome(changes, effects, _standing(view, c.mailbox, state, (c.by,)))


def join(view: BatchView, c: Join, moment: Moment, limits: Limits) -> Outcome:
    """Add members; those who are in already stay as they are."""
    state = _open_group(view, c.mailbox)
    names = tuple(dict.fromkeys(c.members or (c.by,)))
    if SYSTEM in names:
        raise Refused(Code.BAD_REQUEST, "'system' can't be a member")
    if names != (c.by,):
        _require(view, state, c, "admin", "only admins add others")
    elif state.policy.join == "invite" and _find_member(view, state, c.mailbox, c.by) is None:
        raise Refused(Code.FORBIDDEN, "this group is by invitation: ask an admin to add you")
    view.look_up_members(c.mailbox, names)
    added = [name for name in names if _find_member(view, state, c.mailbox, name) is None]
    result = _standing(view, c.mailbox, state, names)
    if not added:
        return Outcome([], [], result)
    head = view.head(c.mailbox).seq
    changes = Changes(moment)
    for name in added:
        changes.put(member_key(c.mailbox, name), Member(ORIGIN, head, generation=state.generation))
    changes.put(state_key(c.mailbox), replace(state, members=state.members + len(added)))
    return Outcome(changes, [_subscribe(c.mailbox, name, moment.offset) for name in added], result)


def leave(view: BatchView, c: Leave, moment: Moment, limits: Limits) -> Outcome:
    """Remove members; the owner hands the group on or closes it first."""
    state = _group(view, c.mailbox)
    names = tuple(dict.fromkeys(c.members or (c.by,)))
    if names != (c.by,):
        _require(view, state, c, "admin", "only admins remove others")
    if state.owner in names and not state.closed:
        raise Refused(
            Code.CONFLICT,
            "the owner can't leave: give the role 'owner' to another, or close the group",
        )
    view.look_up_members(c.mailbox, names)
    removed = [name for name in names if _find_member(view, state, c.mailbox, name) is not None]
    if not removed:
        return Outcome([], [], {"mailbox": c.mailbox, "members": names})
    changes = Changes(moment)
    for name in removed:
        changes.drop(member_key(c.mailbox, name))
    changes.put(state_key(c.mailbox), replace(state, members=state.members - len(removed)))
    effects = [
        Effect(name, Unsubscribed(user=name, by=SYSTEM, mailbox=c.mailbox, src=moment.offset))
        for name in removed
    ]
    return Outcome(changes, effects, {"mailbox": c.mailbox, "members": names})


def role(view: View, c: Role, moment: Moment, limits: Limits) -> Outcome:
    """Change a member's role."""
    state = _open_group(view, c.mailbox)
    # Who has handed `owner` on may do so again: a retry must not be refused.
    handed_on = c.role == "owner" and c.member == state.owner
    _require(view, state, c, "admin" if handed_on else "owner", "only the owner gives roles")
    member = _member(view, state, c.mailbox, c.member)
    changes = Changes(moment)
    if member.role == c.role:
        return Outcome(changes, [], {"mailbox": c.mailbox})
    if member.role == "owner":
        raise Refused(Code.CONFLICT, "a group has one owner: give the role to another instead")
    changes.put(member_key(c.mailbox, c.member), replace(member, role=c.role))
    if c.role == "owner":
        old = _member(view, state, c.mailbox, state.owner)
        changes.put(member_key(c.mailbox, state.owner), replace(old, role="admin"))
        changes.put(state_key(c.mailbox), replace(state, owner=c.member))
    return Outcome(changes, [], {"mailbox": c.mailbox})


def mute(view: View, c: Mute, moment: Moment, limits: Limits) -> Outcome:
    """Silence a member or all but admins."""
    state = _open_group(view, c.mailbox)
    _require(view, state, c, "admin", "only admins mute")
    changes = Changes(moment)
    if c.member is None:
        if state.muted != c.until:
            changes.put(state_key(c.mailbox), replace(state, muted=c.until))
        return Outcome(changes, [], {"mailbox": c.mailbox})
    member = _member(view, state, c.mailbox, c.member)
    if member.role != "member" and not _is(view, state, c, "owner"):
        raise Refused(Code.FORBIDDEN, "only the owner mutes an admin")
    if member.muted != c.until:
        changes.put(member_key(c.mailbox, c.member), replace(member, muted=c.until))
    return Outcome(changes, [], {"mailbox": c.mailbox})


def recall(view: View, c: Recall, moment: Moment, limits: Limits) -> Outcome:
    """Take a message's body back; its seq and id stay, so that a retry of it is still known."""
    state = _existing(view, c.mailbox)
    _require_reader(view, state, c)
    message = view.message(c.mailbox, c.seq) if c.seq > state.floor else None
    if message is None:
        raise Refused(Code.NOT_FOUND, f"there is no message {c.seq}")
    result = {"mailbox": c.mailbox, "seq": c.seq}
    if message.recalled:
        return Outcome([], [], result)
    if not _is(view, state, c, "admin"):
        if message.sender != c.by:
            raise Refused(Code.FORBIDDEN, "only its sender or an admin recalls a message")
        if moment.now - message.ts > limits.recall_seconds * 1_000:
            raise Refused(
                Code.FORBIDDEN, f"a message can be recalled for {limits.recall_seconds} s"
            )
    head = view.head(c.mailbox).seq
    changes = Changes(moment)
    row = replace(message, body=NO_BODY, recalled=head, recalled_by=c.by)
    changes.put(message_key(c.mailbox, c.seq), row)
    return Outcome(changes, [], result)


def change_policy(view: View, c: ChangePolicy, moment: Moment, limits: Limits) -> Outcome:
    """Change some fields of the policy."""
    state = _open_group(view, c.mailbox)
    _require(view, state, c, "admin", "only admins change the policy")
    changed = {
        field: value
        for field in Policy.__struct_fields__
        if (value := getattr(c.policy, field)) is not UNSET
    }
    policy = replace(state.policy, **changed)
    changes = Changes(moment)
    if policy != state.policy:
        changes.put(state_key(c.mailbox), replace(state, policy=policy))
    return Outcome(changes, [], {"mailbox": c.mailbox})


def close(view: View, c: Close, moment: Moment, limits: Limits) -> Outcome:
    """End a group."""
    state = _group(view, c.mailbox)
    _require(view, state, c, "owner", "only the owner closes a group")
    changes = Changes(moment)
    if not state.closed:
        changes.put(state_key(c.mailbox), replace(state, closed=True))
    return Outcome(changes, [], {"mailbox": c.mailbox})


def trim(view: View, c: Trim, moment: Moment, limits: Limits) -> Outcome:
    """Drop old messages. The last one stays: it carries the head."""
    state = _existing(view, c.mailbox)
    _require(view, state, c, "admin", "only admins trim")
    upto = min(c.upto, view.head(c.mailbox).seq - 1)
    changes = Changes(moment)
    floor = state.floor
    if upto > floor:
        floor = _trim_to(view, changes, c.mailbox, state, upto)
    return Outcome(changes, [], {"mailbox": c.mailbox, "floor": floor, "more": floor < upto})


def sweep(view: View, c: Sweep, moment: Moment, limits: Limits) -> Outcome:
    """Drop messages that lie below the floor of a group that was made anew, as many as one command may."""
    state = _existing(view, c.mailbox)
    if c.by != SYSTEM:
        raise Refused(Code.FORBIDDEN, "only the group's own agent sweeps; admins trim")
    upto = min(c.upto, state.floor - 1)
    last = min(c.after + TRIM_ROWS, upto)
    if last <= c.after or view.message(c.mailbox, last) is None:
        # Swept before: the same effect may come twice.
        return Outcome([], [], None)
    changes = Changes(moment)
    _drop_messages(changes, c.mailbox, range(c.after + 1, last + 1))
    effects = [_sweep(c.mailbox, last, upto)] if last < upto else []
    return Outcome(changes, effects, None)


def _sweep(mailbox: str, after: int, upto: int) -> Effect:
    return Effect(mailbox, Sweep(mailbox=mailbox, by=SYSTEM, after=after, upto=upto))


def may_read(view: View, mailbox: str, user: str) -> bool:
    """Whether a user may read a mailbox that exists."""
    if user == SYSTEM:
        return True
    if mailbox.startswith(PUBLIC):
        # Not everything in it has reached everybody: gateways ask as `system` and show each user theirs.
        return False
    if mailbox.startswith(AUTHOR):
        # Others are shown what is not being pushed any more, and only if they aren't blocked.
        return user == author_of(mailbox)
    if not mailbox.startswith("group:"):
        return user in _fixed_readers(mailbox)
    state = view.state(mailbox)
    return state is not None and _find_member(view, state, mailbox, user) is not None


_RULES: dict[type, Callable[[BatchView, Any, Moment, Limits], Outcome]] = {
    Create: create,
    Join: join,
    Leave: leave,
    Role: role,
    Mute: mute,
    Recall: recall,
    ChangePolicy: change_policy,
    Close: close,
    Trim: trim,
    Sweep: sweep,
}


def _existing(view: View, mailbox: str) -> State:
    state = view.state(mailbox)
    if state is None:
        raise Refused(Code.NOT_FOUND, "there is no such mailbox")
    return state


def _group(view: View, mailbox: str) -> State:
    if not mailbox.startswith("group:"):
        raise Refused(Code.BAD_REQUEST, "only groups have members that come and go")
    return _existing(view, mailbox)


def _open_group(view: View, mailbox: str) -> State:
    state = _group(view, mailbox)
    if state.closed:
        raise Refused(Code.FORBIDDEN, "this group is closed")
    return state


def _find_member(view: View, state: State, mailbox: str, user: str) -> Member | None:
    member = view.member(mailbox, user)
    return member if member is not None and member.generation == state.generation else None


def _member(view: View, state: State, mailbox: str, user: str) -> Member:
    member = _find_member(view, state, mailbox, user)
    if member is None:
        _not_member(user)
    return member


def _not_member(user: str) -> NoReturn:
    raise Refused(Code.NOT_MEMBER, f"{user} is not in this group")


def _is(view: View, state: State, c: MailboxCommand, role: str) -> bool:
    """Whether who acts has at least this role."""
    if c.by == SYSTEM:
        return True
    member = _find_member(view, state, c.mailbox, c.by)
    return member is not None and _RANK[member.role] >= _RANK[role]


def _require(view: View, state: State, c: MailboxCommand, role: str, message: str) -> None:
    if _is(view, state, c, role):
        return
    _require_reader(view, state, c)
    raise Refused(Code.FORBIDDEN, message)


def _require_reader(view: View, state: State, c: MailboxCommand) -> None:
    if not may_read(view, c.mailbox, c.by):
        _not_member(c.by)


def _standing(view: View, mailbox: str, state: State, members: tuple[str, ...]) -> dict[str, Any]:
    return {
        "mailbox": mailbox,
        "epoch": state.epoch,
        "head": view.head(mailbox).seq,
        "members": members,
    }


def _subscribe(mailbox: str, user: str, offset: int) -> Effect:
    return Effect(user, Subscribed(user=user, by=SYSTEM, mailbox=mailbox, src=offset))
