"""The system as a Kafka client sees it: commands in, answers, logs and offsets out."""

import asyncio
import contextlib
import itertools
import logging
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import aiokafka
import orjson
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import OffsetSpec
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import KafkaError
from kafka.partitioner import murmur2

COMMANDS = ("mailbox-commands", "user-commands")
FAST = {"member_rate": [10_000, 10_000], "mailbox_rate": [100_000, 100_000]}
"""A policy under which nobody who sends is too fast."""

MAX_RECORD = 4 << 20
BACK_SECONDS = 30
STORED_SECONDS = 20

# kafka-python can't read the metadata of Faust's members and says so each time.
logging.getLogger("kafka.admin._groups").setLevel(logging.ERROR)

T = TypeVar("T")

Offsets = dict[int, int]
Command = dict[str, Any]


class Kafka:
    """Everything the tests do on the topics of one app; topics are named without the app id."""

    def __init__(self, bootstrap: str, app_id: str) -> None:
        self._bootstrap = bootstrap
        self._app_id = app_id
        self._opened = contextlib.ExitStack()
        self._admin: KafkaAdminClient | None = None
        self._producer: KafkaProducer | None = None
        self._asker: Asker | None = None
        self._partitions: dict[str, int] = {}

    def close(self) -> None:
        self._opened.close()

    @property
    def admin(self) -> KafkaAdminClient:
        if self._admin is None:
            self._admin = self._open(KafkaAdminClient(bootstrap_servers=self._bootstrap))
        return self._admin

    def _asked(self, question: Callable[[KafkaAdminClient], T]) -> T:
        """The broker's answer; one that is on its way back from a kill is asked again."""
        until = time.monotonic() + BACK_SECONDS
        while True:
            try:
                return question(self.admin)
            except KafkaError as error:
                if not error.retriable or time.monotonic() > until:
                    raise
                time.sleep(0.2)

    @property
    def producer(self) -> KafkaProducer:
        if self._producer is None:
            self._producer = self._open(self.new_producer())
        return self._producer

    @property
    def asker(self) -> "Asker":
        if self._asker is None:
            self._asker = self._open(Asker(self))
        return self._asker

    def new_producer(self, **options: Any) -> KafkaProducer:
        return KafkaProducer(
            **{
                "bootstrap_servers": self._bootstrap,
                "linger_ms": 2,
                "max_request_size": 2 * MAX_RECORD,
                **options,
            }
        )

    def new_consumer(self, **options: Any) -> KafkaConsumer:
        return KafkaConsumer(
            **{
                "bootstrap_servers": self._bootstrap,
                "enable_auto_commit": False,
                "auto_offset_reset": "earliest",
                "max_partition_fetch_bytes": 2 * MAX_RECORD,
                "max_poll_records": 5_000,
                **options,
            }
        )

    def _open(self, client: Any) -> Any:
        self._opened.callback(client.close)
        return client

    def topic(self, name: str) -> str:
        return f"{self._app_id}-{name}"

    def partitions(self, name: str) -> int:
        if name not in self._partitions:
            (described,) = self._asked(lambda admin: admin.describe_topics([self.topic(name)]))
            self._partitions[name] = len(described["partitions"])
        return self._partitions[name]

    def partition_of(self, key: str | bytes) -> int:
        """Where Kafka's default partitioner puts a command."""
        key = key.encode() if isinstance(key, str) else key
        return (murmur2(key) & 0x7FFFFFFF) % self.partitions("mailbox-commands")

    def name_in(self, partition: int, prefix: str = "") -> str:
        """A new name that belongs to a partition, with `prefix` before it in the key."""
        while True:
            name = f"n{uuid.uuid4().hex[:12]}"
            if self.partition_of(prefix + name) == partition:
                return name

    # Commands

    def send(self, command: Command) -> None:
        """Write one command and wait until Kafka has it."""
        self.send_all([command])

    def send_all(self, commands: Sequence[Command]) -> None:
        pending = [
            self.producer.send(
                self.topic(topic_of(command)),
                key=key_of(command).encode(),
                value=orjson.dumps(command),
            )
            for command in commands
        ]
        self.producer.flush()
        for record in pending:
            record.get(timeout=30)

    def put(self, name: str, key: bytes | None, value: bytes | None, partition: int) -> int:
        """Write raw bytes to a partition; returns the offset."""
        sent = self.producer.send(self.topic(name), key=key, value=value, partition=partition)
        return int(sent.get(timeout=30).offset)

    def ask(self, command: Command, within: float = 30) -> Any:
        """Send a command with a reply address; returns the result, raises Refused for an error."""
        return self.asker.ask([command], within)[0]

    def ask_all(self, commands: Sequence[Command], within: float = 30) -> list[Any]:
        return self.asker.ask(commands, within)

    def wait_decides(self, within: float) -> None:
        """Return once every partition of both command topics answers."""
        self.asker.probe(range(self.partitions("mailbox-commands")), within)

    # Topics

    def ends(self, name: str) -> Offsets:
        return self._offsets(name, OffsetSpec.LATEST)

    def begins(self, name: str) -> Offsets:
        return self._offsets(name, OffsetSpec.EARLIEST)

    def _offsets(self, name: str, spec: Any) -> Offsets:
        numbers = range(self.partitions(name))
        wanted = {TopicPartition(self.topic(name), number): spec for number in numbers}
        found = self._asked(lambda admin: admin.list_partition_offsets(wanted))
        return {place.partition: offset.offset for place, offset in found.items()}

    def read(self, name: str, start: Mapping[int, int] | None = None) -> list[ConsumerRecord]:
        """All records of a topic up to its present end, each partition's in order."""
        start = start or self.begins(name)
        with contextlib.closing(self.new_consumer()) as consumer:
            return list(read_to(consumer, self.topic(name), start, self.ends(name)))

    def rows_of(self, mailbox: str) -> list[ConsumerRecord]:
        """A mailbox's records of the log, in order; others come at any time, those of leases above all."""
        prefix = f"{mailbox}/".encode()
        return [row for row in self.read("mailbox-changelog") if row.key.startswith(prefix)]

    # The consumer group

    def committed(self, name: str) -> Offsets:
        groups = self._asked(lambda admin: admin.list_group_offsets(self._app_id))
        offsets = groups[self._app_id]
        return {
            place.partition: kept.offset
            for place, kept in offsets.items()
            if place.topic == self.topic(name)
        }

    def command_ends(self) -> dict[str, Offsets]:
        """Where the command topics end."""
        return {name: self.ends(name) for name in COMMANDS}

    def lag(self, ends: dict[str, Offsets]) -> int:
        """Command records before these ends that no worker has committed."""
        return sum(
            max(0, end - max(kept.get(partition, 0), 0))
            for name, of_topic in ends.items()
            for kept in [self.committed(name)]
            for partition, end in of_topic.items()
        )

    def assignment(self) -> dict[str, "Assigned"]:
        """The workers in the group, by Kafka client id; empty while the group rebalances."""
        groups = self._asked(lambda admin: admin.describe_groups([self._app_id]))
        group = groups[self._app_id]
        if group["group_state"] != "Stable":
            return {}
        return {member["client_id"]: Assigned(member, self) for member in group["members"]}


