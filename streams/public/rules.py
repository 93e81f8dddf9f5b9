"""The rules of public mailboxes: what operators publish, release further and withdraw.

Who is an operator is for the producers to check. Each accepted command is one entry, which is
what readers get and the audit trail at once.
"""

from __future__ import annotations

from typing import Any

import msgspec

from streams.commands import Publish, Release, Withdraw
from streams.decisions import Changes, Moment, Outcome
from streams.errors import Code, Refused
from streams.mailboxes.view import View
from streams.public.layout import Standing
from streams.schemas import MailboxCommand
from tables.keys import message_key, state_key
from tables.rows import ORIGIN, AnyEntry, Position, Published, Released, State, Withdrawn


def decide(view: View, c: MailboxCommand, moment: Moment) -> Outcome:
    """What a command does; raises `Refused`."""
    if not isinstance(c, Publish | Release | Withdraw):
        raise Refused(
            Code.FORBIDDEN, "a public mailbox takes only publish, release, withdraw and query"
        )
    seq = view.seq_of(c.mailbox, c.id)
    if seq is not None:
        return _decided_before(view, c, seq, moment)
    match c:
        case Publish():
            _check_publish(c, moment)
        case Release():
            _check_release(view, c, moment)
        case Withdraw():
            _check_standing(view, c)
    return _accept(view, c, moment)


def _check_publish(c: Publish, moment: Moment) -> None:
    if 0 < c.expires <= moment.now:
        raise Refused(Code.BAD_REQUEST, "expires: this time has passed; 0 means never")


def _check_release(view: View, c: Release, moment: Moment) -> None:
    standing = _check_standing(view, c)
    if standing.expired(moment.now):
        raise Refused(Code.CONFLICT, f"publish {c.publish} has expired; publish it anew")
    if c.release.percent < standing.percent:
        raise Refused(
            Code.BAD_REQUEST,
            f"a release only grows: publish {c.publish} is at {standing.percent:g} %",
        )


def _check_standing(view: View, c: Release | Withdraw) -> Standing:
    """How the publish stands, if that is what the operator has seen."""
    standing = view.standing(c.mailbox, c.publish)
    if standing is None:
        raise Refused(Code.NOT_FOUND, f"there is no publish {c.publish}")
    if standing.last != c.expect:
        raise Refused(
            Code.CONFLICT,
            f"the last entry about publish {c.publish} is {standing.last}, not {c.expect}: "
            "look at it, and decide again",
        )
    if standing.withdrawn:
        raise Refused(Code.CONFLICT, f"publish {c.publish} is withdrawn")
    return standing


def _accept(view: View, c: Publish | Release | Withdraw, moment: Moment) -> Outcome:
    seq = view.head(c.mailbox).seq + 1
    entry = _entry(c, ORIGIN, seq, moment.now)
    changes = Changes(moment)
    changes.put(message_key(c.mailbox, seq), entry)
    if view.state(c.mailbox) is None:
        changes.put(state_key(c.mailbox), State(ORIGIN, c.id))
    return Outcome(changes, [], _receipt(c, entry))


def _decided_before(
    view: View, c: Publish | Release | Withdraw, seq: int, moment: Moment
) -> Outcome:
    entry = view.entry(c.mailbox, seq)
    if entry is None or not _same(entry, _entry(c, entry.at, seq, entry.ts)):
        raise Refused(Code.CONFLICT, "this id was used for something else; use a new UUID")
    receipt = _receipt(c, entry)
    # The very same record, decided again after a restart, is no duplicate.
    return Outcome(
        [], [], receipt if entry.at.offset == moment.offset else receipt | {"duplicate": True}
    )


def _receipt(c: Publish | Release | Withdraw, entry: AnyEntry) -> dict[str, Any]:
    return {"mailbox": c.mailbox, "id": c.id, "seq": entry.seq, "ts": entry.ts}


def _entry(c: Publish | Release | Withdraw, at: Position, seq: int, ts: int) -> AnyEntry:
    match c:
        case Publish():
            return Published(
                at,
                seq,
                c.id,
                c.by,
                ts,
                c.title,
                c.body,
                c.release,
                c.expires,
                c.priority,
                c.audience,
            )
        case Release():
            return Released(at, seq, c.id, c.by, ts, c.publish, c.release, c.expect)
        case Withdraw():
            return Withdrawn(at, seq, c.id, c.by, ts, c.publish, c.expect)


def _same(one: AnyEntry, other: AnyEntry) -> bool:
    """Whether two entries say the same, whatever spaces and order of keys the JSON in them has."""
    return bool(_plain(one) == _plain(other))


def _plain(entry: AnyEntry) -> Any:
    return msgspec.json.decode(msgspec.json.encode(entry))
