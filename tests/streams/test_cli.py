"""The command line on what it is not given every day; no broker needed."""

import asyncio
import io
from collections.abc import Callable
from weakref import WeakSet

import click
import orjson
import pytest
from msgspec import Raw

import streams.pipeline  # noqa: F401  registers the commands
from streams import cli
from streams.console import NO_ANSWER, checked, console, order, parse_json
from streams.feeds import cli as feeds
from streams.public.cli import table_of_entries
from tables.rows import ORIGIN, Message
from tests.records import new_id

ID = "00000000-0000-4000-8000-000000000001"
FACT = {"mailbox": "group:g", "head": 1, "members": 1, "closed": False}


def printed(show: Callable[[], None]) -> str:
    with console.capture() as shown:
        show()
    return shown.get()


@pytest.mark.parametrize("text", ["[/b]", "a [/] b", "[red]alert", "[link=http://x]y"])
def test_bodies_are_shown_as_they_are(text):
    message = {"seq": 1, "from": "ann", "body": text}
    assert text in printed(lambda: cli._print_mailbox(FACT, [], [message]))


def test_titles_are_shown_as_they_are():
    entry = {"seq": 1, "kind": "publish", "by": "olga", "title": "[/b] 50 % [off]"}
    assert "[/b] 50 % [off]" in printed(lambda: console.print(table_of_entries([entry])))


def test_ids_of_posts_are_shown_whole_however_long_their_bodies_are():
    body = Raw(orjson.dumps("hi all " * 90))
    post = Message(ORIGIN, 17, new_id(), "alice_in_wonder.land", 1795490985871, body)
    shown = printed(lambda: console.print(feeds._table_of_posts([post])))
    assert "1795490985871-17-alice_in_wonder.land " in shown


@pytest.mark.parametrize(("members", "more"), [(4, "and 3 more"), (1, "")])
def test_members_that_are_not_shown_are_told(members, more):
    ann = {"user": "ann", "role": "owner"}
    shown = printed(lambda: cli._print_mailbox({**FACT, "members": members}, [ann], []))
    assert shown.splitlines()[1] == f"ann (owner)  {more}".strip()


@pytest.mark.parametrize(
    "fields",
    [
        {"expect": 10**20, "release": {}},
        {"expect": 1, "release": {"users": ["\udcff"]}},
        {"expect": 1, "release": {}, "mailbox": "public:\udcff"},
    ],
)
def test_what_json_cannot_hold_is_a_clear_error(fields):
    release = {"type": "release", "mailbox": "public:p", "by": "olga", "publish": 1}
    with pytest.raises(click.ClickException):
        checked({**release, "id": new_id(), **fields})


@pytest.mark.parametrize("number", [2**70, -(2**70)])
def test_numbers_of_any_size_are_what_was_written(number):
    assert parse_json("body", f"[{number}]") == [number]
    send = {"type": "send", "mailbox": "group:g", "by": "ann", "id": new_id(), "body": number}
    assert checked(send)["body"] == number


def test_a_bad_address_of_a_reply_is_a_clear_error():
    send = {"type": "send", "mailbox": "group:g", "by": "ann", "id": new_id(), "body": 1}
    with pytest.raises(click.ClickException, match="reply"):
        checked({**send, "reply": "me"})


async def test_of_a_long_file_only_what_is_on_its_way_is_in_memory():
    command = {"type": "send", "mailbox": "group:g", "by": "ann", "id": new_id(), "body": 1}
    alive: WeakSet[asyncio.Future[None]] = WeakSet()
    most = 0

    class Client:
        async def send(self, command):
            nonlocal most
            stored = asyncio.get_running_loop().create_future()
            stored.set_result(None)
            alive.add(stored)
            most = max(most, len(alive))
            return stored

    await cli._send_file(Client(), io.BytesIO((orjson.dumps(command) + b"\n") * 1_000))
    assert most < 10


class Silence:
    """A pipeline without a worker."""

    def __init__(self, settings):
        """As a client of one with these settings."""

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        """Nothing to close."""

    async def ask(self, command, partition):
        raise TimeoutError


@pytest.mark.parametrize(
    ("kind", "fields", "again", "hint"),
    [
        ("post", {"body": 1}, True, f" Repeat it with --id {ID}: it is carried out once"),
        ("delete", {"seq": 1}, False, ""),
    ],
)
async def test_no_answer_is_a_clear_error(monkeypatch, kind, fields, again, hint):
    monkeypatch.setattr("streams.console.PipelineClient", Silence)
    with pytest.raises(click.ClickException) as failed:
        await order(kind, "author:ann", "ann", fields, ID, again=again)
    assert failed.value.message == NO_ANSWER + hint