class Assigned:
    """What a member of the group was assigned."""

    def __init__(self, member: Any, kafka: Kafka) -> None:
        self._partitions: dict[str, frozenset[int]] = {
            part["topic"]: frozenset(part["partitions"])
            for part in (member["member_assignment"] or {}).get("assigned_partitions", [])
        }
        self._kafka = kafka

    def of(self, name: str) -> frozenset[int]:
        """Its partitions of a topic."""
        return self._partitions.get(self._kafka.topic(name), frozenset())

    @property
    def commands(self) -> frozenset[int]:
        """Its partitions of either command topic."""
        return frozenset().union(*(self.of(name) for name in COMMANDS))


class Refused(Exception):
    """An answer with an error."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(f"{error.get('code')}: {error.get('message')}")
        self.error = error
        self.code: str = error["code"]


class Asker:
    """Asks through the command topics and reads the replies, as a gateway does."""

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka
        self._key = uuid.uuid4().hex
        self._refs = itertools.count(1)
        self._answers: dict[int, Any] = {}
        self._place = TopicPartition(kafka.topic("replies"), 0)
        self._consumer = kafka.new_consumer(fetch_max_wait_ms=50)
        self._consumer.assign([self._place])
        self._consumer.seek(self._place, kafka.ends("replies")[0])

    def close(self) -> None:
        self._consumer.close()

    def ask(self, commands: Sequence[Command], within: float) -> list[Any]:
        refs = self.post(commands)
        until = time.monotonic() + within
        while not self.answered(refs):
            if time.monotonic() > until:
                missing = [commands[refs.index(ref)] for ref in refs if ref not in self._answers]
                raise AssertionError(f"no answer within {within:g} s to {missing[:3]}")
        return [result_of(self._answers.pop(ref)) for ref in refs]

    def probe(self, partitions: Sequence[int], within: float) -> None:
        """Ask each partition of both topics again and again until each has answered once."""
        questions = [one for partition in partitions for one in self._questions(partition)]
        asked: dict[int, list[int]] = defaultdict(list)
        until = time.monotonic() + within
        missing = set(range(len(questions)))
        while missing:
            if time.monotonic() > until:
                silent = [questions[one] for one in missing]
                raise AssertionError(f"no decision within {within:g} s on {silent}")
            for one in missing:
                asked[one] += self.post([questions[one]])
            self.answered(list(itertools.chain(*asked.values())), wait=1.0)
            missing = {one for one in missing if not self._answers.keys() & asked[one]}

    def _questions(self, partition: int) -> list[Command]:
        group = "group:" + self._kafka.name_in(partition, "group:")
        user = self._kafka.name_in(partition)
        return [
            {"type": "query", "mailbox": group, "by": "system", "what": "facts"},
            {"type": "query", "user": user, "by": "system", "what": "cursors"},
        ]

    def next_ref(self) -> int:
        """A ref for a command that carries the address by other means."""
        return next(self._refs)

    def post(self, commands: Sequence[Command]) -> list[int]:
        """Send with a reply address; returns the refs to look for."""
        refs = [next(self._refs) for _ in commands]
        to, partition = self.address
        self._kafka.send_all(
            [
                {**command, "reply": {"to": to, "partition": partition, "ref": ref}}
                for command, ref in zip(commands, refs, strict=True)
            ]
        )
        return refs

    def answer(self, ref: int, within: float = 30) -> Any:
        """The whole answer to a ref, whatever it says."""
        until = time.monotonic() + within
        while not self.answered([ref]):
            assert time.monotonic() < until, f"no answer to {ref} within {within:g} s"
        return self._answers.pop(ref)

    @property
    def address(self) -> tuple[str, int]:
        """The key and partition that answers come to."""
        return self._key, self._place.partition

    def answered(self, refs: Sequence[int], wait: float = 0.2) -> bool:
        """Whether all these answers are in; reads for up to `wait` seconds."""
        until = time.monotonic() + wait
        while not self._answers.keys() >= set(refs) and time.monotonic() < until:
            for records in self._consumer.poll(timeout_ms=50).values():
                for record in records:
                    if record.key == self._key.encode():
                        answer = orjson.loads(record.value)
                        self._answers[answer["ref"]] = answer
        return self._answers.keys() >= set(refs)


def result_of(answer: Any) -> Any:
    if "error" in answer:
        raise Refused(answer["error"])
    return answer["result"]


def topic_of(command: Command) -> str:
    return "mailbox-commands" if "user" not in command else "user-commands"


def key_of(command: Command) -> str:
    return str(command.get("user") or command["mailbox"])


def read_to(
    consumer: KafkaConsumer, topic: str, start: Mapping[int, int], ends: Mapping[int, int]
) -> Iterator[ConsumerRecord]:
    places = {TopicPartition(topic, number): end for number, end in ends.items()}
    consumer.assign(list(places))
    for place in places:
        consumer.seek(place, start.get(place.partition, 0))
    while any(consumer.position(place) < end for place, end in places.items()):
        for records in consumer.poll(timeout_ms=1_000).values():
            for record in records:
                if record.offset < places[TopicPartition(record.topic, record.partition)]:
                    yield record


def new_id() -> str:
    return str(uuid.uuid4())


def make_topic(
    bootstrap: str, name: str, partitions: int, **configs: str
) -> list[aiokafka.TopicPartition]:
    """Make a topic with one replica; returns its partitions, as aiokafka knows them."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        admin.create_topics(
            {name: {"num_partitions": partitions, "replication_factor": 1, "configs": configs}}
        )
    finally:
        admin.close()
    return [aiokafka.TopicPartition(name, number) for number in range(partitions)]


async def stored_records(
    bootstrap: str, topic: str, count: int
) -> dict[tuple[int, int], tuple[bytes | None, bytes | None]]:
    """The key and the value of each record of a topic, by partition and offset, once there are so many."""
    found = {}
    consumer = aiokafka.AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=MAX_RECORD,
    )
    async with consumer, asyncio.timeout(STORED_SECONDS):
        while len(found) < count:
            for place, records in (await consumer.getmany(timeout_ms=1_000)).items():
                found |= {(place.partition, r.offset): (r.key, r.value) for r in records}
    return found


def unique(label: str) -> str:
    """A name that no other test uses."""
    return f"{label}-{uuid.uuid4().hex[:10]}"
