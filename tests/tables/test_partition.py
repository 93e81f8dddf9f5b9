from pathlib import Path

import pytest

from streams.mailboxes import layout
from tables.keys import cursor_key, member_key, message_key, parse_key, state_key
from tables.partition import header_position
from tables.rows import ORIGIN, Member, Position
from tests.tables.logs import Log, LogRecord, Writer, contents, open_partition, records_of
from tests.waiting import eventually

GROUP = "group:g"
ID = "00000000-0000-4000-8000-00000000000"


@pytest.fixture
def partition(tmp_path: Path):
    partition = open_partition(tmp_path, "one")
    yield partition
    partition.close()


def member(offset, joined=0):
    return b'{"at":[%d,0],"joined":%d}' % (offset, joined)


def row(offset, key, value, headers=()):
    return LogRecord(offset, key, value, headers)


BOB, CID = member_key(GROUP, "bob"), member_key(GROUP, "cid")


def write_some(partition, count=3):
    steps = [(1_000, {"type": "create", "mailbox": GROUP, "by": "ann", "id": ID + "0"})]
    steps += [
        (
            1_000,
            {"type": "send", "mailbox": GROUP, "by": "ann", "id": f"{ID}{number}", "body": number},
        )
        for number in range(1, count + 1)
    ]
    writer = Writer(partition, Log())
    writer.decide(records_of(steps))
    return writer


@pytest.mark.parametrize(
    ("headers", "position"),
    [
        ([("at", b"907,0")], (907, 0)),
        ([("other", b"x"), ("at", b"0,12")], (0, 12)),
        ((("at", b"1,2"),), (1, 2)),
    ],
)
def test_a_removal_has_its_position_in_a_header(headers, position):
    assert header_position(headers) == Position(*position)


@pytest.mark.parametrize(
    "headers", [[], [("other", b"1,2")], [("at", b"")], [("at", b"1")], [("at", b"1,2,3")],
                [("at", b"a,b")]]
)  # fmt: skip
def test_a_removal_without_a_position_is_no_row(headers):
    with pytest.raises(ValueError, match=r"."):
        header_position(headers)


def test_a_row_that_is_not_beyond_the_last_is_skipped_and_told(partition):
    partition.apply([row(0, BOB, member(4, 1)), row(1, CID, member(5))])
    assert partition.progress.displaced == ()
    partition.apply([row(2, BOB, member(3, 7)), row(3, CID, member(5, 9))])
    assert partition.progress.displaced == (BOB, CID)
    assert partition.current(BOB) == Member(Position(4, 0), 1)
    assert partition.progress.at == Position(5, 0)
    assert partition.progress.next_offset == 4


def test_a_later_row_under_a_displaced_key_settles_it(partition):
    partition.apply([row(0, BOB, member(4))])
    partition.apply([row(1, BOB, member(3))])
    partition.apply([row(2, BOB, member(5, 2))])
    assert partition.progress.displaced == ()
    assert partition.current(BOB) == Member(Position(5, 0), 2)


def test_records_that_are_kept_already_are_passed_over(partition):
    records = [row(0, BOB, member(4)), row(1, CID, member(5))]
    partition.apply(records)
    before = contents(partition)
    partition.apply(records)
    assert contents(partition) == before
    assert partition.progress.next_offset == 2


@pytest.mark.parametrize(
    ("key", "value", "headers"),
    [
        (BOB, b"not json", ()),
        (BOB, b'{"joined":1}', ()),
        (BOB, None, ()),
        (b"what/ever/1", b'{"at":[9,0]}', ()),
        (b"\xff\xfe", b"{}", ()),
        (b"", b"{}", ()),
    ],
)
def test_a_record_that_is_no_row_is_passed_over(partition, key, value, headers):
    partition.apply([row(0, CID, member(4)), row(1, key, value, headers)])
    partition.apply([row(2, CID, member(5, 8))])
    assert partition.current(CID) == Member(Position(5, 0), 8)
    assert partition.current(BOB) is None
    assert partition.progress.next_offset == 3


def test_a_removal_removes(partition):
    partition.apply([row(0, BOB, member(4)), row(1, BOB, None, [("at", b"5,0")])])
    assert partition.current(BOB) is None
    assert partition.progress.at == Position(5, 0)


def test_what_is_kept_is_there_after_reopening(tmp_path):
    first = open_partition(tmp_path, "two")
    write_some(first)
    before, progress = contents(first), first.progress
    first.close()
    again = open_partition(tmp_path, "two")
    assert (contents(again), again.progress) == (before, progress)
    again.close()


def test_a_removal_whose_key_says_nothing_is_passed_over(partition):
    write_some(partition)
    before = contents(partition)
    removals = [(b"50%off/m/1", b"90,0"), (b"\xff/m/1", b"91,0")]
    partition.apply([row(9, key, None, [("at", at)]) for key, at in removals])
    assert contents(partition) == before


