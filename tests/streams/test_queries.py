import tracemalloc
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.errors import Refused
from streams.feeds.limits import FeedLimits
from streams.users.agent import UserAgent
from tests.tables.logs import AnyAgent, Log, Record, Writer, agent, open_partition, records_of

GROUP = "group:g"
REPLY = {"to": "gw", "partition": 0, "ref": 1}


class Chat:
    """Commands and questions, one by one."""

    def __init__(self, partition):
        self._writer = Writer(partition, Log())
        self._offset = 0

    def do(self, type_, by="ann", mailbox=GROUP, now=1_000, **fields):
        uuid = f"00000000-0000-4000-8000-{self._offset:012d}"
        command = {"type": type_, "mailbox": mailbox, "by": by, "id": uuid, "reply": REPLY} | fields
        value = orjson.dumps(command)
        batch = self._writer.decide([Record(self._offset, now, mailbox.encode(), value)])
        self._offset += 1
        assert all("result" in reply.payload for reply in batch.replies)
        assert not batch.dead_letters

    def ask(self, what, by="ann", mailbox=GROUP, **fields):
        query = {"type": "query", "mailbox": mailbox, "by": by, "what": what, "reply": REPLY}
        decoded = agent().decode(mailbox.encode(), orjson.dumps(query | fields))
        return orjson.loads(orjson.dumps(agent().answer(self._writer.partition, decoded)))

    def refusal(self, *args, **fields):
        with pytest.raises(Refused) as refused:
            self.ask(*args, **fields)
        return str(refused.value.code)

    def history(self, by="ann", **fields):
        answer = self.ask("history", by, **fields)
        return [message["seq"] for message in answer["messages"]], answer["more"]

    def pages(self, by, limit):
        """All seqs by paging back, and by paging forward from the start."""
        back, before, more = [], None, True
        while more:
            seqs, more = self.history(by, limit=limit, **({"before": before} if before else {}))
            back, before = seqs + back, seqs[0] if seqs else None
        forward, after, more = [], 0, True
        while more:
            seqs, more = self.history(by, after=after, limit=limit)
            forward, after = forward + seqs, seqs[-1] if seqs else after
        return back, forward


@pytest.fixture
def chat(tmp_path):
    partition = open_partition(tmp_path)
    yield Chat(partition)
    partition.close()


@pytest.fixture
def trimmed(chat):
    """Twelve messages, the first four gone; bob came after the seventh."""
    chat.do("create", policy={"history": False})
    for number in range(7):
        chat.do("send", body=number)
    chat.do("join", members=["bob"])
    for number in range(7, 12):
        chat.do("send", body=number)
    chat.do("trim", upto=4)
    return chat


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 8, 50])
def test_paging_gives_every_readable_message_once(trimmed, limit):
    assert trimmed.pages("ann", limit) == ([*range(5, 13)], [*range(5, 13)])
    assert trimmed.pages("bob", limit) == ([*range(8, 13)], [*range(8, 13)])


@pytest.mark.parametrize(
    ("by", "fields", "expected"),
    [
        ("ann", {}, ([*range(5, 13)], False)),
        ("bob", {}, ([*range(8, 13)], False)),
        ("system", {}, ([*range(5, 13)], False)),
        ("ann", {"limit": 3}, ([10, 11, 12], True)),
        ("ann", {"before": 10, "limit": 3}, ([7, 8, 9], True)),
        ("bob", {"before": 10, "limit": 3}, ([8, 9], False)),
        ("bob", {"before": 10, "limit": 2}, ([8, 9], False)),
        ("bob", {"before": 8}, ([], False)),
        ("bob", {"before": 3}, ([], False)),
        ("ann", {"before": 0}, ([], False)),
        ("ann", {"before": 2**53, "limit": 1}, ([12], True)),
        ("ann", {"after": 0, "limit": 2}, ([5, 6], True)),
        ("bob", {"after": 0, "limit": 2}, ([8, 9], True)),
        ("bob", {"after": 10, "limit": 2}, ([11, 12], False)),
        ("ann", {"after": 12}, ([], False)),
        ("ann", {"after": 2**53}, ([], False)),
    ],
)
def test_a_page_ends_where_reading_ends(trimmed, by, fields, expected):
    assert trimmed.history(by, **fields) == expected


def test_with_history_newcomers_read_it_all(trimmed):
    trimmed.do("policy", policy={"history": True})
    assert trimmed.history("bob") == ([*range(5, 13)], False)


def test_an_answer_ends_early_when_it_is_large(chat):
    chat.do("create")
    for _ in range(4):
        chat.do("send", body="x" * 400_000)
    assert chat.history(after=0) == ([1, 2], True)
    assert chat.history() == ([3, 4], True)


