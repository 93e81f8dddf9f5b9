import orjson
import pytest

from streams.commands import Join, Send, decode_mailbox_command, decode_user_command
from streams.errors import Code, Malformed
from streams.mailboxes.agent import MailboxAgent
from streams.mailboxes.rules import Limits
from streams.routes.commands import RenewLease

ID = "0b9f7f0c-6d6c-4a2b-9f2e-1c9e0a4f1a01"
LONG = "x" * 10_000
REPLY = {"to": "gw", "partition": 0, "ref": 7}

BAD_NAMES = [
    "", " ", "a b", "a/b", "a\0", "a\n", "\na", "a:b", "a~b", "ä", "a" * 65, LONG, "a,b", None, 1, ["a"],
]  # fmt: skip
BAD_MAILBOXES = [
    "", "group", "group:", "group:a b", "group:a/b", "group:a\0", "group:a\n", "group:" + LONG, "user:a~b",
    "direct:a", "direct:a~", "direct:~b", "direct:b~a", "direct:a~a", "direct:a~b~c", "channel:a",
    "Group:a", " group:a", "group:a/u/bob", None, 5,
]  # fmt: skip
BAD_IDS = [
    "", ID + "\n", " " + ID, ID[:-1], ID + "0", ID.replace("-", ""), "{" + ID + "}", "g" + ID[1:], LONG, None, 1,
]  # fmt: skip


def send(**changes):
    return {"type": "send", "mailbox": "group:g", "by": "ann", "id": ID, "body": 1} | changes


def read(**changes):
    return {"type": "read", "user": "ann", "by": "ann", "mailbox": "group:g", "seq": 1} | changes


def touch(**changes):
    fields = {"mailbox": "public:news", "upto": 1, "day": 20_000}
    return {"type": "touch", "user": "ann", "by": "ann"} | fields | changes


def record(command, owner):
    key = command.get(owner)
    return key.encode() if isinstance(key, str) else b"", orjson.dumps(command)


def refused(decode, key, value):
    with pytest.raises(Malformed) as caught:
        decode(key, value)
    assert caught.value.code is Code.BAD_REQUEST
    return caught.value.message


def without(command, field):
    return {name: value for name, value in command.items() if name != field}


@pytest.mark.parametrize(
    "command",
    [
        *(send(mailbox=mailbox) for mailbox in BAD_MAILBOXES),
        *(send(by=name) for name in BAD_NAMES),
        *(send(id=one) for one in BAD_IDS),
        *(without(send(), field) for field in send()),
        send(type="dance"),
        send(type=None),
        send(unknown=1),
        send(members=["bob"]),
        send(reply={}),
        send(reply=REPLY | {"more": 1}),
        send(reply=REPLY | {"to": ""}),
        send(reply=REPLY | {"to": "x" * 65}),
        send(reply=REPLY | {"partition": -1}),
        send(reply=REPLY | {"ref": "7"}),
        send(reply=REPLY | {"ref": 1.5}),
        *(send(type="join", members=[name]) | {} for name in BAD_NAMES),
    ],
    ids=lambda command: orjson.dumps(command).decode()[:60],
)
def test_what_is_no_mailbox_command_is_refused(command):
    refused(decode_mailbox_command, *record(command, "mailbox"))


def other(type_, **fields):
    return without(send(), "body") | {"type": type_} | fields


def publish(**changes):
    fields = {"mailbox": "public:news", "title": "t", "body": 1}
    return other("publish", **fields | changes)


def release(**changes):
    fields = {"mailbox": "public:news", "publish": 1, "release": {"percent": 1}, "expect": 1}
    return other("release", **fields | changes)


def withdraw(**changes):
    return other("withdraw", **{"mailbox": "public:news", "publish": 1, "expect": 1} | changes)


