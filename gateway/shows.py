"""How answers are shown to clients: a reply or a row becomes the events of one request."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import orjson
import structlog

from gateway import answers, wire
from gateway.errors import unavailable
from gateway.feed_pages import Page as FeedPage
from gateway.notices import opened_event
from gateway.requests import Answer, Requests
from gateway.session import Session
from gateway.timeline import Page
from streams.errors import Refused
from streams.feeds.order import format_id
from streams.schemas import MailboxCommand, UserCommand
from tables.rows import Cursor, Message, Position, PostId

log = structlog.get_logger()

Show = Callable[[Answer], list[bytes]]
"""The events that show an answer to the client."""


async def ask(
    requests: Requests,
    session: Session,
    frame: wire.Frame,
    command: MailboxCommand | UserCommand,
    show: Show,
) -> None:
    """Produce a command now; its answer becomes events whenever it comes."""
    future, ref = await requests.ask(command, session.quota), frame.ref
    future.add_done_callback(lambda done: _answer(session, ref, show, done.result()))


def _answer(session: Session, ref: wire.Ref, show: Show, answer: Answer) -> None:
    if isinstance(answer, Refused):
        session.refuse(answer, ref)
        return
    try:
        session.emit(*show(answer))
    except (msgspec.DecodeError, TypeError):
        log.exception("answer not understood", session=session.id)
        session.refuse(unavailable("the answer could not be read; try again"), ref)


def sent(mailbox: str, ref: wire.Ref, answer: Answer) -> list[bytes]:
    """A `send`: its row, or the receipt of a duplicate."""
    receipt = answer if isinstance(answer, Message) else answers.decode_receipt(_raw(answer))
    event = wire.event(
        "sent",
        ref,
        mailbox=mailbox,
        id=receipt.id,
        seq=receipt.seq,
        ts=receipt.ts,
        duplicate=isinstance(receipt, answers.Receipt) and receipt.duplicate,
    )
    return [event]


def named(op: str, frame: wire.CommandFrame, answer: Answer) -> list[bytes]:
    """`create`, `join` and `leave`: who and where."""
    found = answers.decode_named(_raw(answer))
    fields: dict[str, object] = {"mailbox": frame.mailbox}
    if op != "created":
        fields["members"] = found.members
    if op != "left":
        fields |= {"epoch": found.epoch, "head": found.head}
    return [wire.event(op, frame.ref, **fields)]


def members_of(answer: Answer) -> list[str]:
    """The members that an answer to `create` or `join` names."""
    return answers.decode_named(_raw(answer)).members


def passed(op: str, frame: wire.Frame, answer: Answer) -> list[bytes]:
    """A result that clients get as it is."""
    return [wire.event(op, frame.ref, **orjson.loads(bytes(_raw(answer))))]


def history(mailbox: str, ref: wire.Ref, answer: Answer) -> list[bytes]:
    """A page, after what was recalled of the messages before it."""
    page = answers.decode_history(_raw(answer))
    event = wire.event(
        "history",
        ref,
        mailbox=mailbox,
        epoch=page.epoch,
        head=page.head,
        messages=[wire.message_fields(row) for row in page.messages],
        more=page.more,
    )
    return [*(wire.recalled_event(mailbox, seq, None) for seq in page.recalled), event]


def timeline(ref: wire.Ref, page: Page) -> bytes:
    """A page of all mailboxes, and the place before which there is more."""
    return wire.event(
        "history",
        ref,
        mailbox=None,
        messages=[item.fields for item in page.items],
        place=page.items[0].place if page.more else None,
        more=page.more,
    )


def recalled(frame: wire.Recall, by: str, _answer: Answer) -> list[bytes]:
    """A `recall`, for the session that asked."""
    return [wire.recalled_event(frame.mailbox, frame.seq, by, frame.ref)]


def done(frame: wire.CommandFrame, answer: Answer) -> list[bytes]:
    """The operations that manage a mailbox."""
    fields = orjson.loads(bytes(_raw(answer))) | {"mailbox": frame.mailbox, "of": wire.op_of(frame)}
    return [wire.event("done", frame.ref, **fields)]


def opened(frame: wire.Open, _answer: Answer) -> list[bytes]:
    """An `open`."""
    return [opened_event(frame.mailbox, frame.publish, frame.ref)]


def accepted(
    op: str, frame: wire.Publish | wire.Release | wire.Withdraw, answer: Answer
) -> list[bytes]:
    """An operator's command: which entry it became."""
    receipt = answers.decode_receipt(_raw(answer))
    event = wire.event(
        op,
        frame.ref,
        mailbox=frame.mailbox,
        publish=receipt.seq if isinstance(frame, wire.Publish) else frame.publish,
        entry=receipt.seq,
        ts=receipt.ts,
        duplicate=receipt.duplicate,
    )
    return [event]


