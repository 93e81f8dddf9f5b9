"""Sessions that look at their feed: they hear how many posts are new, and what becomes of those they show."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from gateway import wire
from gateway.views import View
from streams.feeds.order import Place

if TYPE_CHECKING:
    from gateway.session import Session

TURN_SECONDS = 0.003
"""Longest stretch of telling before sockets and the log get their turn again."""


class Visit:
    """A session with an open feed. `top` is the place of the newest post that it was shown (None: there was none).

    changed: events about posts, by post, that wait to be told. told: what was said last of new posts.
    """

    __slots__ = ("changed", "due", "session", "told", "told_at", "top")

    def __init__(self, session: Session) -> None:
        self.session = session
        self.top: Place | None = None
        self.changed: dict[str, bytes] = {}
        self.told: tuple[int, bool] = (0, False)
        self.told_at = 0.0
        self.due = False


class Visits:
    """Tells sessions what is new, each at most once in `seconds`: what comes meanwhile is told together."""

    def __init__(self, seconds: float, view_of: Callable[[str], View | None]) -> None:
        self._seconds = seconds
        self._view_of = view_of
        self._loop = asyncio.get_running_loop()
        self._visits: dict[str, dict[Session, Visit]] = {}
        self._queue: deque[Visit] = deque()
        self._scheduled = False

    def begin(self, session: Session, view: View, top: Place | None) -> None:
        """A session was shown the top of its feed, when the newest post had the place `top`."""
        visits = self._visits.setdefault(view.user, {})
        visit = visits.get(session)
        if visit is None:
            visit = visits[session] = Visit(session)
        visit.top, visit.told = top, (0, False)
        # One that was dropped meanwhile is not kept current; another one may be.
        if view.top != top or not view.alive:
            self._mark(visit)

    def end(self, session: Session) -> None:
        """A session has ended."""
        if session.is_known:
            visits = self._visits.get(session.user.name, {})
            if visits.pop(session, None) is not None and not visits:
                del self._visits[session.user.name]

    def has(self, user: str) -> bool:
        """Whether a user looks."""
        return user in self._visits

    def new(self, session: Session) -> int:
        """How many posts are newer than those that the session was shown."""
        visit = self._visits.get(session.user.name, {}).get(session)
        newer = self._newer(visit) if visit is not None else None
        return newer[0] if newer is not None else 0

    def added(self, user: str) -> None:
        """A user's feed has new posts, or fewer of them."""
        for visit in self._visits.get(user, {}).values():
            self._mark(visit)

    def changed(self, user: str, post: str, event: bytes) -> None:
        """A post of somebody whom a user follows has changed."""
        for visit in self._visits.get(user, {}).values():
            visit.changed[post] = event
            self._mark(visit)

    def _newer(self, visit: Visit) -> tuple[int, bool] | None:
        """How many posts are new, and whether there may be more; None while the feed isn't in memory."""
        view = self._view_of(visit.session.user.name)
        return view.newer(visit.top) if view is not None and view.is_loaded else None

    def _mark(self, visit: Visit) -> None:
        if not visit.due:
            visit.due = True
            wait = visit.told_at + self._seconds - self._loop.time()
            if wait > 0:
                self._loop.call_later(wait, self._enqueue, visit)
            else:
                self._enqueue(visit)

    def _enqueue(self, visit: Visit) -> None:
        self._queue.append(visit)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        deadline = self._loop.time() + TURN_SECONDS
        while self._queue:
            self._tell(self._queue.popleft())
            if self._queue and self._loop.time() > deadline:
                self._scheduled = True
                self._loop.call_soon(self._turn)
                return

    def _tell(self, visit: Visit) -> None:
        visit.due = False
        visit.told_at = self._loop.time()
        events = list(visit.changed.values())
        visit.changed.clear()
        newer = self._newer(visit)
        if newer is not None and newer != visit.told:
            visit.told = newer
            more = {"more": True} if newer[1] else {}
            events.append(wire.event("new_posts", count=newer[0], **more))
        if events:
            visit.session.emit(*events)