@pytest.mark.parametrize(
    "command",
    [
        other("join", members=[]),
        other("join", members=["a"] * 1_001),
        other("join", members="ann"),
        other("join", members=["a\n"]),
        other("leave", members=["a b"]),
        other("role", member="bob", role="king"),
        other("role", member="bob"),
        other("mute", member="bob"),
        other("mute", until=-1),
        other("mute", until=1.5),
        other("mute", until=2**53 + 1),
        other("recall", seq=0),
        other("recall", seq="1"),
        other("trim", upto=-1),
        other("create", policy={"post": "nobody"}),
        other("create", policy={"extra": 1}),
        other("create", policy={"member_rate": [0, 1]}),
        other("create", policy={"member_rate": [1, 0]}),
        other("create", policy={"member_rate": [1]}),
        other("create", policy={"member_rate": [1, 1, 1]}),
        other("create", policy={"retain": -1}),
        other("policy"),
        other("policy", policy={"retain": 1.5}),
        other("query", what="facts", reply=REPLY),
        without(other("query", what="facts"), "id"),
        without(other("query", what="all", reply=REPLY), "id"),
        without(other("query", what="history", reply=REPLY, limit=0), "id"),
        without(other("query", what="history", reply=REPLY, limit=1_001), "id"),
        without(other("query", what="history", reply=REPLY, after=-1), "id"),
        without(other("query", what="facts", reply=REPLY, mailboxes=["x"]), "id"),
        without(other("query", what="facts", reply=REPLY, mailboxes=["group:g"] * 1_001), "id"),
        *(without(publish(), field) for field in ("title", "body", "id", "mailbox")),
        *(publish(mailbox=mailbox) for mailbox in BAD_MAILBOXES),
        publish(mailbox="group:g"),
        publish(mailbox="public:a~b"),
        publish(title=""),
        publish(title="x" * 201),
        publish(title=None),
        publish(expires=-1),
        publish(expires=1.5),
        publish(expires=2**53 + 1),
        publish(priority="high"),
        publish(release=50),
        publish(release={"percent": -0.01}),
        publish(release={"percent": 100.01}),
        publish(release={"percent": "50"}),
        publish(release={"percent": 1, "extra": 1}),
        publish(release={"users": ["a"] * 1_001}),
        publish(release={"users": "ann"}),
        publish(audience=[]),
        publish(audience="all"),
        publish(seq=1),
        release(publish=0),
        release(expect=0),
        release(publish="1"),
        without(release(), "publish"),
        without(release(), "release"),
        without(release(), "expect"),
        without(withdraw(), "expect"),
        withdraw(release={"percent": 1}),
    ],
    ids=lambda command: orjson.dumps(command).decode()[:120],
)
def test_fields_out_of_range_are_refused(command):
    refused(decode_mailbox_command, *record(command, "mailbox"))


@pytest.mark.parametrize(
    "value",
    [
        None, b"", b" ", b"null", b"1", b"[]", b"{}", b"{", b"\xff", b"\0", b"not json", b'"send"',
        orjson.dumps(send())[:-1], orjson.dumps(send()) + b"x", b"\xef\xbb\xbf" + orjson.dumps(send()),
        orjson.dumps([send()]),
    ],
)  # fmt: skip
def test_what_is_no_json_object_is_refused(value):
    refused(decode_mailbox_command, b"group:g", value)
    refused(decode_user_command, b"ann", value)


@pytest.mark.parametrize(
    "body", [b"01", b"1.", b"nul", b"[1 2]", b'{"a":1,}', b'"\\q"', b'"\n"', b'"\0"', b"[[", b"-"]
)
def test_a_body_that_is_no_json_is_refused(body):
    value = orjson.dumps(send()).replace(b'"body":1', b'"body":' + body)
    refused(decode_mailbox_command, b"group:g", value)


@pytest.mark.parametrize(
    "key", [None, b"", b"group:h", b"group:g\n", b"group:g ", b"Group:g", b"\xff", b"ann"]
)
def test_the_key_is_the_mailbox(key):
    message = refused(decode_mailbox_command, key, orjson.dumps(send()))
    assert message == "the record's key must be the mailbox id"


