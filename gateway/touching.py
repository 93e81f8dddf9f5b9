"""Shows users what public mailboxes have for them, each publish once: first recorded, then shown.

For each user at most one touch is on its way, so that no two use up the same cap. Whatever gives a
reason to look (a sync, an entry, the end of quiet hours) ends in the same look, which compares the
boards with the user's cursors, so a look too many does nothing. Looks take turns at one pace.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import math
import random
from itertools import chain

import structlog

from gateway.answers import decode_touched
from gateway.boards import Boards, PublicBoard
from gateway.boxes import User, Users
from gateway.clock import now_ms
from gateway.metrics import Metrics
from gateway.notices import (
    Claims,
    claims_of,
    cursor_of,
    notice_event,
    opened_event,
    reaches_at,
    withdrawn_event,
)
from gateway.pace import Pace
from gateway.requests import Requests, decoded
from gateway.session import Session
from gateway.settings import Settings
from streams.commands import Touch
from streams.errors import Refused
from streams.public import disturbance
from streams.public.disturbance import Candidate, Plan
from tables.rows import Cursor, Position

log = structlog.get_logger()

ROW_SECONDS = 2.0
"""How long the row of an answered touch may take to come."""

RETRY_SECONDS = 2.0
"""Pause before a touch without an answer and without a row is tried again."""

SWEEP_SECONDS = 1.0
"""How often it is checked whose quiet hours or day have ended."""

SPREAD_SECONDS = 60.0
"""Those whose quiet hours or day end together are looked at spread over this."""


class Touching:
    """Looks at public mailboxes for the users who are online."""

    def __init__(
        self,
        requests: Requests,
        boards: Boards,
        users: Users,
        pace: Pace,
        settings: Settings,
        metrics: Metrics,
    ) -> None:
        self._requests = requests
        self._boards = boards
        self._users = users
        self._pace = pace
        self._calm = settings.calm
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._due: list[tuple[float, str]] = []
        self._when: dict[str, float] = {}
        self._turns: asyncio.Queue[str] = asyncio.Queue()
        self._queued: set[str] = set()

    @property
    def left(self) -> int:
        """Users whose look waits for its turn."""
        return len(self._queued)

    async def run(self) -> None:
        """Look again for those who may be disturbed again; one timer for all."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self._sweep()

    async def take_turns(self) -> None:
        """Look at those who wait for it, at the pace of all; for ever."""
        while True:
            name = await self._turns.get()
            try:
                await self.look_in_turn(name)
            except Exception:
                # A defect must not keep everybody else waiting.
                log.exception("a look at a user failed", user=name)
            self._queued.discard(name)

    def synced(self, session: Session) -> None:
        """A session is there anew: repeat the last touch to it, and look for what has come since."""
        user = session.user
        for board in self._boards.all():
            cursor = cursor_of(user, board.mailbox)
            touched = {(board.mailbox, publish) for publish in cursor.touched}
            if user.looking or touched & user.recorded or board.head < cursor.read:
                # Shown to all sessions together: by the look that is on its way or to come, or with its entry.
                user.recorded |= touched - user.shown
                touched &= user.shown
            user.shown |= touched
            publishes = tuple(publish for _, publish in sorted(touched))
            events = self._events(user, board, publishes, again=True)
            self._metrics.repeats.inc(len(events))
            if events:
                session.emit(*events)
        self.claims_changed(user)
        self.look(user)

    def claims_changed(self, user: User) -> None:
        """What did not reach the user may do so now, unless the cursor has passed it."""
        user.claims_changed()

    def look(self, user: User) -> None:
        """Touch the user with whatever there is when it is their turn: many may have come at once."""
        if user.name in self._queued or user.looking is not None or self._next(user) is None:
            return
        self._queued.add(user.name)
        self._turns.put_nowait(user.name)

    async def look_in_turn(self, name: str) -> None:
        """Wait for a turn, then look at the user if they are still here."""
        await self._pace.turn()
        user = self._users.get(name)
        if user is not None:
            self.look_now(user)
        self._pace.ends_with(user.looking if user else None)

    def look_now(self, user: User) -> None:
        """The same without a turn; a look that is on its way finds what there is, too."""
        if user.looking is not None:
            return
        self._show_recorded(user)
        if self._next(user) is not None:
            user.looking = asyncio.create_task(self._touch_all(user))

    def has_news(self, user: User, board: PublicBoard) -> bool:
        """Whether there is something in this mailbox that no look is dealing with already."""
        if user.looking is not None:
            return False
        return bool(user.recorded) or self._plan(user, board) is not None

    def told(self, user: User, mailbox: str, before: Cursor | None, row: Cursor) -> None:
        """A row has come: what it says was touched or opened is so on all devices, at whichever gateway."""
        if not user.synced or not user.has_cursors:
            return
        user.recorded |= {(mailbox, publish) for publish in row.touched} - user.shown
        self.show_recorded(user)
        known = before.opened if before is not None else ()
        events = [opened_event(mailbox, publish) for publish in row.opened if publish not in known]
        if events:
            for session in user.synced:
                session.emit(*events)

    def withdrawn(self, user: User, board: PublicBoard, publish: int) -> bool:
        """Tell the user's sessions that a publish they may show is over; whether they may."""
        if not user.synced:
            return False
        notice, cursor = board.notices.get(publish), cursor_of(user, board.mailbox)
        # One that was dropped from memory may be on the screen of whomever the cursor has led past it.
        entry = publish if notice is None else reaches_at(notice, user)
        passed = entry is not None and entry <= cursor.read and entry not in cursor.deferred
        if not passed and (board.mailbox, publish) not in user.shown:
            return False
        user.shown.discard((board.mailbox, publish))
        for session in user.synced:
            session.emit(withdrawn_event(board.mailbox, publish))
        self._metrics.withdrawals.inc()
        return True

    def show_recorded(self, user: User) -> None:
        """Show what rows say was touched, unless a look that is on its way does."""
        if user.looking is None:
            self._show_recorded(user)

    async def _touch_all(self, user: User) -> None:
        try:
            while (found := self._next(user)) is not None:
                has_moved = await self._touch(user, *found)
                if not has_moved:
                    self._look_at(user, self._loop.time() + RETRY_SECONDS)
                    return
        finally:
            # In the same step as the last look, so that what comes next starts another.
            user.looking = None
            self._show_recorded(user)

    def _next(self, user: User) -> tuple[PublicBoard, Plan] | None:
        for board in self._boards.all():
            plan = self._plan(user, board)
            if plan is not None:
                return board, plan
        return None

    async def _touch(self, user: User, board: PublicBoard, plan: Plan) -> bool:
        """Record, then show; whether the cursor has moved."""
        before = cursor_of(user, board.mailbox).at
        try:
            touched = await self._record(user, board, plan)
        except Refused as error:
            log.info("touch not answered", mailbox=board.mailbox, error=str(error))
        else:
            # All may have been loaded again meanwhile: what is known now counts. While it is being loaded, the
            # row shows it later.
            known = self._boards.get(board.mailbox)
            if known is not None and known.is_live:
                self._show(user, known, touched, again=False)
        return await self._moved(user, board, before)

    async def _record(self, user: User, board: PublicBoard, plan: Plan) -> tuple[int, ...]:
        command = Touch(
            user=user.name,
            by=user.name,
            reply=self._requests.address(),
            mailbox=board.mailbox,
            upto=plan.upto,
            day=disturbance.day_of(self._local(user)),
            touched=plan.touched,
            deferred=plan.deferred,
            dropped=plan.dropped,
        )
        answer = await decoded(await self._requests.ask(command), decode_touched)
        return answer.touched

    def _show_recorded(self, user: User) -> None:
        """Repeat what rows say was touched and no answer has named: another gateway has shown it, or nobody.

        What reached the user by an entry that this gateway has not read yet is shown as soon as it has.
        """
        early = set()
        for mailbox, publish in sorted(user.recorded):
            board = self._boards.get(mailbox)
            if board is None or board.head < cursor_of(user, mailbox).read:
                early.add((mailbox, publish))
            else:
                self._show(user, board, (publish,), again=True)
        user.recorded = early

    def _show(
        self, user: User, board: PublicBoard, touched: tuple[int, ...], *, again: bool
    ) -> None:
        fresh = tuple(one for one in touched if (board.mailbox, one) not in user.shown)
        events = self._events(user, board, fresh, again=again)
        if not events:
            return
        for session in user.synced:
            session.emit(*events)
        (self._metrics.repeats if again else self._metrics.touches).inc(len(fresh))
        for publish in fresh:
            board.shown[publish] = board.shown.get(publish, 0) + 1
            user.shown.add((board.mailbox, publish))

    def _events(
        self, user: User, board: PublicBoard, publishes: tuple[int, ...], *, again: bool
    ) -> list[bytes]:
        """Notices of those that reach the user and stand: nothing withdrawn is shown, however late its answer comes."""
        now, events = now_ms(), []
        for publish in publishes:
            notice = board.notices.get(publish)
            entry = None if notice is None else reaches_at(notice, user)
            if notice is not None and entry is not None and not notice.over(now):
                events.append(notice_event(board.mailbox, notice, entry, again=again))
        return events

    async def _moved(self, user: User, board: PublicBoard, before: Position) -> bool:
        """Wait for the row of a touch: until then, the same would be planned again."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ROW_SECONDS):
                while cursor_of(user, board.mailbox).at <= before:
                    user.moved = asyncio.Event()
                    await user.moved.wait()
        user.moved = None
        return cursor_of(user, board.mailbox).at > before

    def _plan(self, user: User, board: PublicBoard) -> Plan | None:
        """What to do for the user now; None: nothing."""
        claims = claims_of(user)
        if not user.synced or not user.has_cursors:
            return None
        cursor, local, now = cursor_of(user, board.mailbox), self._local(user), now_ms()
        passed = max(cursor.read, user.passed.get(board.mailbox, 0))
        coming = _coming(board, user.name, claims, passed, now)
        waiting = [
            one
            for one in board.waiting(cursor.deferred, now)
            # What nobody here may be shown goes on waiting for a session that may.
            if one.over or reaches_at(board.notices[one.publish], user) is not None
        ]
        if not coming:
            # Later stages reach at later entries: these need no second look.
            user.passed[board.mailbox] = board.head
            if not waiting:
                return None
        plan = disturbance.plan(waiting, coming, board.head, local, self._calm, _today(user, local))
        if plan.deferred or any(not one.over for one in waiting):
            self._wait_for_calm(user, local)
        return plan if plan.touched or plan.deferred or plan.dropped else None

    def _local(self, user: User) -> int:
        claims = claims_of(user)
        return disturbance.local_time(now_ms(), claims[-1].get("utc_offset") if claims else None)

    def _wait_for_calm(self, user: User, local: int) -> None:
        wait = disturbance.look_again_in(local, self._calm.quiet) / 1_000
        # Claims may have moved their hours since.
        if self._when.get(user.name, math.inf) > self._loop.time() + wait + SPREAD_SECONDS:
            self._look_at(user, self._loop.time() + wait + random.uniform(0, SPREAD_SECONDS))

    def _look_at(self, user: User, when: float) -> None:
        if when < self._when.get(user.name, math.inf):
            self._when[user.name] = when
            heapq.heappush(self._due, (when, user.name))

    def _sweep(self) -> None:
        now = self._loop.time()
        while self._due and self._due[0][0] <= now:
            when, name = heapq.heappop(self._due)
            if self._when.get(name) != when:
                continue
            del self._when[name]
            user = self._users.get(name)
            if user is not None:
                self.look(user)


def _coming(
    board: PublicBoard, user: str, claims: list[Claims], after: int, now: int
) -> list[Candidate]:
    """What reaches the user by the claims of any of their sessions."""
    if board.head <= after:
        return []
    if len(claims) == 1:
        return board.coming(user, claims[0], after, now)
    some = chain.from_iterable(board.coming(user, one, after, now) for one in claims)
    return sorted({one.publish: one for one in some}.values(), key=lambda one: one.entry)


def _today(user: User, local: int) -> int:
    """How many have touched the user on this day, in all public mailboxes.

    Where it is still yesterday, what has come on the user's next day counts: their rows know no other.
    """
    day = disturbance.day_of(local)
    return sum(row.today for row in user.cursors.values() if row.day >= day)
