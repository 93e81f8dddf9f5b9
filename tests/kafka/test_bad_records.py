"""Records that are no commands: to the dead letters with the reason, and the pipeline goes on."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson
import pytest
from kafka.consumer.fetcher import ConsumerRecord

from tests.e2e.client import Client
from tests.processes import System
from tests.records import Refused, new_id, unique
from tests.waiting import eventually

GROUP = "group:bad"
MEGABYTE = 1 << 20
DEEP = 100_000


class Bad(NamedTuple):
    """A record; `answered` says whether a reply can be expected where one is asked for."""

    value: bytes | None
    key: bytes | None = GROUP.encode()
    answered: bool = False
    topic: str = "mailbox-commands"


def send(**fields: Any) -> dict[str, Any]:
    return {"type": "send", "mailbox": GROUP, "by": "alice", "id": new_id(), "body": "x", **fields}


def without(field: str) -> bytes:
    return orjson.dumps({name: value for name, value in send().items() if name != field})


def with_text(field: str, text: str) -> bytes:
    """A send in which one field is written as given, valid or not."""
    return orjson.dumps(send(**{field: "?"})).replace(b'"?"', text.encode())


def asks(**fields: Any) -> Bad:
    return Bad(orjson.dumps(send(**fields)), answered=True)


def of_mailbox(name: str) -> Bad:
    return Bad(orjson.dumps(send(mailbox=name)), name.encode(), answered=True)


def of_user(value: Mapping[str, Any], key: bytes = b"bob") -> Bad:
    return Bad(orjson.dumps(value), key, answered=True, topic="user-commands")


def read(**fields: Any) -> dict[str, Any]:
    return {"type": "read", "user": "bob", "by": "bob", "mailbox": GROUP, "seq": 1, **fields}


NOT_JSON = {
    "empty": Bad(b""),
    "not JSON": Bad(b"hello"),
    "half an object": Bad(orjson.dumps(send())[:-1]),
    "two objects": Bad(orjson.dumps(send()) * 2),
    "an array": Bad(orjson.dumps([send()])),
    "a number": Bad(b"17"),
    "null": Bad(b"null"),
    "an empty object": Bad(b"{}"),
    "NaN": Bad(with_text("body", "NaN")),
    "a trailing comma": Bad(orjson.dumps(send())[:-1] + b",}"),
    "UTF-16": Bad(orjson.dumps(send()).decode().encode("utf-16")),
    "invalid UTF-8 in a name": Bad(orjson.dumps(send(by="?")).replace(b"?", b"\xff\xfe")),
    "invalid UTF-8 in the body": Bad(orjson.dumps(send(body="?")).replace(b"?", b"\xff\xfe")),
    "binary": Bad(bytes(range(256))),
    "a tombstone": Bad(None),
    "nothing but brackets": Bad(b"[" * DEEP),
}

NOT_A_COMMAND = {
    "no type": Bad(without("type")),
    "an unknown type": asks(type="explode"),
    "a type that is a number": asks(type=7),
    "no id": Bad(without("id")),
    "no body": Bad(without("body")),
    "no mailbox": Bad(without("mailbox")),
    "no by": Bad(without("by")),
    "an id that is no UUID": asks(id="17"),
    "an id with a space": asks(id=new_id() + " "),
    "an id of 10,000 characters": asks(id="a" * 10_000),
    "by with a space": asks(by="alice smith"),
    "by with a slash": asks(by="alice/c"),
    "by with NUL": asks(by="alice\x00"),
    "by with a newline": asks(by="alice\n"),
    "by of 10,000 characters": asks(by="a" * 10_000),
    "by is null": asks(by=None),
    "by is an object": asks(by={"name": "alice"}),
    "a field nobody knows": asks(colour="red"),
    "seq beyond 64 bits": asks(type="recall", seq=2**63),
    "seq with an exponent": Bad(
        orjson.dumps(
            {"type": "trim", "mailbox": GROUP, "by": "alice", "id": new_id(), "upto": 0}
        ).replace(b":0", b":1e400")
    ),
    "seq of a thousand digits": Bad(
        orjson.dumps(
            {"type": "trim", "mailbox": GROUP, "by": "alice", "id": new_id(), "upto": 0}
        ).replace(b":0", b":" + b"9" * 1_000)
    ),
    "a reply to a partition below 0": Bad(
        orjson.dumps(send(reply={"to": "x", "partition": -1, "ref": 1}))
    ),
    "a reply that is text": Bad(orjson.dumps(send(reply="me"))),
    "a mailbox with a space": of_mailbox("group:a b"),
    "a mailbox with a slash": of_mailbox("group:a/s"),
    "a mailbox with NUL": of_mailbox("group:a\x00"),
    "a mailbox with a newline": of_mailbox("group:a\n"),
    "a mailbox of 10,000 characters": of_mailbox("group:" + "a" * 10_000),
    "a mailbox of an unknown kind": of_mailbox("secret:a"),
    "a mailbox without a kind": of_mailbox("a"),
    "a direct mailbox out of order": of_mailbox("direct:bob~alice"),
    "a direct mailbox with oneself": of_mailbox("direct:bob~bob"),
    "the mailbox twice, the last not the key": Bad(
        orjson.dumps(send()).replace(b"{", b'{"mailbox":"group:first",', 1),
        b"group:first",
    ),
}

WRONG_KEY = {
    "another mailbox": Bad(orjson.dumps(send()), b"group:other", answered=True),
    "no key": Bad(orjson.dumps(send()), None, answered=True),
    "an empty key": Bad(orjson.dumps(send()), b"", answered=True),
    "a key that is no text": Bad(orjson.dumps(send()), b"\xff\xfe", answered=True),
    "the key of a row": Bad(orjson.dumps(send()), f"{GROUP}/s".encode(), answered=True),
}

USER_COMMANDS = {
    "not JSON": Bad(b"hello", b"bob", topic="user-commands"),
    "a tombstone": Bad(None, b"bob", topic="user-commands"),
    "another user": of_user(read(user="carol", by="carol")),
    "an unknown type": of_user(read(type="explode")),
    "negative seq": of_user(read(seq=-1)),
    "seq is a fraction": of_user(read(seq=1.5)),
    "no mailbox": of_user({"type": "read", "user": "bob", "by": "bob", "seq": 1}),
    "invalid UTF-8": Bad(
        orjson.dumps(read(by="?")).replace(b"?", b"\xff"), b"bob", topic="user-commands"
    ),
    "nested deep": Bad(
        orjson.dumps(read(seq="?")).replace(b'"?"', b"[" * DEEP + b"]" * DEEP),
        b"bob",
        topic="user-commands",
    ),
}

BAD = {
    f"{group}: {name}": bad
    for group, cases in {
        "json": NOT_JSON,
        "command": NOT_A_COMMAND,
        "key": WRONG_KEY,
        "user": USER_COMMANDS,
    }.items()
    for name, bad in cases.items()
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_record_is_a_dead_letter_with_a_reason_and_the_next_one_works(
    target: System, name: str
):
    bad = BAD[name]
    partition = 0 if bad.key is None else target.kafka.partition_of(bad.key)
    ref, value = None, bad.value
    if bad.answered:
        ref, value = with_reply(target, value)
    before = target.kafka.ends("dead-letters")
    offset = target.kafka.put(bad.topic, bad.key, value, partition)
    still_decides(target, bad.topic, partition)

    letter = letter_of(target, before, bad.topic, partition, offset)
    assert letter["code"] == "bad_request"
    assert letter["message"]
    assert (letter["partition"], letter["offset"]) == (partition, offset)
    if ref is not None:
        error = target.kafka.asker.answer(ref)["error"]
        assert error["code"] == letter["code"]
        assert error["message"]
        assert error["retriable"] is False


def with_reply(target: System, value: bytes | None) -> tuple[int, bytes]:
    """The record with a reply address in it."""
    assert value is not None
    to, partition = target.kafka.asker.address
    ref = target.kafka.asker.next_ref()
    reply = orjson.dumps({"to": to, "partition": partition, "ref": ref})
    return ref, value[:-1] + b',"reply":' + reply + b"}"


def still_decides(target: System, topic: str, partition: int) -> None:
    for worker in target.workers:
        worker.check()
    name = target.kafka.name_in(partition, "group:")
    if topic == "user-commands":
        user = target.kafka.name_in(partition)
        target.kafka.ask({"type": "query", "user": user, "by": user, "what": "cursors"})
    else:
        question = {"type": "query", "mailbox": f"group:{name}", "by": "alice", "what": "facts"}
        target.kafka.ask(question)


def letter_of(
    target: System, before: Mapping[int, int], topic: str, partition: int, offset: int
) -> dict[str, Any]:
    key = f"{target.kafka.topic(topic)}/{partition}/{offset}".encode()

    def found() -> list[ConsumerRecord]:
        return [one for one in target.kafka.read("dead-letters", before) if one.key == key]

    letters = eventually(found, f"a dead letter under {key!r}")
    assert len(letters) == 1
    content: dict[str, Any] = orjson.loads(letters[0].value)
    return content


LARGE: dict[str, Callable[[], bytes]] = {
    "a body of 2 MB": lambda: orjson.dumps(send(body="x" * (2 * MEGABYTE))),
    "2 MB that is not JSON": lambda: b"x" * (2 * MEGABYTE),
    "2 MB of members": lambda: orjson.dumps({**send(type="join"), "members": ["a" * 60] * 35_000}),
}


@pytest.mark.parametrize("name", LARGE)
def test_a_record_of_two_megabytes_is_refused(target: System, name: str):
    key = GROUP.encode()
    before = target.kafka.ends("mailbox-changelog")
    letters = target.kafka.ends("dead-letters")
    partition = target.kafka.partition_of(GROUP)
    offset = target.kafka.put("mailbox-commands", key, LARGE[name](), partition)
    still_decides(target, "mailbox-commands", partition)
    letter = letter_of(target, letters, "mailbox-commands", partition, offset)
    assert letter["code"] in ("bad_request", "too_large")
    assert target.kafka.ends("mailbox-changelog") == before


def test_a_large_body_is_answered_as_too_large(target: System):
    with pytest.raises(Refused) as refused:
        target.kafka.ask(send(body="x" * (2 * MEGABYTE)))
    assert refused.value.code == "too_large"


BODIES = {
    "nested 200": "[" * 200 + "]" * 200,
    "nested 500": "[" * 500 + "]" * 500,
    "nested 2,000": "[" * 2_000 + "]" * 2_000,
    "nested 100,000": "[" * DEEP + "]" * DEEP,
    "objects nested 2,000": '{"a":' * 2_000 + "1" + "}" * 2_000,
    "an infinite number": "1e999",
    "a tiny number": "1e-999",
    "a number of 5,000 digits": "9" * 5_000,
    "a number with many decimals": "0." + "1" * 5_000,
    "beyond 53 bits": str(2**53 + 1),
    "beyond 64 bits": str(2**70),
    "half a surrogate": '"\\ud800"',
    "surrogates the wrong way round": '"\\udc00\\ud800"',
    "escaped NUL": '"\\u0000"',
    "a name twice": '{"a":1,"a":2}',
    "an empty name": '{"":1}',
    "line separators": '"\u2028\u2029"',
    "white space": ' {\t"a" :\r\n 1 } ',
    "a byte order mark": '"\ufeff"',
}


@pytest.mark.parametrize("name", BODIES)
async def test_an_odd_body_is_delivered_or_refused_and_stops_nobody(target: System, name: str):
    kafka = target.kafka
    group, bob = unique("group:g"), unique("bob")
    by = {"mailbox": group, "by": bob}
    kafka.ask({"type": "create", **by, "id": new_id(), "policy": {}})
    client = await Client.open(target.ws, bob)
    try:
        await client.hello(target.token(bob))
        await client.sync()
        record = orjson.dumps({**send(**by), "body": "?"}).replace(b'"?"', BODIES[name].encode())
        letters = kafka.ends("dead-letters")
        partition = kafka.partition_of(group)
        offset = kafka.put("mailbox-commands", group.encode(), record, partition)
        kafka.send({**send(**by), "body": "next"})
        latest = await client.wait(
            lambda event: event["op"] == "message" and event["body"] == "next", "the next message"
        )
        history = await client.request("history", mailbox=group, after=0)
        shown = [message["seq"] for message in history["messages"]]
        assert shown == client.seqs(group) == list(range(1, latest["seq"] + 1))
        if latest["seq"] == 1:
            assert letter_of(target, letters, "mailbox-commands", partition, offset)["message"]
        again = await Client.open(target.ws, bob)
        await again.hello(target.token(bob))
        assert (await again.sync())[group]["head"] == latest["seq"]
        await again.close()
    finally:
        await client.close()


def test_the_last_of_two_equal_names_counts_as_in_other_json_parsers(target: System):
    group = unique("group:g")
    target.kafka.ask(
        {"type": "create", "mailbox": group, "by": "alice", "id": new_id(), "policy": {}}
    )
    value = orjson.dumps({**send(mailbox=group), "body": 2})
    value = value.replace(b'"body":2', b'"body":1,"body":2')
    partition = target.kafka.partition_of(group)
    target.kafka.put("mailbox-commands", group.encode(), value, partition)
    history = {"type": "query", "mailbox": group, "by": "alice", "what": "history", "after": 0}
    (message,) = target.kafka.ask(history)["messages"]
    assert message["body"] == 2


def test_a_reply_address_that_does_not_exist_stops_nobody(target: System):
    group = unique("group:g")
    reply = {"to": "nobody", "partition": 10**6, "ref": 1}
    question = {"type": "query", "mailbox": group, "by": "alice", "what": "facts", "reply": reply}
    target.kafka.send(question)
    still_decides(target, "mailbox-commands", target.kafka.partition_of(group))


def test_a_question_about_mailboxes_of_other_partitions_is_refused(target: System):
    kafka = target.kafka
    here, there = (f"group:{kafka.name_in(partition, 'group:')}" for partition in (0, 1))
    question = {"type": "query", "mailbox": here, "by": "alice", "what": "facts"}
    with pytest.raises(Refused) as refused:
        kafka.ask({**question, "mailboxes": [here, there]})
    assert refused.value.code == "bad_request"


def test_a_command_in_the_wrong_partition_is_a_dead_letter(target: System):
    """Its key is right, but a producer with another partitioner put it elsewhere."""
    kafka = target.kafka
    group = unique("group:g")
    elsewhere = (kafka.partition_of(group) + 1) % kafka.partitions("mailbox-commands")
    letters = kafka.ends("dead-letters")
    value = orjson.dumps(
        {"type": "create", "mailbox": group, "by": "alice", "id": new_id(), "policy": {}}
    )
    offset = kafka.put("mailbox-commands", group.encode(), value, elsewhere)
    still_decides(target, "mailbox-commands", elsewhere)
    assert letter_of(target, letters, "mailbox-commands", elsewhere, offset)["message"]


def test_a_user_in_the_name_of_another_is_refused(target: System):
    with pytest.raises(Refused) as refused:
        target.kafka.ask(read(by="mallory"))
    assert refused.value.code == "forbidden"


def test_a_record_of_nearly_four_megabytes_is_refused(target: System):
    key = GROUP.encode()
    letters = target.kafka.ends("dead-letters")
    partition = target.kafka.partition_of(GROUP)
    value = b'{"type":"' + b"x" * 4_190_000 + b'"}'
    offset = target.kafka.put("mailbox-commands", key, value, partition)
    still_decides(target, "mailbox-commands", partition)
    assert letter_of(target, letters, "mailbox-commands", partition, offset)


def test_a_publish_that_is_larger_than_a_batch_stops_nobody(target: System):
    mailbox = f"public:{unique('p')}"
    values = [chr(ord("a") + n % 26) * 195 + f"{n:05d}" for n in range(200)]
    publish = {
        "type": "publish", "mailbox": mailbox, "by": "olga", "id": new_id(), "title": "t",
        "body": "x" * 1_000_000,
        "audience": {"any": [{"claim": "c", "in": values} for _ in range(60)]},
    }  # fmt: skip
    partition = target.kafka.partition_of(mailbox)
    target.kafka.put("mailbox-commands", mailbox.encode(), orjson.dumps(publish), partition)
    still_decides(target, "mailbox-commands", partition)
