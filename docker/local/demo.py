"""Load demo groups, chats and feeds by producing commands, as any Kafka producer may.

Ids derive from fixed names, so that loading again changes nothing. With the argument `authors`:
post in the names of the demo's authors, now and then, until stopped.
"""

import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from authors import Command, first_posts, later_posts
from rich.progress import track

from streams.settings import settings
from streams.topics import topics

# kafka.py beside this file would hide kafka-python.
sys.path.remove(str(Path(__file__).resolve().parent))
from kafka import KafkaProducer
from kafka.producer.future import FutureRecordMetadata

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "demo.readcast")


@dataclass(frozen=True, slots=True)
class Chat:
    """A mailbox and what was said in it, one `name: text` a line; a group has an owner."""

    mailbox: str
    said: str
    owner: str | None = None
    members: tuple[str, ...] = ()
    policy: dict[str, object] = field(default_factory=dict)


CHATS = (
    Chat(
        mailbox="group:team",
        owner="alice",
        members=("bob", "carol", "dave"),
        said="""
alice: Morning all. The new release goes out at four, so let's keep main quiet after lunch.
bob: Fine with me. I have one fix left, the reconnect button on slow networks.
carol: I can review that before noon.
bob: Thanks, it's up. Twelve lines and a test.
dave: Did anybody look at the alert from last night?
carol: Yes, the disk of the second broker. Retention was set in the wrong unit, fixed at 2:10.
dave: Ha, hours for days?
carol: The other way round. We kept seven hours.
alice: Please add that to the runbook, it's the second time.
carol: Already there, with the command to check it.
bob: The review is done, merging now.
alice: Great. I'll tag the release at three and we watch the graphs together.
dave: I'll bring the cake. Lemon this time.
bob: Lemon it is.
alice: Tagged. Rolling out to the first ten percent.
carol: Latency is flat, 4 ms in the middle.
dave: No errors on my side either.
alice: Going to one hundred. Thanks everybody!
""",
    ),
    Chat(
        mailbox="group:lounge",
        owner="erin",
        members=("alice", "bob", "dave"),
        said="""
erin: Who is in for the boulder hall on Thursday?
dave: Me! After six, if possible.
bob: I'm in too, but I only belay and complain.
erin: Nobody belays in a boulder hall, Bob.
bob: Then I only complain.
alice: I'll join at seven, keep me a spot on the blue wall.
dave: Has anybody read the book about octopuses that was on the kitchen table?
erin: Twice. The chapter on camouflage is wonderful.
alice: Mine next, please.
dave: Leaving it on your desk.
bob: Also, whoever owns the green bicycle: your light is on.
erin: Oh no. Thank you!
""",
    ),
    Chat(
        mailbox="group:announcements",
        owner="carol",
        members=("alice", "bob", "dave", "erin"),
        policy={"post": "admins"},
        said="""
carol: The office is closed on Friday. Enjoy the long weekend.
carol: Release 12 is out: reconnecting is twice as fast, and unread counts agree on all devices.
carol: The lift is being repaired until Wednesday, please take the stairs on the left.
carol: New colleagues start on Monday at nine. There will be cake, ask Dave.
""",
    ),
    Chat(
        mailbox="direct:alice~bob",
        said="""
alice: Do you have ten minutes for the design of the search page?
bob: Sure, at two? I have a sketch already.
alice: Perfect. Bring the sketch.
bob: It is on the back of a receipt, be kind.
alice: The best ones are.
bob: By the way, the coffee machine wants to be descaled again.
alice: I'll pretend I didn't read that.
""",
    ),
)


def main() -> None:
    producer = KafkaProducer(bootstrap_servers=settings().bootstrap_servers.split(","))
    if sys.argv[1:] == ["authors"]:
        for command in later_posts():
            produce(producer, command)
        return
    demo = [*(command for chat in CHATS for command in commands(chat)), *first_posts()]
    for command in track(demo, description="  demo data"):
        # One by one, so that what was written later is later in every mailbox.
        produce(producer, command).get(timeout=30)
    producer.close()


def produce(producer: KafkaProducer, command: Command) -> FutureRecordMetadata:
    topic = topics(settings()).mailbox_commands
    return producer.send(topic, key=str(command["mailbox"]).encode(), value=orjson.dumps(command))


def commands(chat: Chat) -> Iterator[Command]:
    if chat.owner:
        opened = {"mailbox": chat.mailbox, "by": chat.owner}
        yield {"type": "create", **opened, "id": id_of(chat, "create"), "policy": chat.policy}
        yield {"type": "join", **opened, "id": id_of(chat, "join"), "members": chat.members}
    for number, line in enumerate(chat.said.strip().splitlines(), 1):
        by, text = line.split(": ", 1)
        yield {
            "type": "send",
            "mailbox": chat.mailbox,
            "by": by,
            "id": id_of(chat, str(number)),
            "body": {"text": text},
        }


def id_of(chat: Chat, name: str) -> str:
    return str(uuid.uuid5(NAMESPACE, f"{chat.mailbox}/{name}"))


if __name__ == "__main__":
    main()