@pytest.mark.parametrize(
    "command",
    [
        *(read(user=name) for name in BAD_NAMES),
        *(read(by=name) for name in BAD_NAMES),
        *(
            read(mailbox=mailbox)
            for mailbox in ("", "group:a b", "group:a\n", "x:y", None, "group:")
        ),
        *(without(read(), field) for field in read()),
        read(seq=-1),
        read(seq=2**53 + 1),
        read(seq=1.5),
        read(unknown=1),
        read(type="follow"),
        without(read(type="subscribed", src=-1), "seq"),
        touch(mailbox="group:g"),
        touch(mailbox="public:"),
        *(without(touch(), field) for field in ("user", "by", "mailbox", "upto")),
        touch(upto=-1),
        touch(upto=2**53 + 1),
        touch(day=-1),
        touch(day="today"),
        touch(touched=[[1, 1, "normal"]] * 101),
        touch(touched=[[1, 1]]),
        touch(touched=[[1, 1, "high"]]),
        touch(touched=[[0, 1, "low"]]),
        touch(touched=[1]),
        touch(deferred=[0]),
        touch(deferred=[1] * 1_001),
        touch(dropped=["1"]),
        touch(dropped=[1] * 1_001),
        touch(publish=1),
        touch(type="open"),
        {"type": "open", "user": "ann", "by": "ann", "mailbox": "public:news", "publish": 0},
        {"type": "open", "user": "ann", "by": "ann", "mailbox": "public:news"},
        {"type": "query", "user": "ann", "by": "ann"},
        {"type": "query", "user": "ann", "by": "ann", "reply": REPLY, "mailbox": "group:g"},
        {"type": "query", "user": "ann", "by": "ann", "reply": REPLY, "what": "facts"},
        {"type": "query", "user": "ann", "by": "ann", "reply": REPLY, "limit": 2_001},
    ],
    ids=lambda command: orjson.dumps(command).decode()[:80],
)
def test_what_is_no_user_command_is_refused(command):
    refused(decode_user_command, *record(command, "user"))


@pytest.mark.parametrize("key", [None, b"bob", b"ann\n", b"group:g"])
def test_the_key_is_the_user(key):
    assert refused(decode_user_command, key, orjson.dumps(read())) == (
        "the record's key must be the user id"
    )


def test_a_lease_has_its_gateway_for_a_key():
    lease = {
        "type": "lease",
        "mailbox": "gateway:gw",
        "by": "system",
        "seconds": 30,
        "partition": 0,
    }
    assert isinstance(decode_mailbox_command(*record(lease, "mailbox")), RenewLease)


def test_a_good_command_comes_out_typed():
    command = decode_mailbox_command(b"group:g", orjson.dumps(send(body={"a": [1]}, reply=REPLY)))
    assert isinstance(command, Send)
    assert (bytes(command.body), command.reply.ref) == (b'{"a":[1]}', 7)
    joined = decode_mailbox_command(b"group:g", orjson.dumps(other("join", members=["a"] * 1_000)))
    assert isinstance(joined, Join)
    assert len(joined.members) == 1_000


@pytest.mark.parametrize(("size", "fits"), [(100, True), (101, False), (5_000, False)])
def test_a_body_has_a_largest_size(size, fits):
    command = send(body="x" * (size - 2))
    agent = MailboxAgent(Limits(), max_body=100)
    if fits:
        agent.decode(*record(command, "mailbox"))
    else:
        with pytest.raises(Malformed) as caught:
            agent.decode(*record(command, "mailbox"))
        assert caught.value.code is Code.TOO_LARGE


@pytest.mark.parametrize("good", [publish(), release(), withdraw(), publish(title="x" * 200)])
def test_good_commands_to_a_public_mailbox(good):
    assert decode_mailbox_command(*record(good, "mailbox")).mailbox == "public:news"


def test_a_good_touch():
    command = decode_user_command(*record(touch(touched=[[1, 1, "low"]] * 100), "user"))
    assert command.touched[0] == (1, 1, "low")


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (publish(release={"percent": 0.001}), "release.percent: 0.001 is not in steps of 0.01"),
        (release(release={"percent": 33.333}), "release.percent: 33.333 is not in steps of 0.01"),
        (publish(release={"users": ["a", "b c"]}), "release.users[1]: this is no user's name"),
        (publish(audience={}), "audience: it has 'all', 'any', 'not', or a 'claim'"),
        (publish(audience={"all": [{"claim": "a", "in": []}]}), "audience.all[0].in: a list of 1"),
    ],
)
def test_what_no_schema_says_is_told_in_words(bad, message):
    assert refused(MailboxAgent(Limits()).decode, *record(bad, "mailbox")).startswith(message)


@pytest.mark.parametrize(("size", "fits"), [(100, True), (101, False)])
def test_the_body_of_a_publish_has_the_same_largest_size(size, fits):
    agent = MailboxAgent(Limits(), max_body=100)
    key, value = record(publish(body="x" * (size - 2)), "mailbox")
    if fits:
        agent.decode(key, value)
    else:
        with pytest.raises(Malformed, match="a body may have 100 bytes"):
            agent.decode(key, value)
