"""What the client operations of public mailboxes do: those of users, and those of operators."""

from __future__ import annotations

from functools import partial
from typing import TypeVar

import orjson

from gateway import notices, shows, wire
from gateway.boards import Boards, PublicBoard
from gateway.clock import now_ms
from gateway.counts import NONE, Counts
from gateway.loader import Loader
from gateway.requests import Requests
from gateway.session import Handle, Session
from gateway.settings import Settings
from gateway.spread import Spreads
from gateway.touching import Touching
from streams import commands
from streams.errors import Code, Refused
from streams.ids import SYSTEM
from streams.public import checks
from streams.public.board import Notice
from streams.public.counts import Counted
from streams.schemas import MailboxCommand

_Command = TypeVar("_Command", bound=MailboxCommand)


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
        self._ask = partial(shows.ask, requests)
        self.handlers: dict[type[wire.Frame], Handle] = {
            wire.Notices: self._notices,
            wire.Open: self._open,
            wire.Publish: self._publish,
            wire.Release: self._release,
            wire.Withdraw: self._withdraw,
            wire.ShowBoard: self._board,
            wire.Entries: self._entries,
            wire.Preview: self._preview,
        }

    def claims_changed(self, session: Session) -> None:
        """A session has brought a token."""
        self._touching.claims_changed(session.user)
        self._touching.look(session.user)
        if not session.is_operator:
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
        self._boards.check()
        json = notices.page_json(
            self._boards, session.user, frame.mailbox, frame.before, frame.limit
        )
        session.emit(wire.ready_event("notices", frame.ref, json))

    async def _open(self, session: Session, frame: wire.Open) -> None:
        user = session.user
        _, notice = self._notice(frame.mailbox, frame.publish)
        entry = notices.reaches_at(notice, user)
        if entry is None or notice.over(now_ms()):
            raise Refused(Code.NOT_FOUND, f"there is no publish {frame.publish} for you")
        command = commands.Open(
            user=user.name,
            by=user.name,
            reply=self._requests.address(),
            mailbox=frame.mailbox,
            publish=frame.publish,
            entry=entry,
        )
        await self._ask(session, frame, command, partial(shows.opened, frame))

    async def _publish(self, session: Session, frame: wire.Publish) -> None:
        wire.check_body(bytes(frame.body), self._settings.publish_bytes)
        command = self._command(commands.Publish, session, frame)
        checks.check(command)
        await self._ask(session, frame, command, partial(shows.accepted, "published", frame))

    async def _release(self, session: Session, frame: wire.Release) -> None:
        command = self._command(commands.Release, session, frame)
        checks.check(command)
        await self._ask(session, frame, command, partial(shows.accepted, "released", frame))

    async def _withdraw(self, session: Session, frame: wire.Withdraw) -> None:
        command = self._command(commands.Withdraw, session, frame)
        await self._ask(session, frame, command, partial(shows.accepted, "withdrew", frame))

    def _command(
        self, kind: type[_Command], session: Session, frame: wire.CommandFrame
    ) -> _Command:
        return frame.as_command(kind, session.user.name, self._requests.address())

    async def _board(self, session: Session, frame: wire.ShowBoard) -> None:
        self._spreads.watchers.add(session)
        session.spawn(self._show_board(session, frame), frame.ref)

    async def _show_board(self, session: Session, frame: wire.ShowBoard) -> None:
        counts = await self._counts.latest()
        self._boards.check()
        mailboxes = [
            _board_fields(board, counts.get(board.mailbox, NONE)) for board in self._boards.all()
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
        await self._ask(session, frame, query, partial(shows.entries, frame))

    async def _preview(self, session: Session, frame: wire.Preview) -> None:
        board, notice = self._notice(frame.mailbox, frame.publish)
        reached, why = _judge(notice, frame)
        shown = None if reached is None else notices.fields(board.mailbox, notice, reached)
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
        self._boards.check()
        board = self._boards.get(mailbox)
        notice = board.notices.get(publish) if board else None
        if board is None or notice is None:
            raise Refused(Code.NOT_FOUND, f"there is no publish {publish} in {mailbox}")
        return board, notice


def _board_fields(board: PublicBoard, counted: Counted) -> dict[str, object]:
    publishes = [_publish_fields(board, notice, counted) for notice in board.notices.values()]
    return {"mailbox": board.mailbox, "head": board.head, "publishes": publishes}


def _publish_fields(board: PublicBoard, notice: Notice, counted: Counted) -> dict[str, object]:
    published = notice.entry
    stages = board.stages[published.seq]
    totals = counted.of(published.seq, [stage.seq for stage in stages], board.head)
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
                "touched": touched,
                "opened": opened,
            }
            for stage, (touched, opened) in zip(stages, totals.stages, strict=True)
        ],
        "touched": totals.touched,
        "opened": totals.opened,
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