@contextmanager
def holds_less_than(limit):
    """At no moment of the block is more in memory."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()


def test_a_page_of_large_messages_takes_little_more_memory_than_its_answer(chat):
    chat.do("create")
    for _ in range(60):
        chat.do("send", body="x" * 900_000)
    for fields in ({}, {"after": 0}):
        with holds_less_than(20 << 20):
            assert len(chat.history(limit=1_000, **fields)[0]) == 1


def test_a_timeline_of_many_mailboxes_does_not_hold_the_last_message_of_each(chat):
    groups = [f"group:g{number}" for number in range(40)]
    for group in groups:
        chat.do("create", mailbox=group)
        chat.do("send", mailbox=group, body="x" * 900_000)
    with holds_less_than(15 << 20):
        answer = chat.ask("timeline", mailbox=groups[0], mailboxes=groups)
    assert len(answer["messages"]) == 1


def test_answers_about_many_outboxes_do_not_hold_a_post_of_each(chat):
    authors = [f"a{number}" for number in range(40)]
    for author in authors:
        chat.do("post", author, f"author:{author}", body="x" * 900_000)
    about = {"by": "system", "mailbox": "author:a0", "type": "outbox"}
    with holds_less_than(15 << 20):
        assert len(chat.ask("timeline", authors=authors, **about)["posts"]) == 1
    with holds_less_than(20 << 20):
        wanted = [(author, 1) for author in authors]
        assert len(chat.ask("posts", posts=wanted, **about)["posts"]) == 1


def test_recalls_that_a_returning_client_may_have_missed(chat):
    chat.do("create")
    for number in range(5):
        chat.do("send", body=number)
    chat.do("recall", seq=2)
    chat.do("send", body=6)
    chat.do("recall", seq=4)
    chat.do("recall", seq=6)

    def recalled(**fields):
        return chat.ask("history", **fields)["recalled"]

    assert recalled(after=4) == [2, 4]
    assert recalled(after=5) == [2, 4]
    assert recalled(after=6) == [4, 6]
    assert recalled(after=3) == [2]
    assert recalled(after=1) == []
    assert recalled() == []
    messages = chat.ask("history")["messages"]
    assert [m["seq"] for m in messages if "body" not in m] == [2, 4, 6]


def test_members_come_in_pages(chat):
    chat.do("create")
    names = ["bob", "b.b", "cid", "dan", "zoe"]
    chat.do("join", members=names)
    chat.do("leave", members=["dan"])
    chat.do("role", member="bob", role="admin")
    left = sorted({"ann", *names} - {"dan"})
    for limit in (1, 2, 3, 5, 50):
        found, after, more = [], "", True
        while more:
            page = chat.ask("members", limit=limit, after_member=after)
            found, more = found + page["members"], page["more"]
            after = found[-1]["user"]
        assert [member["user"] for member in found] == left
    assert found[0] == {"user": "ann", "role": "owner", "joined": 0}
    assert chat.ask("members", after_member="zoe")["members"] == []


def test_members_of_an_earlier_group_of_that_name_are_not_listed(chat):
    chat.do("create")
    chat.do("join", members=["bob", "cid"])
    chat.do("close")
    chat.do("create", "bob")
    page = chat.ask("members", "bob", limit=1)
    assert ([member["user"] for member in page["members"]], page["more"]) == (["bob"], False)
    assert chat.refusal("members", "cid") == "not_member"


def fact(chat, by, mailbox):
    answer = chat.ask("facts", by, mailbox)
    assert len(answer["as_of"]) == 2
    (found,) = answer["facts"]
    return found


def test_facts_of_a_mailbox_that_does_not_exist(chat):
    for mailbox in (GROUP, "direct:ann~bob", "user:ann"):
        assert fact(chat, "ann", mailbox) == {"mailbox": mailbox, "epoch": "", "head": 0}


def test_facts_of_a_direct_mailbox(chat):
    mailbox = "direct:ann~bob"
    chat.do("send", "bob", mailbox, body="hi")
    found = fact(chat, "bob", mailbox)
    assert (found["head"], found["members"], found["own"], found["member"]) == (1, 2, 1, None)
    assert found["last"]["body"] == "hi"
    assert fact(chat, "ann", mailbox)["own"] == 0
    assert fact(chat, "cid", mailbox)["last"] is None


def test_facts_of_a_closed_group(chat):
    chat.do("create")
    chat.do("send", body="hi")
    chat.do("close")
    found = fact(chat, "ann", GROUP)
    assert (found["closed"], found["head"], found["last"]["seq"]) == (True, 1, 1)
    assert found["member"]["role"] == "owner"
    assert fact(chat, "bob", GROUP)["member"] is None
    assert chat.history() == ([1], False)


def test_facts_show_the_last_message_only_to_who_may_read_it(trimmed):
    trimmed.do("join", members=["cid"])
    assert fact(trimmed, "cid", GROUP)["last"] is None
    assert fact(trimmed, "bob", GROUP)["last"]["seq"] == 12
    assert fact(trimmed, "dan", GROUP)["last"] is None
    found = fact(trimmed, "cid", GROUP)
    assert (found["floor"], found["member"]["joined"], found["policy"]) == (
        4, 12, {"history": False},
    )  # fmt: skip


def test_facts_leave_out_the_body_of_a_last_message_that_is_long(chat):
    chat.do("create")
    for size, has_body in ((2_048, True), (2_049, False)):
        chat.do("send", body="x" * (size - 2))
        last = fact(chat, "ann", GROUP)["last"]
        assert ("body" in last) == has_body
        assert last["from"] == "ann"


def test_facts_of_many_mailboxes_come_in_the_order_asked(chat):
    chat.do("create")
    asked = ["user:ann", GROUP, "group:none", GROUP]
    facts = chat.ask("facts", mailboxes=asked)["facts"]
    assert [found["mailbox"] for found in facts] == asked


@pytest.mark.parametrize(
    ("what", "by", "mailbox", "code"),
    [
        ("history", "ann", GROUP, "not_found"),
        ("members", "ann", GROUP, "not_found"),
        ("history", "cid", "direct:ann~bob", "not_member"),
        ("history", "ann", "user:bob", "not_member"),
        ("members", "ann", "direct:ann~bob", "bad_request"),
        ("history", "ann", "public:news", "not_member"),
        ("history", "news", "public:news", "not_member"),
        ("members", "system", "public:news", "bad_request"),
    ],
)
def test_what_nobody_is_shown(chat, what, by, mailbox, code):
    assert chat.refusal(what, by, mailbox) == code


def test_a_direct_mailbox_without_messages_is_empty_for_its_two(chat):
    answer = chat.ask("history", "ann", "direct:ann~bob", after=0)
    assert (answer["epoch"], answer["head"], answer["messages"]) == ("", 0, [])


NEWS = "public:news"


@pytest.fixture
def news(chat):
    """A publish, a release of it, its end, and another publish."""
    chat.do("publish", "olga", NEWS, title="one", body=1)
    about = {"mailbox": NEWS, "publish": 1}
    chat.do("release", "olga", **about, release={"percent": 5}, expect=1)
    chat.do("withdraw", "otto", **about, expect=2)
    chat.do("publish", "otto", NEWS, title="two", body=2)
    return chat


def test_the_history_of_a_public_mailbox_is_its_entries(news):
    answer = news.ask("history", "system", NEWS, after=1, limit=2)
    assert [entry["kind"] for entry in answer["messages"]] == ["release", "withdraw"]
    assert (answer["head"], answer["more"], answer["recalled"]) == (4, True, [])
    answer = news.ask("history", "system", NEWS, before=4)
    assert [entry["seq"] for entry in answer["messages"]] == [1, 2, 3]


def test_the_facts_of_a_public_mailbox(news):
    found = fact(news, "system", NEWS)
    assert (found["head"], found["epoch"][-3:], found["last"]["title"]) == (4, "000", "two")
    assert fact(news, "ann", NEWS)["last"] is None


def test_public_mailboxes_are_listed_to_the_system_whichever_partition_is_asked(news):
    assert news.ask("boards", "system", "public:boards")["boards"] == [{"mailbox": NEWS, "head": 4}]
    assert news.refusal("boards", "ann", "public:boards") == "forbidden"
    query = {"type": "query", "mailbox": "public:boards", "by": "system", "what": "boards"}
    decoded = agent().decode(b"public:boards", orjson.dumps(query | {"reply": REPLY}))
    assert agent().keys(decoded) == ()


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-3, 2)), max_size=25), st.integers(1, 5))
def test_a_timeline_pages_back_through_all_mailboxes_in_order_of_time(sends, limit):
    """Against a sorted list; several messages share a time, and the broker's clock may go back."""
    with TemporaryDirectory() as folder, closing(open_partition(Path(folder))) as partition:
        chat, sent, now = Chat(partition), [], 1_000
        mailboxes = [f"group:{name}" for name in "abcd"]
        for mailbox in mailboxes:
            chat.do("create", mailbox=mailbox)
        for which, passed in sends:
            now += passed
            chat.do("send", mailbox=mailboxes[which], now=now, body=now)
            before = [ts for ts, mailbox, _ in sent if mailbox == mailboxes[which]]
            sent.append((max(now, *before, 0), mailboxes[which], len(before) + 1))
        found, place, more = [], None, True
        while more:
            fields = {"mailboxes": mailboxes, "limit": limit, "place": place}
            answer = chat.ask("timeline", **fields)
            page = [(row["ts"], mailbox, row["seq"]) for mailbox, row in answer["messages"]]
            assert len(page) <= limit
            found, place, more = found + page, page[-1] if page else None, answer["more"]
        assert found == sorted(sent, reverse=True)


