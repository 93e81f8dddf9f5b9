"""Commands decoded together come out as those decoded one by one."""

import msgspec
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.commands import decode_mailbox_command
from streams.errors import Malformed
from streams.feeds.limits import FeedLimits
from streams.ids import are_uuids, is_uuid
from streams.mailboxes.agent import MailboxAgent
from streams.mailboxes.rules import Limits
from streams.users.agent import UserAgent
from tests.streams.test_commands import BAD_IDS, BAD_MAILBOXES, BAD_NAMES, ID, REPLY, send, without
from tests.tables.logs import Record

AGENT = MailboxAgent(Limits(), max_body=30)

MAILBOXES = ("group:g", "group:h", "user:ann", "direct:ann~bob", "public:news", "author:ann")
BODIES = (
    b"1", b'"a"', b"{}", b'{"text": "\xc3\xa4"}', b'"' + b"x" * 28 + b'"', b"[1, [2]]", b"\n1", b'1,"body":2',
)  # fmt: skip
BAD_BODIES = (
    b"", b"1 2", b"1,2", b"[", b"]", b"nul", b"1e999", b"NaN", b'"\xff"', b'"\xc3', b'"a', b'"\\ud800"', b'"\n"',
    b"[1,\n2]", b"[1,\r2]", b'"' + b"x" * 29 + b'"', b'"\xff","body":2', b"[" * 2_000,
)  # fmt: skip
BAD_FIELDS = {
    "mailbox": BAD_MAILBOXES,
    "by": BAD_NAMES,
    "id": BAD_IDS,
    "reply": (1, {}, REPLY | {"ref": 1.5}),
    "type": ("dance", "close", None),
    "more": (1,),
}


def _record(fields, body=b"1", key=None):
    """A send with other fields and another body, or none."""
    command = send() | fields
    key = str(command["mailbox"]).encode() if key is None else key
    rest = orjson.dumps({name: value for name, value in command.items() if name != "body"})
    value = rest if body is None else rest[:-1] + b',"body":' + body + b"}"
    return Record(0, 1_000, key, value)


good = st.builds(
    _record,
    st.fixed_dictionaries(
        {
            "mailbox": st.sampled_from(MAILBOXES),
            "by": st.sampled_from(("ann", "bob", "system")),
            "id": st.uuids().map(str),
        },
        optional={"reply": st.just(REPLY)},
    ),
    st.sampled_from(BODIES),
)
BAD = [
    *(_record({name: value}) for name, values in BAD_FIELDS.items() for value in values),
    *(Record(0, 1_000, b"group:g", orjson.dumps(without(send(), field))) for field in send()),
    *(_record({}, body) for body in BAD_BODIES),
    *(_record({}, key=key) for key in (b"", b"group:x", b"group:g ")),
    *(Record(0, 1_000, b"group:g", value) for value in (None, b"", b"1", b"\xff", b"{", b"[]")),
    Record(0, 1_000, None, orjson.dumps(send())),
    _record({"type": "close"}, None),
    _record({"type": "post"}),
]


def _alone(record):
    """The command, if it is a send with its body as it came."""
    try:
        command = AGENT.decode(record.key, record.value)
    except Malformed:
        return None
    came = decode_mailbox_command(record.key, record.value)
    return msgspec.json.encode(command) if bytes(command.body) == bytes(came.body) else None


@given(st.lists(good, min_size=1, max_size=8))
def test_sends_are_decoded_together_as_one_by_one(records):
    alone = [_alone(record) for record in records]
    together = AGENT.decode_run(records)
    if None in alone:
        assert together is None
    else:
        assert together is not None
        assert [msgspec.json.encode(command) for command in together] == alone


@pytest.mark.parametrize("record", BAD)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_that_is_refused_is_not_overlooked(record, place):
    records = [_record({}, b'"\\\\"'), _record({}, b'"\\""')]
    records.insert(place, record)
    assert AGENT.decode_run(records) is None
    assert AGENT.decode_run([*records[:place], *records[place + 1 :]]) is not None


def _subscription(key=b"u1", **changes):
    fields = {"type": "subscribed", "user": "u1", "by": "system", "mailbox": "group:g", "src": 1}
    return Record(0, 1_000, key, orjson.dumps(fields | changes))


@pytest.mark.parametrize(
    "record",
    [
        *(_subscription(user=name) for name in BAD_NAMES),
        *(_subscription(mailbox=mailbox) for mailbox in ("", "group:", "group:a b", "group", 1)),
        *(_subscription(key) for key in (None, b"", b"u2", b"u1 ")),
        *(Record(0, 1_000, b"u1", value) for value in (None, b"", b"1", b"\xff", b"{", b"[]")),
        _subscription(type="unsubscribed"),
        _subscription(type="dance"),
        _subscription(src=-1),
        _subscription(more=1),
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_subscriptions_are_decoded_together_unless_one_is_none(record, place):
    users = UserAgent(FeedLimits())
    records = [_subscription(), _subscription(b"u2", user="u2")]
    assert users.decode_run(records) == [users.decode(r.key, r.value) for r in records]
    records.insert(place, record)
    assert users.decode_run(records) is None


_text = st.one_of(st.uuids().map(str), st.sampled_from([x for x in BAD_IDS if isinstance(x, str)]))


@given(st.lists(_text, min_size=1, max_size=4))
@example([ID[:-1], ID + "0"])
@example([ID + "\n" + ID])
def test_uuids_are_told_together_as_one_by_one(texts):
    assert are_uuids(texts) == all(map(is_uuid, texts))
