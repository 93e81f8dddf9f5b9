"""Feeds through a real broker: the command line, the documented lines, and pages while workers come and go."""

import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from streams.client import PipelineClient
from streams.feeds.order import place, post_id
from streams.feeds.pages import read_page
from streams.feeds.sources import ClientSources
from streams.settings import Settings
from tests.kafka.test_clients import SEPARATOR, produce
from tests.kafka.test_public import failed, ran
from tests.processes import ROOT, System, running
from tests.records import Command, new_id, unique

PROTOCOL = (ROOT / "docs/protocol.md").read_text()
LINES = re.findall(r"^  '([a-z:]+)' '(\{.*\})'", PROTOCOL, re.MULTILINE)
OF_AUTHORS = [orjson.loads(line) for key, line in LINES if key.startswith("author:")]
OF_READERS = [
    orjson.loads(line) for _, line in LINES if re.match(r'\{"type":"(seen|snapshot)"', line)
]
RESTART_SECONDS = 90


def command(type_: str, author: str, by: str = "", **fields: Any) -> Command:
    by = by or author
    return {"type": type_, "mailbox": f"author:{author}", "by": by, "id": new_id(), **fields}


def facts(author: str, by: str = "system") -> Command:
    return {"type": "outbox", "mailbox": f"author:{author}", "by": by, "what": "author"}


def settings_of(system: System) -> Settings:
    return Settings(KAFKA_BOOTSTRAP_SERVERS=system.bootstrap, app_id=system.app_id)


async def feed(system: System, user: str, limit: int) -> list[tuple[str, Any]]:
    """Author and body of the posts on all pages of a feed, in order."""
    settings = settings_of(system)
    rows, last = [], None
    async with PipelineClient(settings, RESTART_SECONDS) as client:
        sources = ClientSources(client, settings.partitions)
        follows = await sources.follows(user)
        while True:
            page = await read_page(sources, user, follows, last, limit)
            rows += page.posts
            last = page.last
            if last is None:
                break
    ids = [post_id(row) for row in rows]
    assert ids == sorted(set(ids), key=place)
    return [(row.sender, orjson.loads(bytes(row.body))) for row in rows]


# The command line


def test_an_author_posts_and_followers_read_on_the_command_line(stack: System):
    ann, eva, fay = unique("ann"), unique("eva"), unique("fay")
    assert ran(stack, "follow-author", ann, eva, fay).strip() == f"{ann} has 2 followers"
    post = ("post", ann, '{"text":"[b]hi[/b]"}', "--state", "live", "--id", new_id())
    assert ran(stack, *post).strip() == f"post 1 of {ann}"
    assert ran(stack, *post).strip() == f"post 1 of {ann}, as before"
    for seq in (2, 3):
        assert ran(stack, "post", ann, str(seq)).strip() == f"post {seq} of {ann}"
    assert ran(stack, "edit", ann, "2", '"two"').strip() == f"post 2 of {ann} is edited"
    assert ran(stack, "delete", ann, "3").strip() == f"post 3 of {ann} is deleted"

    first = ran(stack, "feed", "--as", eva, "--limit", "1").splitlines()
    last_id, body = first[1].split()
    assert body == '"two"'
    assert first[2] == f"more: --last-id {last_id}"
    (_, row) = ran(stack, "feed", "--as", eva, "--last-id", last_id).splitlines()
    assert row.split()[1:] == ["live", '{"text":"[b]hi[/b]"}']
    assert ran(stack, "state", ann, "1").strip() == f"post 1 of {ann} is a post like others"
    rows = [line.split() for line in ran(stack, "feed", "--author", ann).splitlines()[1:]]
    assert [row[1:] for row in rows] == [['"two"'], ['{"text":"[b]hi[/b]"}']]

    assert ran(stack, "mode", ann, "pull").strip() == f"{ann} has the mode pull"
    assert ran(stack, "unfollow-author", ann, fay).strip() == f"{ann} has 1 follower"
    shown = dict(line.split() for line in ran(stack, "author", ann, "--as", eva).splitlines())
    assert shown == {
        "posts": "3",
        "followers": "1",
        "mode": "pull",
        "pushes": "false",
        "follows": "true",
        "blocked": "false",
    }
    assert len(ran(stack, "feed", "--as", fay).splitlines()) == 1

    assert ran(stack, "block", ann, eva, fay).strip() == f"{ann} has blocked {eva}, {fay}"
    assert len(ran(stack, "feed", "--as", eva).splitlines()) == 1
    assert failed(stack, "author", ann, "--as", "x y").startswith("Error: ")
    assert "blocked    true" in ran(stack, "author", ann, "--as", fay)
    assert ran(stack, "unblock", ann, fay).strip() == f"{ann} blocks {fay} no more"
    assert "blocked    false" in ran(stack, "author", ann, "--as", fay)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("post", "an n", "1"), "Error: Expected `str` matching regex"),
        (("post", "ann", "hi"), "Error: body: "),
        (("post", "ann", "1", "--state", "Live"), "Error: Expected `str` matching regex"),
        (("edit", "nobody", "1", "1"), "Error: not_found: nobody has no post 1"),
        (("delete", "ann", "0"), "Error: Expected `int` >= 1"),
        (("mode", "ann", "both"), "Error: Invalid enum value 'both'"),
        (("follow-author", "ann", "system"), "Error: bad_request: 'system' follows nobody"),
        (("feed",), "Error: name a user with --as, or an author with --author"),
        (("feed", "--as", "a", "--author", "b"), "Error: name a user with --as, or"),
        (("feed", "--as", "a b"), "Error: Expected `str` matching regex"),
        (("feed", "--as", "eva", "--limit", "101"), "Error: Expected `int` <= 100"),
        (("feed", "--as", "eva", "--last-id", "17"), "Error: a post's id is"),
    ],
)
def test_a_mistake_is_told_in_one_line(stack: System, arguments: tuple[str, ...], message: str):
    assert failed(stack, *arguments).startswith(message)