def test_a_timeline_holds_what_its_reader_may_read(trimmed):
    trimmed.do("send", mailbox="direct:ann~bob", body="hi", now=2_000)

    def timeline(by):
        names = [GROUP, "direct:ann~bob", "group:none", "public:news"]
        answer = trimmed.ask("timeline", by, mailboxes=names)
        return [(mailbox, row["seq"]) for mailbox, row in answer["messages"]]

    assert timeline("ann") == [("direct:ann~bob", 1), *((GROUP, seq) for seq in range(12, 4, -1))]
    assert timeline("bob") == [("direct:ann~bob", 1), *((GROUP, seq) for seq in range(12, 7, -1))]
    assert timeline("eve") == []


def test_a_large_timeline_ends_early(chat):
    chat.do("create")
    for _ in range(4):
        chat.do("send", body="x" * 400_000)
    answer = chat.ask("timeline")
    assert [row["seq"] for _, row in answer["messages"]] == [4, 3]
    assert answer["more"] is True


def users_of(partition, *commands):
    now = 20_000 * 86_400_000
    writer = Writer(partition, Log(), AnyAgent())
    writer.decide(
        records_of([(now, {"by": one["user"], "mailbox": NEWS} | one) for one in commands])
    )


def asked(partition, **fields):
    query = {"type": "query", "user": "system", "by": "system", "reply": REPLY} | fields
    command = UserAgent(FeedLimits()).decode(b"system", orjson.dumps(query))
    return orjson.loads(orjson.dumps(UserAgent(FeedLimits()).answer(partition, command)))