def entries(frame: wire.Entries, answer: Answer) -> list[bytes]:
    """A page of the audit trail, newest first."""
    page = orjson.loads(bytes(_raw(answer)))
    newest = page["messages"][::-1]
    return [
        wire.event("entries", frame.ref, mailbox=frame.mailbox, entries=newest, more=page["more"])
    ]


def posted(
    frame: wire.MakePost, author: str, answer: Answer
) -> tuple[list[bytes], answers.Receipt]:
    """A `post`: the post that it became, and its receipt."""
    receipt = answers.decode_receipt(_raw(answer))
    event = wire.event(
        "posted",
        frame.ref,
        id=receipt.id,
        post=format_id(PostId(receipt.ts, receipt.seq, author)),
        seq=receipt.seq,
        ts=receipt.ts,
        duplicate=receipt.duplicate,
    )
    return [event], receipt


def post_done(frame: wire.PostFrame, _answer: Answer) -> list[bytes]:
    """The operations that change a post."""
    return [wire.event("done", frame.ref, of=wire.op_of(frame), post=frame.post)]


def changed_at(answer: Answer) -> Position | None:
    """Where a change of a post stands in the order of decisions; None if nothing was written."""
    offset = answers.decode_change(_raw(answer)).offset
    return None if offset is None else Position(offset, 0)


def followed(frame: wire.AuthorFrame, answer: Answer) -> list[bytes]:
    """A `follow` or `unfollow`: how many follow the author."""
    followers = answers.decode_followers(_raw(answer)).followers
    of = wire.op_of(frame)
    return [wire.event("done", frame.ref, of=of, author=frame.author, followers=followers)]


def blocked(frame: wire.MembersFrame, _answer: Answer) -> list[bytes]:
    """A `block` or `unblock`."""
    return [wire.event("done", frame.ref, of=wire.op_of(frame), members=frame.members)]


def mode_done(frame: wire.ChooseDelivery, _answer: Answer) -> list[bytes]:
    """A `mode`."""
    of = wire.op_of(frame)
    return [wire.event("done", frame.ref, of=of, author=frame.author, mode=frame.mode)]


def feed(ref: wire.Ref, page: FeedPage) -> bytes:
    """A page of a feed: its posts are ready JSON."""
    fields = b'"posts":[%b],"last_id":%b,"new":%d' % (
        b",".join(page.posts),
        b"null" if page.last is None else b'"%b"' % format_id(page.last).encode(),
        page.new,
    )
    if page.snapshot is not None:
        kept = page.snapshot
        fields += b',"snapshot":"%b","expires":%d' % (kept.id.encode(), kept.expires)
    return wire.ready_event("feed", ref, fields)


def read_of(answer: Answer) -> int:
    """Where a `read` or `unread` has moved the cursor."""
    if isinstance(answer, Cursor):
        return answer.read
    return answers.decode_moved(_raw(answer)).read


def _raw(answer: Answer) -> msgspec.Raw:
    if not isinstance(answer, msgspec.Raw):
        raise TypeError(f"expected a reply, not {type(answer).__name__}")
    return answer
