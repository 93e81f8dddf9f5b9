"""What the client operations of public mailboxes do: those of users, and those of operators."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import msgspec
import orjson
import structlog

from gateway import notices, wire
from gateway.answers import decode_counts, decode_receipt
from gateway.boards import Boards, PublicBoard
from gateway.errors import unavailable
from gateway.loader import Loader
from gateway.notices import now_ms
from gateway.requests import Answer, Requests, result_of
from gateway.session import Session
from gateway.settings import Settings
from gateway.spread import Spreads
from gateway.touching import Touching
from streams import commands
from streams.errors import Code, Refused
from streams.ids import SYSTEM
from streams.public import checks
from streams.public.board import Notice
from streams.schemas import MailboxCommand, UserCommand

log = structlog.get_logger()

Handle = Callable[[Session, Any], Awaitable[None]]

COUNTS_SECONDS = 1.0
"""Least time between two questions for counts, which go to every partition."""

Totals = dict[int, tuple[int, int]]


class PublicOperations:
    """Handles the frames about public mailboxes."""

    def __init__(
        self,
        requests: Requests,
        loader: Loader,
        boards: Boards,
        touching: Touching,
        spreads: Spreads,
        settings: Settings,
    ) -> None:
        self._requests = requests
        self._loader = loader
        self._boards = boards
        self._touching = touching
        self._spreads = spreads
        self._settings = settings
        self._counts = Counts(requests, boards, settings.pipeline.partitions)
        self.handlers: dict[type[wire.Frame], Handle] = {
            wire.Notices: self._notices,
            wire.Open: self._open,
            wire.Publish: _for_operators(self._publish),
            wire.Release: _for_operators(self._release),
            wire.Withdraw: _for_operators(self._withdraw),
            wire.ShowBoard: _for_operators(self._board),
            wire.Entries: _for_operators(self._entries),
            wire.Preview: _for_operators(self._preview),
        }

    def claims_changed(self, session: Session) -> None:
        """A session has brought a token."""
        self._touching.claims_changed(session.user)
        self._touching.look(session.user)
        if not _is_operator(session):
            self._spreads.watchers.discard(session)

    def left(self, session: Session) -> None:
        """A session has ended."""
        self._spreads.watchers.discard(session)

    async def _notices(self, session: Session, frame: wire.Notices) -> None:
        if session.user.has_cursors:
            self._show_notices(session, frame)
        else:
            session.spawn(self._find(session, frame), frame.ref)

    async def _find(self, session: Session, frame: wire.Notices) -> None:
        await self._loader.cursors(session.user)
        self._show_notices(session, frame)

    def _show_notices(self, session: Session, frame: wire.Notices) -> None:
        json = notices.page_json(
            self._boards, session.user, frame.mailbox, frame.before, frame.limit
        )
        session.emit(wire.ready_event("notices", frame.ref, json))

    async def _open(self, session: Session, frame: wire.Open) -> None:
        user = session.user
        _, notice = self._notice(frame.mailbox, frame.publish)
        if notices.reaches_at(notice, user) is None or notice.over(now_ms()):
            raise Refused(Code.NOT_FOUND, f"there is no publish {frame.publish} for you")
        command = commands.Open(
            user=user.name,
            by=user.name,
            reply=self._requests.address(),
            mailbox=frame.mailbox,
            publish=frame.publish,
        )
        fields = {"mailbox": frame.mailbox, "publish": frame.publish}
        await self._ask(
            session, frame, command, lambda _: wire.event("opened", frame.ref, **fields)
        )

    async def _publish(self, session: Session, frame: wire.Publish) -> None:
        if len(frame.body) > self._settings.body_bytes:
            message = f"a body is at most {self._settings.body_bytes} bytes"
            raise Refused(Code.TOO_LARGE, message)
        wire.check_body(bytes(frame.body))
        command = commands.Publish(
            mailbox=frame.mailbox,
            by=session.user.name,
            reply=self._requests.address(),
            id=frame.id or str(uuid.uuid4()),
            title=frame.title,
            body=frame.body,
            release=frame.release,
            expires=frame.expires,
            priority=frame.priority,
            audience=frame.audience,
        )
        checks.check(command)
        await self._ask(session, frame, command, partial(_accepted, "published", frame, None))

    async def _release(self, session: Session, frame: wire.Release) -> None:
        command = commands.Release(
            mailbox=frame.mailbox,
            by=session.user.name,
            reply=self._requests.address(),
            id=frame.id or str(uuid.uuid4()),
            publish=frame.publish,
            release=frame.release,
            expect=frame.expect,
        )
        checks.check(command)
        await self._ask(
            session, frame, command, partial(_accepted, "released", frame, frame.publish)
        )

    async def _withdraw(self, session: Session, frame: wire.Withdraw) -> None:
        command = commands.Withdraw(
            mailbox=frame.mailbox,
            by=session.user.name,
            reply=self._requests.address(),
            id=frame.id or str(uuid.uuid4()),
            publish=frame.publish,
            expect=frame.expect,
        )
        await self._ask(
            session, frame, command, partial(_accepted, "withdrew", frame, frame.publish)
        )

    async def _board(self, session: Session, frame: wire.ShowBoard) -> None:
        self._spreads.watchers.add(session)
        session.spawn(self._show_board(session, frame), frame.ref)

    async def _show_board(self, session: Session, frame: wire.ShowBoard) -> None:
        counts = await self._counts.latest()
        mailboxes = [
            _board_fields(board, counts.get(board.mailbox, {})) for board in self._boards.all()
        ]
        session.emit(wire.event("board", frame.ref, mailboxes=mailboxes))

    async def _entries(self, session: Session, frame: wire.Entries) -> None:
        query = commands.Query(
            mailbox=frame.mailbox,
            by=SYSTEM,
            reply=self._requests.address(),
            what="history",
            before=frame.before,
            limit=frame.limit,
        )
        await self._ask(session, frame, query, partial(_entries_event, frame))

    async def _preview(self, session: Session, frame: wire.Preview) -> None:
        board, notice = self._notice(frame.mailbox, frame.publish)
        reached, why = _judge(notice, frame)
        shown = None if reached is None else notices.fields(board, notice, reached)
        session.emit(
            wire.event(
                "preview",
                frame.ref,
                mailbox=frame.mailbox,
                publish=frame.publish,
                user=frame.user,
                reached=reached,
                why=why,
                notice=shown,
            )
        )

    def _notice(self, mailbox: str, publish: int) -> tuple[PublicBoard, Notice]:
        board = self._boards.get(mailbox)
        notice = board.board.notices.get(publish) if board else None
        if board is None or notice is None:
            raise Refused(Code.NOT_FOUND, f"there is no publish {publish} in {mailbox}")
        return board, notice

    async def _ask(
        self,
        session: Session,
        frame: wire.Frame,
        command: MailboxCommand | UserCommand,
        show: Callable[[msgspec.Raw], bytes],
    ) -> None:
        future = await self._requests.ask(command, session.quota)
        future.add_done_callback(lambda done: _answer(session, frame.ref, show, done.result()))


class Counts:
    """Totals of touched and opened over all partitions, asked at most once a second for all who want them."""

    def __init__(self, requests: Requests, boards: Boards, partitions: int) -> None:
        self._requests = requests
        self._boards = boards
        self._partitions = partitions
        self._loop = asyncio.get_running_loop()
        self._asked = 0.0
        self._task: asyncio.Task[dict[str, Totals]] | None = None

    async def latest(self) -> dict[str, Totals]:
        """Per mailbox and publish; raises `Refused` where a partition doesn't answer."""
        now = self._loop.time()
        if self._task is None or (self._task.done() and now - self._asked >= COUNTS_SECONDS):
            self._asked = now
            self._task = asyncio.create_task(self._ask_all())
        return await asyncio.shield(self._task)

    async def _ask_all(self) -> dict[str, Totals]:
        mailboxes = [board.mailbox for board in self._boards.all()]
        answers = [
            (mailbox, await self._ask(mailbox, number))
            for mailbox in mailboxes
            for number in range(self._partitions)
        ]
        counts: dict[str, Totals] = {mailbox: {} for mailbox in mailboxes}
        for mailbox, answer in answers:
            totals = counts[mailbox]
            for publish, (touched, opened) in decode_counts(await result_of(answer)).counts.items():
                before = totals.get(publish, (0, 0))
                totals[publish] = before[0] + touched, before[1] + opened
        return counts

    async def _ask(self, mailbox: str, partition: int) -> asyncio.Future[Answer]:
        query = commands.UserQuery(
            user=SYSTEM,
            by=SYSTEM,
            reply=self._requests.address(),
            what="counts",
            mailbox=mailbox,
        )
        return await self._requests.ask(query, partition=partition)