# The documents


async def test_the_documented_lines_post_and_follow(stack: System):
    assert {c["type"] for c in OF_AUTHORS} == {
        "follow", "post", "edit", "state", "delete", "unfollow", "block", "unblock", "mode"
    }  # fmt: skip
    for name, commands in (("mailbox-commands", OF_AUTHORS), ("user-commands", OF_READERS)):
        key = "mailbox" if name == "mailbox-commands" else "user"
        lines = [f"{c[key]}{SEPARATOR}{orjson.dumps(c).decode()}" for c in commands]
        produce(stack, name, lines)
    author = stack.kafka.ask(facts("hello", "carol"))
    assert (author["posts"], author["followers"], author["mode"]) == (2, 1, "pull")
    assert (author["pushes"], author["follows"], author["blocked"]) == (False, False, True)
    assert await feed(stack, "alice", 10) == [("hello", {"text": "hi, all"})]
    seen, kept = OF_READERS
    question = {"type": "feed", "user": seen["user"], "by": seen["user"]}
    assert stack.kafka.ask({**question, "what": "inbox"})["seen"] > 1_700_000_000_000
    snapshot = stack.kafka.ask({**question, "what": "snapshot", "id": kept["id"]})
    assert snapshot["posts"] == kept["posts"]


# The whole

READERS = [f"r{number}" for number in range(8)]


class Newsroom:
    """Two authors and what they have posted: by kafka-python, or by Kafka's console producer."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.made: dict[str, list[int]] = {"few": [], "star": []}

    def post(self, count: int, *, console: bool = False) -> None:
        commands = [self._post(author) for _ in range(count) for author in self.made]
        if console:
            lines = [f"{c['mailbox']}{SEPARATOR}{orjson.dumps(c).decode()}" for c in commands]
            produce(self.system, "mailbox-commands", lines)
        else:
            self.system.kafka.send_all(commands)

    def _post(self, author: str) -> Command:
        self.made[author].append(len(self.made[author]))
        return command("post", author, body=self.made[author][-1])

    def ask(self, *commands: Command) -> list[Any]:
        return self.system.kafka.ask_all(commands, RESTART_SECONDS)

    def follow(self, author: str, readers: list[str]) -> None:
        self.ask(command("follow", author, "system", members=readers))

    def pushes(self, author: str) -> bool:
        """Whether posts are pushed, once all that was sent before is decided."""
        return bool(self.ask(facts(author))[0]["pushes"])

    def inbox(self, reader: str) -> set[tuple[str, int]]:
        question = {"type": "feed", "user": reader, "by": reader, "what": "inbox"}
        return {(author, seq) for _, seq, author in self.ask(question)[0]["posts"]}

    async def check(self, *authors_of: tuple[str, list[str]]) -> None:
        """What each reader finds on the pages is what those whom they follow have posted."""
        for reader, authors in authors_of:
            found = await feed(self.system, reader, 9)
            for author in authors:
                mine = [body for sender, body in found if sender == author]
                assert mine == self.made[author][::-1]
            assert {sender for sender, _ in found} == set(authors)


async def test_pages_hold_what_was_posted_while_delivery_switches_and_workers_come_and_go(
    broker: str, tmp_path: Path
):
    with running(broker, tmp_path, workers=2, gateways=0, READCAST_FEED_THRESHOLD="5") as system:
        room = Newsroom(system)
        room.follow("few", READERS[:3])
        room.follow("star", READERS[:4])
        room.post(5)
        room.post(5, console=True)
        assert room.pushes("few")
        assert room.pushes("star")
        both, star = ["few", "star"], ["star"]
        await room.check((READERS[0], both), (READERS[3], star))
        assert room.inbox(READERS[3]) == {("star", seq) for seq in range(1, 11)}

        room.post(2)
        room.follow("star", READERS[4:])
        room.post(3)
        assert not room.pushes("star")
        worker = system.workers[0]
        worker.kill()
        worker.wipe()
        room.post(5)
        worker.start()
        room.post(5, console=True)
        assert room.pushes("few")
        assert not room.pushes("star")
        await room.check((READERS[0], both), (READERS[3], star), (READERS[7], star))
        assert room.inbox(READERS[3]) == {("star", seq) for seq in range(1, 13)}
        assert room.inbox(READERS[7]) == set()

        room.ask(command("unfollow", "star", "system", members=READERS[4:]))
        room.post(3)
        assert room.pushes("star")
        await room.check((READERS[0], both), (READERS[3], star), (READERS[7], []))
        assert room.inbox(READERS[3]) >= {("star", seq) for seq in range(26, 29)}
        facts_of = room.ask(facts("few"), facts("star"))
        assert [(one["posts"], one["followers"]) for one in facts_of] == [(28, 3), (28, 4)]
