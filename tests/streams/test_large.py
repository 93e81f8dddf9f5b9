"""Commands, records and questions whose outcome is larger than a record may be."""

import asyncio

import orjson
import pytest
from aiokafka.errors import MessageSizeTooLargeError

from streams.batches import Batch
from streams.feeds.limits import FeedLimits
from streams.mailboxes.agent import MailboxAgent
from streams.mailboxes.rules import Limits
from streams.routes.commands import MAX_ROUTES
from streams.routes.rules import Routes
from streams.sender import Sender
from streams.settings import Settings
from streams.topics import MAX_RECORD, topics
from streams.users.agent import UserAgent
from tables.dispatch import BatchBuilder
from tables.journal import append
from tests.tables.logs import Log, Record, Writer, open_partition, records_of

REPLY = {"to": "gw", "partition": 0, "ref": 7}


class Producer:
    """Builds real record batches, and refuses what a broker would."""

    def __init__(self):
        self.offset = 0

    def create_batch(self):
        return BatchBuilder()

    async def send_batch(self, batch, topic, partition):
        if batch.size() > MAX_RECORD:
            raise MessageSizeTooLargeError  # as a broker says: `max.message.bytes`
        start, self.offset = self.offset, self.offset + batch.count
        return start


@pytest.fixture
def writer(tmp_path):
    partition = open_partition(tmp_path)
    yield Writer(partition, Log())
    partition.close()


def process(writer, records, agent=None):
    """What `Lane._process` does with a batch, with real record batches."""
    batch = Batch(agent or MailboxAgent(Limits()), writer.partition)
    batch.decide(records)
    producer = Producer()
    sender = Sender(producer, topics(Settings()), 8)

    async def rest():
        await sender.effects(batch.effects)
        if batch.dead_letters:
            await sender.dead_letters("mailbox-commands", 0, batch.dead_letters)
        if batch.entries:
            producer.offset = start = writer.partition.progress.next_offset
            stop = await append(producer, "log", 0, start, batch.entries, 1_000)
            writer.partition.keep(batch.overlay, batch.at, stop)
        replies = list(batch.answers())
        if replies:
            await sender.replies(replies)

    asyncio.run(rest())
    return batch


def publish(**fields):
    common = {"type": "publish", "mailbox": "public:p", "by": "olga", "title": "t", "reply": REPLY}
    return common | {"id": "0b9f7f0c-6d6c-4a2b-9f2e-1c9e0a4f1a01"} | fields


def codes(batch):
    """Of what was buried, and of the answers."""
    errors = [one.payload["error"]["code"] for one in batch.replies if "error" in one.payload]
    return [str(letter.error.code) for letter in batch.dead_letters], errors


def test_a_long_unknown_type_is_buried(writer):
    value = b'{"type":"%b","reply":%b}' % (b"x" * 4_180_000, orjson.dumps(REPLY))
    batch = process(writer, [Record(0, 1_000, b"group:g", value)])
    assert codes(batch) == (["bad_request"], ["bad_request"])


def test_a_publish_that_no_record_batch_can_hold_is_too_large(writer):
    values = [chr(ord("a") + n % 26) * 195 + f"{n:05d}" for n in range(200)]
    audience = {"any": [{"claim": "c", "in": values} for _ in range(60)]}
    batch = process(writer, records_of([(1_000, publish(body="x" * 1_000_000, audience=audience))]))
    assert codes(batch) == (["too_large"], ["too_large"])


def test_a_hundred_gateways_want_as_many_mailboxes_as_one_command_names(writer):
    mailboxes = [f"group:{n}" for n in range(MAX_ROUTES)]
    for number in range(100):
        gateway = f"{number:032x}"
        lease = {"type": "lease", "mailbox": f"gateway:{gateway}", "by": "system", "seconds": 3_600}
        announce = {
            "type": "announce", "mailbox": "group:0", "by": "system", "gateway": gateway,
            "mailboxes": mailboxes, "wanted": True,
        }  # fmt: skip
        batch = process(writer, records_of([(1_000, lease), (1_000, announce)], 2 * number))
        assert not batch.dead_letters
    assert len(Routes(writer.partition).gateways("group:99")) == 100


def answer(writer, question, offset, agent=None):
    """What a question is answered, once that was stored as well."""
    batch = process(writer, records_of([(1_000, question)], offset), agent)
    (found,) = batch.answers()
    return found.payload


def test_an_answer_that_no_record_can_hold_stops_nobody(writer):
    process(writer, records_of([(1_000, publish(body="x" * 64_000))]))
    question = {
        "type": "query", "what": "facts", "mailbox": "public:p", "by": "system",
        "mailboxes": ["public:p"] * 70, "reply": REPLY,
    }  # fmt: skip
    assert len(orjson.dumps(answer(writer, question, 1))) > MAX_RECORD


def test_cursors_with_much_that_waits_come_in_more_pages(writer):
    agent = UserAgent(FeedLimits())
    for number in range(1_000):
        touch = {
            "type": "touch", "user": "ann", "by": "ann", "mailbox": f"public:p{number:04}",
            "upto": 2_000, "deferred": list(range(1_000, 2_000)),
        }  # fmt: skip
        process(writer, records_of([(1_000, touch)], number), agent)
    question = {"type": "query", "user": "ann", "by": "ann", "reply": REPLY}
    found, more, after = [], True, ""
    while more:
        page = answer(writer, question | {"after": after}, 1_000 + len(found), agent)["result"]
        assert len(orjson.dumps(page)) < MAX_RECORD
        found += [cursor["mailbox"] for cursor in page["cursors"]]
        more, after = page["more"], found[-1]
    assert found == [f"public:p{number:04}" for number in range(1_000)]
