"""Records that are no commands of feeds: each is refused with what is wrong with it."""

import orjson
import pytest

from streams.errors import Code, Malformed
from streams.feeds.limits import FeedLimits
from streams.mailboxes.agent import MailboxAgent
from streams.mailboxes.rules import Limits
from streams.users.agent import UserAgent
from tests.rules.commands import uuid_of

POST = {"type": "post", "mailbox": "author:ann", "by": "ann", "id": uuid_of(1), "body": 1}
REPLY = {"to": "test", "partition": 0, "ref": 1}
OUTBOX = {"type": "outbox", "mailbox": "author:ann", "by": "system", "reply": REPLY}
PUSHED = {
    "type": "pushed",
    "mailbox": "author:ann",
    "by": "system",
    "users": ["eva"],
    "seq": 1,
    "ts": 5,
}
FOLLOWED = {"type": "followed", "mailbox": "author:ann", "by": "system", "users": ["eva"], "src": 1}
SNAPSHOT = {"type": "snapshot", "user": "eva", "by": "eva", "id": uuid_of(1), "posts": []}
FEED = {"type": "feed", "user": "eva", "by": "eva", "what": "inbox", "reply": REPLY}


def of_author(key, command):
    return MailboxAgent(Limits(), 1_000).decode(key, orjson.dumps(command))


def of_user(key, command):
    return UserAgent(FeedLimits()).decode(key, orjson.dumps(command))


def changed(command, **fields):
    """A command with other fields; None leaves one out."""
    return {name: value for name, value in {**command, **fields}.items() if value is not None}


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (changed(POST, body=None), "missing required field `body`"),
        (changed(POST, id=None), "missing required field `id`"),
        (changed(POST, colour="red"), "unknown field `colour`"),
        (changed(POST, mailbox="group:ann"), r"regex .* at `\$.mailbox`"),
        (changed(POST, state="Live"), r"at `\$.state`"),
        (changed(POST, state="l" * 33), r"at `\$.state`"),
        (changed(POST, type="edit"), "missing required field `seq`"),
        (changed(POST, type="edit", seq=0), "Expected `int` >= 1"),
        (changed(POST, type="delete", body=None), "missing required field `seq`"),
        (changed(POST, type="state", body=None, seq=1), "missing required field `state`"),
        (changed(POST, type="follow"), "unknown field `body`"),
        (changed(POST, type="follow", body=None, members=[]), r"length >= 1 - at `\$.members`"),
        (changed(POST, type="follow", body=None, members=["a"] * 1_001), "length <= 1000"),
        (changed(POST, type="mode", body=None, mode="hybrid"), "Invalid enum value 'hybrid'"),
        (changed(POST, type="push", body=None, id=None, seq=1, after=""), r"at `\$.after`"),
        (changed(OUTBOX, what="all"), "Invalid enum value 'all'"),
        (changed(OUTBOX, what="timeline", limit=0), "Expected `int` >= 1"),
        (changed(OUTBOX, what="timeline", limit=101), "Expected `int` <= 100"),
        (changed(OUTBOX, what="timeline", reply=None), "missing required field `reply`"),
        (changed(OUTBOX, what="timeline", last=[1, 2]), r"at `\$.last`"),
    ],
)
def test_what_is_no_command_to_an_outbox_says_why(command, message):
    with pytest.raises(Malformed, match=message) as refused:
        of_author(command["mailbox"].encode(), command)
    assert refused.value.code is Code.BAD_REQUEST


@pytest.mark.parametrize("type_", ["post", "edit"])
def test_a_body_that_is_too_large_is_refused_and_lines_are_made_one(type_):
    command = changed(POST, type=type_, seq=1 if type_ == "edit" else None)
    with pytest.raises(Malformed, match="a body may have 1000 bytes") as refused:
        of_author(b"author:ann", {**command, "body": "x" * 1_000})
    assert refused.value.code is Code.TOO_LARGE
    value = orjson.dumps(command).replace(b'"body":1', b'"body":{"a":\n1}')
    decoded = MailboxAgent(Limits()).decode(b"author:ann", value)
    assert b"\n" not in bytes(decoded.body)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (changed(PUSHED, users=[]), "length >= 1"),
        (changed(PUSHED, users=["a"] * 1_001), "length <= 1000"),
        (changed(PUSHED, ts=None), "missing required field `ts`"),
        (changed(PUSHED, user="eva"), "unknown field `user`"),
        (changed(PUSHED, mailbox="group:g"), r"at `\$.mailbox`"),
        (changed(FOLLOWED, src=None), "missing required field `src`"),
        (changed(FOLLOWED, posts=[[1, 1]] * 21), "length <= 20"),
    ],
)
def test_what_is_no_command_to_followers_says_why(command, message):
    with pytest.raises(Malformed, match=message):
        of_user(command["mailbox"].encode(), command)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (changed(SNAPSHOT, posts=[[1, 1, "ann"]] * 501), "length <= 500"),
        (changed(SNAPSHOT, posts=[[1, 1]]), r"at `\$.posts"),
        (changed(SNAPSHOT, id="17"), r"at `\$.id`"),
        (changed(FEED, what="all"), "Invalid enum value 'all'"),
        (changed(FEED, limit=5_001), "Expected `int` <= 5000"),
        (changed(FEED, author="ann"), "unknown field `author`"),
        ({"type": "seen", "user": "eva"}, "missing required field `by`"),
    ],
)
def test_what_is_no_command_of_a_reader_says_why(command, message):
    with pytest.raises(Malformed, match=message):
        of_user(command["user"].encode(), command)


def test_the_key_is_what_a_command_is_about():
    with pytest.raises(Malformed, match="the record's key must be the mailbox id"):
        of_author(b"ann", POST)
    for effect in (PUSHED, FOLLOWED, {**FOLLOWED, "type": "unfollowed"}):
        with pytest.raises(Malformed, match="the record's key must be the author's mailbox id"):
            of_user(b"eva", effect)
        assert of_user(b"author:ann", effect).users == ("eva",)
    for command in (SNAPSHOT, FEED, {"type": "seen", "user": "eva", "by": "eva"}):
        with pytest.raises(Malformed, match="the record's key must be the user id"):
            of_user(b"author:ann", command)
        assert of_user(b"eva", command).user == "eva"
