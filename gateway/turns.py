"""Turns: what a session asks about one thing is done in that order, whatever has to be asked before."""

from __future__ import annotations

import asyncio
from weakref import WeakValueDictionary

from gateway.session import Session


class Turns:
    """A lock for each session and name, as long as somebody has it or waits for it."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[tuple[Session, str], asyncio.Lock] = WeakValueDictionary()

    def of(self, session: Session, name: str) -> asyncio.Lock:
        """The lock of a session for a mailbox or an author."""
        return self._locks.setdefault((session, name), asyncio.Lock())
