"""Commands to Kafka, and the answers that come back."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import count
from typing import Any, TypeVar

import msgspec
import structlog
from msgspec.structs import replace

from gateway.answers import Reply
from gateway.errors import unavailable
from gateway.interest import EVERYTHING, Interest
from gateway.limits import Quota
from gateway.producer import Producer
from gateway.settings import Settings
from streams.commands import Read, Send, Unread
from streams.errors import Code, Refused
from streams.feeds.commands import Edit
from streams.partitioning import partition_of
from streams.schemas import MailboxCommand, ReplyTo, UserCommand
from streams.topics import Topics
from tables.rows import NO_BODY, Cursor, Message

log = structlog.get_logger()

Answer = msgspec.Raw | Message | Cursor | Refused
"""What a request ends with: a reply's result, the row that answers it, or a refusal."""

encode = msgspec.json.Encoder().encode

T = TypeVar("T")


class Pending:
    """A request without an answer yet."""

    __slots__ = ("command", "deadline", "future", "quota")

    def __init__(
        self, command: Any, future: asyncio.Future[Answer], deadline: float, quota: Quota | None
    ) -> None:
        self.command = command
        self.future = future
        self.deadline = deadline
        self.quota = quota


class Requests:
    """Produces commands and matches their answers, which may come as a reply or as a row.

    An accepted send is answered by its row in the mailbox log and has no reply; a moved cursor by
    whichever of its row and its reply comes first.
    """

    def __init__(
        self,
        producer: Producer,
        topics: Topics,
        instance: str,
        settings: Settings,
        interest: Interest = EVERYTHING,
    ) -> None:
        self._producer = producer
        self._interest = interest
        self._topics = topics
        self._instance = instance
        self._partitions = settings.pipeline.partitions
        self._seconds = settings.request_seconds
        self._limit = settings.requests
        self._loop = asyncio.get_running_loop()
        self._refs = count(1)
        self._pending: dict[int, Pending] = {}
        self._deadlines: deque[tuple[float, int]] = deque()
        self._sends: dict[str, dict[int, Send]] = {}
        self._moves: dict[tuple[str, str], dict[int, Read | Unread]] = {}
        self.partition = self.partition_of(instance)

    def __len__(self) -> int:
        return len(self._pending)

    @property
    def reads_all(self) -> bool:
        """Whether every row comes here, without being announced."""
        return self._interest is EVERYTHING

    def partition_of(self, key: str) -> int:
        """The partition of a mailbox or user, as Kafka's default partitioner has it."""
        return partition_of(key, self._partitions)

    def by_partition(self, mailboxes: Iterable[str], most: int) -> Iterator[list[str]]:
        """Mailboxes by what one question may name: those of one partition, and at most so many."""
        found: defaultdict[int, list[str]] = defaultdict(list)
        for mailbox in mailboxes:
            found[self.partition_of(mailbox)].append(mailbox)
        for names in found.values():
            for start in range(0, len(names), most):
                yield names[start : start + most]

    def address(self) -> ReplyTo:
        """A fresh address for the answer to one command."""
        return ReplyTo(to=self._instance, partition=self.partition, ref=next(self._refs))

    async def ask(
        self,
        command: MailboxCommand | UserCommand,
        quota: Quota | None = None,
        partition: int | None = None,
    ) -> asyncio.Future[Answer]:
        """Enqueue a command that carries an `address`; the future holds its answer.

        It goes to the partition of its key, or to `partition` where that is what is asked about.

        Returns when the command has its place in the order of its partition. The future never
        fails: a refusal is an answer. `Refused` is raised where too much is pending, or where what this
        process follows can't be announced.
        """
        topic, key, place = self._place(command, partition)
        await self._interest.announce(topic, place)
        pending = self._admit(command, quota)
        stored = self._producer.send(topic, encode(command), key, place)
        stored.add_done_callback(partial(self._check, _ref(command)))
        return pending.future

    def tell(self, command: MailboxCommand | UserCommand, partition: int) -> None:
        """Enqueue a command that nobody answers."""
        topic, key, place = self._place(command, partition)
        stored = self._producer.send(topic, encode(command), key, place)
        stored.add_done_callback(partial(self._check, None))

    def _place(
        self, command: MailboxCommand | UserCommand, partition: int | None
    ) -> tuple[str, bytes, int]:
        """Topic, key and partition of a command."""
        if isinstance(command, MailboxCommand):
            topic, key = self._topics.mailbox_commands, command.mailbox
        else:
            topic, key = self._topics.user_commands, command.user
        place = self.partition_of(key) if partition is None else partition
        return topic, key.encode(), place

    def take_reply(self, reply: Reply) -> None:
        """Take a record of our partition of the replies topic."""
        self._settle(reply.ref, reply.error.as_refused() if reply.error else reply.result)

    def awaits(self, mailbox: str) -> bool:
        """Whether a send to this mailbox waits for its row."""
        return mailbox in self._sends

    def take_message(self, mailbox: str, row: Message) -> None:
        """Take a row of the mailbox log: it may be the answer to a send."""
        for ref, send in list(self._sends.get(mailbox, {}).items()):
            if send.id == row.id and send.by == row.sender:
                self._settle(ref, row)

    def take_cursor(self, user: str, mailbox: str, row: Cursor) -> None:
        """Take a row of the user log: it may be the answer to a `read` or `unread`."""
        for ref, move in list(self._moves.get((user, mailbox), {}).items()):
            if move.seq == row.read or (isinstance(move, Read) and move.seq < row.read):
                self._settle(ref, row)

    def expire(self) -> None:
        """Answer what has waited too long; to be called a few times a second."""
        now = self._loop.time()
        while self._deadlines and self._deadlines[0][0] <= now:
            self._settle(self._deadlines.popleft()[1], unavailable())

    async def settled(self, seconds: float) -> None:
        """Wait until everything pending has its answer, at most that long."""
        futures = [pending.future for pending in self._pending.values()]
        if futures:
            await asyncio.wait(futures, timeout=seconds)

    def _admit(self, command: Any, quota: Quota | None) -> Pending:
        if len(self._pending) >= self._limit:
            raise unavailable("the gateway has too many requests waiting; try again")
        if quota is not None and not quota.take():
            message = "too many of your requests wait for their answer"
            raise Refused(Code.RATE_LIMITED, message, retry_after=1.0)
        deadline = self._loop.time() + self._seconds
        command = _light(command)
        pending = Pending(command, self._loop.create_future(), deadline, quota)
        ref = _ref(command)
        self._pending[ref] = pending
        self._deadlines.append((deadline, ref))
        if isinstance(command, Send):
            self._sends.setdefault(command.mailbox, {})[ref] = command
        elif isinstance(command, Read | Unread):
            self._moves.setdefault((command.user, command.mailbox), {})[ref] = command
        return pending

    def _settle(self, ref: int, answer: Answer) -> None:
        pending = self._pending.pop(ref, None)
        if pending is None:
            return
        command = pending.command
        if isinstance(command, Send):
            _discard(self._sends, command.mailbox, ref)
        elif isinstance(command, Read | Unread):
            _discard(self._moves, (command.user, command.mailbox), ref)
        if pending.quota is not None:
            pending.quota.give()
        if not pending.future.done():
            pending.future.set_result(answer)

    def _check(self, ref: int | None, stored: asyncio.Future[int]) -> None:
        if (error := stored.exception()) is not None:
            log.warning("command not stored", error=repr(error))
            if ref is not None:
                self._settle(ref, unavailable())


async def result_of(future: asyncio.Future[Answer]) -> msgspec.Raw:
    """Wait for the reply to a query; a refusal is raised."""
    answer = await future
    if isinstance(answer, Refused):
        raise answer
    if not isinstance(answer, msgspec.Raw):
        raise TypeError(f"a query is answered by a reply, not by {type(answer).__name__}")
    return answer


async def decoded(future: asyncio.Future[Answer], decode: Callable[[msgspec.Raw], T]) -> T:
    """Wait for the reply to a query and decode it; `unavailable` where it can't be read, so that it is asked again."""
    result = await result_of(future)
    try:
        return decode(result)
    except msgspec.DecodeError as error:
        log.warning("answer not understood", error=str(error))
        raise unavailable("the answer could not be read; try again") from None


def _light(command: Any) -> Any:
    """A command without its body: its answer tells it by the rest, and many large ones may wait."""
    is_large = isinstance(command, Send | Edit)
    return replace(command, body=NO_BODY) if is_large else command


def _ref(command: Any) -> int:
    return int(command.reply.ref)


def _discard(index: dict[Any, Any], key: object, ref: int) -> None:
    entries = index.get(key)
    if entries is not None:
        entries.pop(ref, None)
        if not entries:
            del index[key]