def _is_operator(session: Session) -> bool:
    return session.identity is not None and session.identity.is_operator


def _for_operators(handle: Handle) -> Handle:
    async def checked(session: Session, frame: Any) -> None:
        if not _is_operator(session):
            raise Refused(Code.FORBIDDEN, "this takes a token with the role `operator`")
        await handle(session, frame)

    return checked


def _answer(
    session: Session, ref: wire.Ref, show: Callable[[msgspec.Raw], bytes], answer: Answer
) -> None:
    if isinstance(answer, Refused):
        session.refuse(answer, ref)
        return
    try:
        if not isinstance(answer, msgspec.Raw):
            raise TypeError(f"expected a reply, not {type(answer).__name__}")
        session.emit(show(answer))
    except (msgspec.DecodeError, TypeError):
        log.exception("answer not understood", session=session.id)
        session.refuse(unavailable("the answer could not be read; try again"), ref)


def _accepted(op: str, frame: wire.MailboxFrame, publish: int | None, answer: msgspec.Raw) -> bytes:
    receipt = decode_receipt(answer)
    return wire.event(
        op,
        frame.ref,
        mailbox=frame.mailbox,
        publish=receipt.seq if publish is None else publish,
        entry=receipt.seq,
        ts=receipt.ts,
        duplicate=receipt.duplicate,
    )


