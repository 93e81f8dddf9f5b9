"""Fetch sessions (KIP-227), which aiokafka doesn't speak.

Without one, each request names every partition, each answer has every partition, and both are packed in Python: with
64 partitions that takes longer than what a short batch is fetched for. In a session the broker knows what was asked
for before: a request names what has changed, an answer what has something new.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, TypeAlias

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import FetchSessionIdNotFound, InvalidFetchSessionEpoch, for_code
from aiokafka.protocol.fetch import FetchRequest, FetchRequest_v11

from tables.packing import NO_REPLICA, PackedFetch

_FIRST_VERSION = 7
"""Of fetch requests that have sessions."""

_NO_SESSION = 0
_INITIAL = 0
_LAST_EPOCH = (1 << 31) - 1

_FORGOTTEN = {FetchSessionIdNotFound.errno, InvalidFetchSessionEpoch.errno}
"""The broker has made room for others, or was started anew."""

Wanted: TypeAlias = list[tuple[str, list[tuple[int, int, int]]]]
"""Topics and, of each, partitions with the offset and the most bytes to fetch."""


class Session:
    """What one broker has been asked for. id: the broker gives it; epoch: counts the requests."""

    def __init__(self) -> None:
        self.id = _NO_SESSION
        self.epoch = _INITIAL
        self._asked: dict[tuple[str, int], int] = {}

    def ask(self, wanted: Wanted) -> tuple[Wanted, list[tuple[str, list[int]]]]:
        """Take note of what is wanted now; returns what the broker doesn't know of it, and what it shall forget."""
        asked: dict[tuple[str, int], int] = {}
        changed: Wanted = []
        for topic, partitions in wanted:
            news = [p for p in partitions if self._asked.get((topic, p[0])) != p[1]]
            if news:
                changed.append((topic, news))
            asked.update(((topic, number), offset) for number, offset, _ in partitions)
        forgotten: defaultdict[str, list[int]] = defaultdict(list)
        for topic, number in self._asked.keys() - asked.keys():
            forgotten[topic].append(number)
        self._asked = asked
        return changed, list(forgotten.items())

    def answered(self, session_id: int) -> None:
        """Go on after an answer; a broker that has no room for a session gives it no id."""
        self.id = session_id
        if session_id == _NO_SESSION:
            self.restart()
        else:
            self.epoch = self.epoch % _LAST_EPOCH + 1

    def restart(self) -> None:
        """Ask for all of it anew, in a session that takes the place of this one."""
        self.epoch = _INITIAL
        self._asked = {}


class _SessionRequest(FetchRequest):  # type: ignore[misc]
    """A fetch that is packed as its session has it."""

    def __init__(self, plain: FetchRequest, session: Session) -> None:
        self.__dict__.update(plain.__dict__)
        self._topics: Wanted = plain.topics
        self._session = session

    def build(self, request_struct_class: Any) -> Any:
        if request_struct_class.API_VERSION < _FIRST_VERSION:
            return super().build(request_struct_class)
        session, wanted = self._session, self._topics
        changed, forgotten = session.ask(wanted)
        if request_struct_class is FetchRequest_v11:
            return PackedFetch(
                NO_REPLICA,
                self._max_wait_ms,
                self._min_bytes,
                self._max_bytes,
                self._isolation_level,
                session.id,
                session.epoch,
                changed,
                forgotten,
                self._rack_id,
            )
        self._topics = changed
        struct: Any = super().build(request_struct_class)
        struct.session_id, struct.session_epoch = session.id, session.epoch
        struct.forgotten_topics_data = forgotten
        self._topics = wanted
        return struct


class SessionClient(AIOKafkaClient):  # type: ignore[misc]
    """Fetches by session, one for each broker; one partition alone is fetched without."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._sessions: defaultdict[int, Session] = defaultdict(Session)

    async def send(self, node_id: int, request: Any, **kwargs: Any) -> Any:
        """Send a request to a broker and wait for its response; raises `KafkaError`."""
        if not isinstance(request, FetchRequest) or _of_one(request.topics):
            return await super().send(node_id, request, **kwargs)
        session = self._sessions[node_id]
        try:
            response = await super().send(node_id, _SessionRequest(request, session), **kwargs)
        except BaseException:
            # The broker may have counted it or not.
            session.restart()
            raise
        if response.API_VERSION >= _FIRST_VERSION:
            _take_note(session, response)
        return response

    def restart_sessions(self) -> None:
        """Ask for all partitions anew: of each, the next answers tell how far it reaches."""
        for session in self._sessions.values():
            session.restart()


def _of_one(wanted: Wanted) -> bool:
    return len(wanted) == 1 and len(wanted[0][1]) == 1


def _take_note(session: Session, response: Any) -> None:
    if not response.error_code:
        session.answered(response.session_id)
        return
    session.restart()
    if response.error_code not in _FORGOTTEN:
        raise for_code(response.error_code)()
