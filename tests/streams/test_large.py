"""Commands, records and questions whose outcome is larger than a record may be."""

import asyncio

import orjson
import pytest
from aiokafka.errors import MessageSizeTooLargeError

from streams.batches import Batch
from streams.feeds.limits import FeedLimits
from streams.mailboxes.agent import MailboxAgent
from streams.mailboxes.rules import Limits
from streams.outbox import Outbox
from streams.settings import Settings
from streams.topics import MAX_RECORD, topics
from streams.transport import BatchBuilder
from streams.users.agent import UserAgent
from tables.journal import append
from tests.tables.logs import Log, Record, Writer, open_partition, records_of

REPLY = {"to": "gw", "partition": 0, "ref": 7}
ID = "0b9f7f0c-6d6c-4a2b-9f2e-1c9e0a4f1a{:02d}"


class Producer:
    """Builds real record batches, and counts what it is given."""

    def __init__(self):
        self.offset = 0

    def create_batch(self):
        return BatchBuilder()

    async def send_batch(self, batch, topic, partition):
        if batch._builder.size() > MAX_RECORD:
            raise MessageSizeTooLargeError  # as a broker says: `max.message.bytes`
        start, self.offset = self.offset, self.offset + batch._relative_offset
        return start


@pytest.fixture
def writer(tmp_path):
    partition = open_partition(tmp_path)
    yield Writer(partition, Log())
    partition.close()


def process(writer, records, agent=None):
    """What `Lane._process` does with a batch, with real record batches."""
    agent = agent or MailboxAgent(Limits())
    batch = Batch(agent, writer.partition)
    batch.decide(records)
    producer = Producer()
    outbox = Outbox(producer, topics(Settings()), 8)

    async def rest():
        await outbox.effects(batch.effects)
        if batch.dead_letters:
            await outbox.dead_letters("mailbox-commands", 0, batch.dead_letters)
        if batch.entries:
            producer.offset = start = writer.partition.progress.next_offset
            stop = await append(producer, "log", 0, start, batch.entries, 1_000)
            writer.partition.keep(batch.overlay, batch.at, stop)
        replies = list(batch.answers())
        if replies:
            await outbox.replies(replies)

    asyncio.run(rest())
    return batch


def test_a_long_unknown_type_is_buried(writer):
    value = b'{"type":"%b","reply":%b}' % (b"x" * 4_180_000, orjson.dumps(REPLY))
    batch = process(writer, [Record(0, 1_000, b"group:g", value)])
    assert len(batch.dead_letters) == 1


def test_a_publish_with_a_long_audience_is_accepted_or_refused(writer):
    values = [chr(ord("a") + n % 26) * 195 + f"{n:05d}" for n in range(200)]
    audience = {"any": [{"claim": "c", "in": values} for _ in range(60)]}
    publish = {
        "type": "publish",
        "mailbox": "public:p",
        "by": "olga",
        "id": ID.format(1),
        "title": "t",
        "body": "x" * 1_000_000,
        "audience": audience,
        "reply": REPLY,
    }
    value = orjson.dumps(publish)
    assert len(value) < 4 << 20
    process(writer, [Record(0, 1_000, b"public:p", value)])


def test_many_gateways_want_a_thousand_mailboxes(writer):
    mailboxes = [f"group:{n}" for n in range(1_000)]
    offset = 0
    for n in range(100):
        gateway = f"{n:032x}"
        lease = {"type": "lease", "mailbox": f"gateway:{gateway}", "by": "system", "seconds": 3_600}
        announce = {
            "type": "announce",
            "mailbox": "group:0",
            "by": "system",
            "gateway": gateway,
            "mailboxes": mailboxes,
            "wanted": True,
        }
        for command in (lease, announce):
            process(writer, records_of([(1_000, command)], offset))
            offset += 1


def test_facts_of_public_mailboxes(writer):
    publish = {
        "type": "publish",
        "mailbox": "public:p",
        "by": "olga",
        "id": ID.format(1),
        "title": "t",
        "body": "x" * 64_000,
    }
    process(writer, records_of([(1_000, publish)]))
    question = {
        "type": "query",
        "what": "facts",
        "mailbox": "public:p",
        "by": "system",
        "mailboxes": ["public:p"] * 70,
        "reply": REPLY,
    }
    process(writer, records_of([(1_000, question)], 1))


def test_cursors_with_much_that_waits(writer):
    agent = UserAgent(FeedLimits())
    offset = 0
    for n in range(1_000):
        touch = {
            "type": "touch",
            "user": "ann",
            "by": "ann",
            "mailbox": f"public:p{n}",
            "upto": 2_000,
            "deferred": list(range(1_000, 2_000)),
        }
        process(writer, records_of([(1_000, touch)], offset), agent)
        offset += 1
    question = {"type": "query", "user": "ann", "by": "ann", "reply": REPLY}
    process(writer, records_of([(1_000, question)], offset), agent)