def _entries_event(frame: wire.Entries, answer: msgspec.Raw) -> bytes:
    page = orjson.loads(bytes(answer))
    entries = page["messages"][::-1]
    return wire.event(
        "entries", frame.ref, mailbox=frame.mailbox, entries=entries, more=page["more"]
    )


def _board_fields(board: PublicBoard, counts: Totals) -> dict[str, object]:
    publishes = [
        _publish_fields(board, notice, counts.get(publish, (0, 0)))
        for publish, notice in board.board.notices.items()
    ]
    return {"mailbox": board.mailbox, "head": board.board.head, "publishes": publishes}


def _publish_fields(
    board: PublicBoard, notice: Notice, total: tuple[int, int]
) -> dict[str, object]:
    published = notice.entry
    stages = board.stages[published.seq]
    return {
        "publish": published.seq,
        "id": published.id,
        "by": published.by,
        "ts": published.ts,
        "title": published.title,
        "body": orjson.Fragment(bytes(published.body)),
        "expires": published.expires,
        "priority": published.priority,
        "audience": published.audience,
        "percent": stages[-1].release.percent,
        "users": list(dict.fromkeys(name for stage in stages for name in stage.release.users)),
        "last": board.last[published.seq],
        "withdrawn": notice.withdrawn,
        "stages": [
            {
                "entry": stage.seq,
                "by": stage.by,
                "ts": stage.ts,
                "percent": stage.release.percent,
                "users": len(stage.release.users),
            }
            for stage in stages
        ],
        "touched": total[0],
        "opened": total[1],
        "online": board.shown.get(published.seq, 0),
    }


def _judge(notice: Notice, frame: wire.Preview) -> tuple[int | None, str]:
    """The entry that reaches the user, and why; or None, and why not."""
    if notice.withdrawn:
        return None, "withdrawn"
    if notice.over(now_ms()):
        return None, "expired"
    if not notice.audience(frame.claims):
        return None, "audience"
    reached = notice.reaches_at(str(frame.user), frame.claims)
    if reached is None:
        return None, "not yet"
    listed = any(stage.seq == reached and frame.user in stage.users for stage in notice.stages)
    return reached, "listed" if listed else "percent"