def touch(user, *publishes):
    items = [[publish, publish, "normal"] for publish in publishes]
    return {"type": "touch", "user": user, "upto": 9, "day": 20_000, "touched": items}


def test_counts_are_those_of_the_partition_that_is_asked(tmp_path):
    partition = open_partition(tmp_path)
    users_of(
        partition,
        touch("ann", 1, 4),
        touch("bob", 4),
        touch("bob", 4) | {"mailbox": "public:newspaper"},
        {"type": "open", "user": "bob", "publish": 4},
        touch("cid") | {"touched": [[4, 6, "normal"]]},
    )
    answer = asked(partition, what="counts", mailbox=NEWS)
    counts = {"1": [1, 0], "4": [3, 1]}
    assert answer == {"mailbox": NEWS, "counts": counts, "stages": {"6": [1, 0]}}
    assert asked(partition, what="counts", mailbox="public:none")["counts"] == {}
    with pytest.raises(Refused, match="name it"):
        asked(partition, what="counts")
    partition.close()


def test_counts_may_be_asked_of_every_partition_and_cursors_only_of_the_users():
    query = {"type": "query", "user": "system", "by": "system", "reply": REPLY}
    counts = UserAgent(FeedLimits()).decode(b"system", orjson.dumps(query | {"what": "counts"}))
    assert UserAgent(FeedLimits()).keys(counts) == ()
    assert UserAgent(FeedLimits()).keys(
        UserAgent(FeedLimits()).decode(b"system", orjson.dumps(query))
    ) == ("system",)


def test_a_cursor_in_a_public_mailbox_is_listed_with_what_waits(tmp_path):
    partition = open_partition(tmp_path)
    users_of(partition, touch("ann", 4) | {"deferred": [7]})
    query = {"type": "query", "user": "ann", "by": "ann", "reply": REPLY}
    command = UserAgent(FeedLimits()).decode(b"ann", orjson.dumps(query))
    (cursor,) = UserAgent(FeedLimits()).answer(partition, command)["cursors"]
    assert (cursor["mailbox"], cursor["read"], cursor["deferred"]) == (NEWS, 9, [7])
    assert (cursor["day"], cursor["today"]) == (20_000, 1)
    partition.close()


def test_cursors_are_their_users(tmp_path):
    partition = open_partition(tmp_path)
    with pytest.raises(Refused) as refused:
        asked(partition, by="mallory")
    assert refused.value.code == "forbidden"
    partition.close()
