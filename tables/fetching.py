"""Fetching with aiokafka, with less work and sooner than its consumers do.

- Fetched records are handed on as its parser makes them. It copies each into a `ConsumerRecord`, which takes
  longer than parsing it, and all that this adds is the topic and the partition, by which they are grouped anyway.
- It asks by session (`tables.sessions`): what has nothing new is neither asked for nor told of.
- Who wants records gets them in the step in which they come, four turns of the loop before the others, and what
  they do with them comes before the next fetch.
- What is taken at once is fetched again from where it now stands, without a look at all partitions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from copy import copy
from typing import Any, Protocol, cast

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer import consumer as consumers
from aiokafka.consumer import fetcher
from aiokafka.errors import KafkaError
from aiokafka.protocol.fetch import FetchRequest

from tables.sessions import SessionClient, Wanted

_TURNS = 2
"""Of the loop, in which fetched records reach whoever decides about them."""

_SAME_SECONDS = 0.1
"""After so long the next fetch comes after a look at all partitions: others may be wanted, or brokers lead others."""


class Record(Protocol):
    """What is read of a fetched record. `timestamp` is in ms since 1970."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> list[tuple[str, bytes]]: ...


class _Parsed(fetcher.PartitionRecords):  # type: ignore[misc]
    def _consumer_record(self, _: Any, record: Record) -> Record:
        return record


class Fetcher(fetcher.Fetcher):  # type: ignore[misc]
    """A consumer's fetcher, to be asked directly for what it has.

    on_arrival: called in the step in which something comes; what it raises, `wait` does.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.on_arrival: Callable[[], object] | None = None
        self._failure: Exception | None = None
        self._fetched_for: Any = None
        self._handed_on: list[Collection[TopicPartition]] = []
        self._left_out = False

    def _get_actions_per_node(self, assignment: Any) -> Any:
        self._left_out = False
        return super()._get_actions_per_node(assignment)

    async def _proc_fetch_request(self, assignment: Any, node_id: int, request: Any) -> bool:
        """Fetch from a broker, again and again for as long as all that comes is taken at once."""
        if assignment is not self._fetched_for:
            # It knows nothing yet, not even of partitions that have nothing new.
            self._fetched_for = assignment
            self._client.restart_sessions()
        task = cast("asyncio.Task[bool]", asyncio.current_task())
        task.add_done_callback(self._look_again)
        places = {TopicPartition(topic, p) for topic, some in request.topics for p, _, _ in some}
        until = self._loop.time() + _SAME_SECONDS
        while await super()._proc_fetch_request(assignment, node_id, request):
            self._handed_on.append(places)
            try:
                await self._hand_on()
            except asyncio.CancelledError:
                # Whoever cancels this task waits for its end, and is told of nothing but that.
                return True
            finally:
                self._handed_on.remove(places)
            following = self._following(assignment, request)
            if following is None or self._loop.time() > until:
                return True
            request = following
        return False

    def _look_again(self, _: object) -> None:
        """Another look, in case the last one came when this task was over and not yet known to be."""
        self._notify(self._wait_consume_future)

    def _following(self, assignment: Any, request: FetchRequest) -> FetchRequest | None:
        """The same partitions from where they stand now; None where it takes a look at all of them."""
        is_all_taken = self.on_arrival is not None and not self._records
        if not (is_all_taken and assignment.active) or self._left_out or self._failure:
            return None
        topics: Wanted = []
        for topic, partitions in request.topics:
            states = [
                (p, assignment.state_value(TopicPartition(topic, p))) for p, _, _ in partitions
            ]
            if not all(state.has_valid_position and not state.paused for _, state in states):
                return None
            most = partitions[0][2]
            topics.append((topic, [(p, state.position, most) for p, state in states]))
        following = copy(request)
        following._topics = topics
        return following

    async def _hand_on(self) -> None:
        """Tell of what has come, and have it decided about before the next fetch is prepared."""
        if self.on_arrival is not None:
            try:
                self.on_arrival()
            except Exception as error:  # noqa: BLE001  raised by `wait`: here it would end all fetching
                self._failure = error
        if self._records or self._failure:
            self.wake()
        for _ in range(_TURNS):
            await asyncio.sleep(0)

    def take(
        self, most: int, partitions: Collection[TopicPartition] | None = None
    ) -> dict[TopicPartition, list[Record]]:
        """At most so many records that have come, of these partitions or of all.

        Raises, as `KafkaError`, what has come of a partition instead of records; `wait` does where others have some.
        """
        taken: dict[TopicPartition, list[Record]] = {}
        if self._subscriptions.reassignment_in_progress:
            return taken
        with self._subscriptions.fetch_context():
            for tp, found in list(self._records.items()):
                if not most:
                    break
                if partitions is not None and tp not in partitions:
                    continue
                try:
                    records = self._take_of(tp, found, most)
                except KafkaError as error:
                    if not taken:
                        raise
                    self._failure = error
                    break
                if records:
                    taken[tp] = records
                    most -= len(records)
        return taken

    def _take_of(self, tp: TopicPartition, found: Any, most: int) -> list[Record]:
        if isinstance(found, fetcher.FetchError):
            self._drop(tp)
            found.check_raise()
        records: list[Record] = found.getall(most)
        if not found.has_more():
            self._drop(tp)
        return records

    def _drop(self, tp: TopicPartition) -> None:
        del self._records[tp]
        if not any(tp in places for places in self._handed_on):
            self._left_out = True
            self._notify(self._wait_consume_future)

    async def wait(self, seconds: float) -> None:
        """Until something comes, or `wake` is called, or for so many seconds.

        Raises what has ended the fetching, or what the group's coordinator can't go on after.
        """
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        if self._fetch_task.done():
            self._fetch_task.result()
        waiter = self._create_fetch_waiter()
        timer = self._loop.call_later(seconds, self._notify, waiter)
        try:
            with self._subscriptions.fetch_context():
                await waiter
        finally:
            timer.cancel()

    def wake(self) -> None:
        """Have `wait` return: something has come, or more partitions are wanted."""
        for waiter in self._fetch_waiters:
            self._notify(waiter)


def fetcher_of(consumer: AIOKafkaConsumer) -> Fetcher:
    """The fetcher of a started consumer that was made after `fetch_fast`."""
    return cast("Fetcher", consumer._fetcher)


def fetch_fast() -> None:
    """Have every consumer that this process makes from now on fetch like this, also those that libraries make."""
    fetcher.PartitionRecords = _Parsed
    consumers.Fetcher = Fetcher
    consumers.AIOKafkaClient = SessionClient