def test_what_is_kept_is_on_disk_once_it_is_flushed(partition, tmp_path):
    partition.flush()
    write_some(partition)
    assert not any(tmp_path.rglob("*.sst"))
    partition.flush()
    eventually(lambda: any(tmp_path.rglob("*.sst")), "it is flushed")


def test_a_wiped_partition_begins_anew(partition):
    write_some(partition)
    partition.get(state_key(GROUP), layout.decode_state)
    partition.wipe()
    assert contents(partition) == {}
    assert (partition.progress.next_offset, partition.progress.at) == (0, ORIGIN)
    assert partition.get(state_key(GROUP), layout.decode_state) is None


def test_a_scan_ends_with_its_prefix_and_begins_beyond_after(partition):
    names = ["a", "b", "b.", "b0", "zz"]
    rows = [row(n, member_key(GROUP, name), member(n)) for n, name in enumerate(names)]
    others = [member_key("group:g0", "a"), member_key("group:g", "a").replace(b"/u/", b"/v/")]
    others += [message_key(GROUP, 1), state_key(GROUP)]
    values = [member(10), None, b'{"at":[12,0],"seq":1,"id":"x","from":"a","ts":1,"body":1}',
              b'{"at":[13,0],"epoch":"x"}']  # fmt: skip
    for offset, (key, value) in enumerate(zip(others, values, strict=True), 10):
        rows.append(row(offset, key, value, [("at", b"%d,0" % offset)] if value is None else ()))
    partition.apply(rows)
    prefix = member_key(GROUP, "")

    def scan(**options):
        return [parse_key(key).name for key, _ in partition.scan(prefix, **options)]

    assert scan() == sorted(names)
    assert scan(after=member_key(GROUP, "b")) == ["b.", "b0", "zz"]
    assert scan(after=member_key(GROUP, "aa")) == ["b", "b.", "b0", "zz"]
    assert scan(after=member_key(GROUP, "zz")) == []


def test_keys_of_messages_sort_by_seq_and_keys_come_apart_again():
    keys = [message_key(GROUP, seq) for seq in (1, 2, 9, 10, 99, 10**9, 2**53)]
    assert keys == sorted(keys)
    assert parse_key(message_key(GROUP, 10)) == (GROUP, "m", "0000000000000010")
    assert parse_key(state_key(GROUP)) == (GROUP, "s", "")
    assert parse_key(cursor_key("ann", "direct:a~b")) == ("ann", "c", "direct:a~b")


def test_remembered_values_follow_what_is_kept(partition):
    writer = write_some(partition, 1)
    head = layout.head_key(GROUP)
    assert partition.get(head, layout.decode_last).seq == 1
    assert partition.get(member_key(GROUP, "bob"), layout.decode_member) is None
    steps = [
        (2_000, {"type": "join", "mailbox": GROUP, "by": "bob", "id": ID + "8"}),
        (2_000, {"type": "send", "mailbox": GROUP, "by": "bob", "id": ID + "9", "body": 1}),
    ]
    writer.decide(records_of(steps, 100))
    for key, decode in (
        (head, layout.decode_last),
        (state_key(GROUP), layout.decode_state),
        (member_key(GROUP, "bob"), layout.decode_member),
        (layout.own_key(GROUP, "bob"), layout.decode_last),
    ):
        assert partition.get(key, decode) == partition.find(key, decode) is not None


def test_an_overlay_shows_its_rows_over_what_is_kept_and_writes_nothing(partition):
    partition.apply([row(0, BOB, member(4)), row(1, CID, member(5))])
    before = contents(partition)
    overlay = partition.overlay()
    overlay.put([BOB, CID], [Member(Position(6, 0), 3), None], [member(6, 3), None])
    assert overlay.find(BOB, layout.decode_member).joined == 3
    assert overlay.get(CID, layout.decode_member) is None
    assert (overlay.raw(BOB), overlay.raw(CID)) == (member(6, 3), None)
    assert contents(partition) == before
    assert partition.overlay().find(CID, layout.decode_member).at == Position(5, 0)


def test_an_overlay_knows_which_keys_have_a_value(partition):
    partition.apply([row(0, BOB, member(4))])
    overlay = partition.overlay()
    assert overlay.holds([CID, BOB]) == [False, True]
    overlay.put([CID], [Member(Position(6, 0), 3)], [member(6, 3)])
    assert overlay.holds([CID, BOB]) == [True, True]
    overlay.put([BOB], [None], [None])
    overlay.put_all_derived({b"\0x": 1})
    assert overlay.holds([BOB, b"\0x", b"\0y"]) == [False, True, False]


def test_reading_in_bulk_never_hides_a_row_of_the_batch(partition):
    partition.apply([row(0, BOB, member(4))])
    overlay = partition.overlay()
    overlay.put([BOB], [Member(Position(6, 0), 3)], [member(6, 3)])
    overlay.prefetch([BOB, CID], layout.decode_member)
    assert overlay.find(BOB, layout.decode_member).joined == 3
    assert overlay.find(CID, layout.decode_member) is None
