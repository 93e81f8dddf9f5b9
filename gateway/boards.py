"""The public mailboxes in memory: all their publishes that can still be shown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import chain

import structlog

from gateway.answers import decode_boards, decode_entries
from gateway.clock import now_ms
from gateway.errors import unavailable
from gateway.metrics import Metrics
from gateway.requests import Requests, decoded
from gateway.settings import Settings
from streams.commands import Query
from streams.errors import Refused
from streams.ids import SYSTEM
from streams.public.board import Board
from streams.public.layout import publish_of
from tables.rows import AnyEntry, Published, Released, Withdrawn

log = structlog.get_logger()

ASKED = "public:boards"
"""The key of the question which public mailboxes a partition has."""

PAGE = 1_000
"""Entries asked for at a time."""

RETRY_SECONDS = 1.0
"""Pause before a question without an answer is asked again."""

ENTRY_BYTES = 600
"""What an entry takes besides its body and names."""


class PublicBoard(Board):
    """One public mailbox: what users are reached by, and what operators see of it.

    known: the last entry that is known to exist. stages: of each publish, all entries that let it reach somebody.
    last: of each publish, the last entry about it. sizes: the bytes each publish takes, about; bytes: their sum.
    shown: how many users here were shown each publish.
    """

    def __init__(self, mailbox: str) -> None:
        super().__init__()
        self.mailbox = mailbox
        self.known = 0
        self.loading: asyncio.Task[None] | None = None
        self.stages: dict[int, list[Published | Released]] = {}
        self.last: dict[int, int] = {}
        self.sizes: dict[int, int] = {}
        self.shown: dict[int, int] = {}
        self.bytes = 0

    @property
    def is_live(self) -> bool:
        """Whether nothing is missing."""
        return self.head >= self.known

    def take(self, entry: AnyEntry) -> None:
        """Take the next entry."""
        super().take(entry)
        publish = publish_of(entry)
        if publish not in self.notices:
            return
        self.last[publish] = entry.seq
        if not isinstance(entry, Withdrawn):
            self.stages.setdefault(publish, []).append(entry)
            size = _size(entry)
            self.sizes[publish] = self.sizes.get(publish, 0) + size
            self.bytes += size

    def forget(self, publish: int) -> None:
        """Drop a publish from memory."""
        super().forget(publish)
        for index in (self.stages, self.last, self.shown):
            index.pop(publish, None)
        self.bytes -= self.sizes.pop(publish)


class Boards:
    """Which public mailboxes there are, kept current from the log.

    `changed` is called for each entry that comes live. An entry that doesn't follow the last one
    shows a hole: the missing ones are asked for, and it comes with them. `changes` counts entries.
    """

    def __init__(
        self,
        requests: Requests,
        settings: Settings,
        metrics: Metrics,
        changed: Callable[[PublicBoard, AnyEntry], None],
    ) -> None:
        self._requests = requests
        self._partitions = settings.pipeline.partitions
        self._limit = settings.public_bytes
        self._metrics = metrics
        self._changed = changed
        self._boards: dict[str, PublicBoard] = {}
        self._stood: set[tuple[str, int]] = set()
        self.changes = 0
        self.loaded = asyncio.Event()

    def __len__(self) -> int:
        return len(self._boards)

    @property
    def bytes(self) -> int:
        """Bytes that all of them take, about."""
        return sum(board.bytes for board in self._boards.values())

    def all(self) -> list[PublicBoard]:
        """All public mailboxes."""
        return list(self._boards.values())

    def get(self, mailbox: str) -> PublicBoard | None:
        """One of them, if it exists."""
        return self._boards.get(mailbox)

    async def load(self) -> None:
        """Ask which there are and load them; until it has worked. The log is followed meanwhile."""
        for number in range(self._partitions):
            for mailbox, head in await self._patiently(number):
                board = self._board(mailbox)
                board.known = max(board.known, head)
        for board in self.all():
            if not board.is_live:
                self._resync(board)
            if board.loading is not None:
                await asyncio.shield(board.loading)
        self.loaded.set()
        log.info("public mailboxes loaded", mailboxes=len(self._boards), bytes=self.bytes)

    def check(self) -> None:
        """Refuse what needs all of them while they are being loaded."""
        if not self.loaded.is_set():
            raise unavailable("public mailboxes are being read anew; try again")

    def start_over(self) -> None:
        """The log has lost records: nothing that is known holds until it is loaded again."""
        self.loaded.clear()
        self.stop()
        self._stood |= {
            (board.mailbox, publish)
            for board in self.all()
            for publish, notice in board.notices.items()
            if not notice.withdrawn
        }
        self._boards.clear()
        self.changes += 1

    def withdrawn_unseen(self) -> list[tuple[PublicBoard, int]]:
        """The publishes that stood before all was loaded again, and do no more."""
        stood, self._stood = self._stood, set()
        places = ((self._boards.get(mailbox), publish) for mailbox, publish in sorted(stood))
        return [
            (board, publish)
            for board, publish in places
            if board is not None
            and (notice := board.notices.get(publish)) is not None
            and notice.withdrawn
        ]

    def take(self, mailbox: str, entry: AnyEntry) -> None:
        """Take an entry from the log."""
        board = self._board(mailbox)
        board.known = max(board.known, entry.seq)
        if entry.seq == board.head + 1:
            self._keep(board, entry)
        elif entry.seq > board.head:
            self._resync(board)

    def failed(self, mailbox: str) -> None:
        """An entry could not be read: one more than those that are known."""
        board = self._board(mailbox)
        board.known = max(board.known, board.head) + 1
        self._resync(board)

    def stop(self) -> None:
        """Give up what is still being asked."""
        for board in self.all():
            if board.loading is not None:
                board.loading.cancel()

    def _board(self, mailbox: str) -> PublicBoard:
        board = self._boards.get(mailbox)
        if board is None:
            board = self._boards[mailbox] = PublicBoard(mailbox)
        return board

    def _keep(self, board: PublicBoard, entry: AnyEntry) -> None:
        board.take(entry)
        self.changes += 1
        if self.bytes > self._limit:
            self._make_room()
        if self.loaded.is_set():
            self._changed(board, entry)

    def _make_room(self) -> None:
        """Drop what is over, then the oldest; some more than needed, so that not every entry does it."""
        now = now_ms()
        kept = chain.from_iterable(
            ((board, publish) for publish in board.notices) for board in self.all()
        )

        def worth(place: tuple[PublicBoard, int]) -> tuple[bool, int]:
            notice = place[0].notices[place[1]]
            return not notice.over(now), notice.entry.ts

        for board, publish in sorted(kept, key=worth):
            if self.bytes <= self._limit * 0.9:
                return
            if not board.notices[publish].over(now):
                self._metrics.forgotten.inc()
                log.warning("publish dropped from memory", mailbox=board.mailbox, publish=publish)
            board.forget(publish)

    def _resync(self, board: PublicBoard) -> None:
        if board.loading is None or board.loading.done():
            board.loading = asyncio.create_task(self._load(board))

    async def _load(self, board: PublicBoard) -> None:
        while not board.is_live:
            try:
                await self._page(board)
            except Refused as error:
                log.warning("public mailbox not loaded", mailbox=board.mailbox, error=str(error))
                await asyncio.sleep(RETRY_SECONDS)

    async def _page(self, board: PublicBoard) -> None:
        query = Query(
            mailbox=board.mailbox,
            by=SYSTEM,
            reply=self._requests.address(),
            what="history",
            after=board.head,
            limit=PAGE,
        )
        known = board.known
        page = await decoded(await self._requests.ask(query), decode_entries)
        for entry in page.messages:
            if entry.seq > board.head:
                self._keep(board, entry)
        if not page.more and board.known == known:
            # What was known before the question and is not in the answer is not there.
            board.known = board.head

    async def _patiently(self, partition: int) -> list[tuple[str, int]]:
        while True:
            query = Query(mailbox=ASKED, by=SYSTEM, reply=self._requests.address(), what="boards")
            try:
                answer = await self._requests.ask(query, partition=partition)
                found = await decoded(answer, decode_boards)
                return [(one.mailbox, one.head) for one in found.boards]
            except Refused as error:
                log.warning("public mailboxes not known", partition=partition, error=str(error))
                await asyncio.sleep(RETRY_SECONDS)


def _size(entry: Published | Released) -> int:
    names = sum(map(len, entry.release.users)) + 60 * len(entry.release.users)
    if isinstance(entry, Published):
        return ENTRY_BYTES + len(entry.body) + 2 * len(entry.title) + names
    return ENTRY_BYTES + names
