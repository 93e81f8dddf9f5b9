"""Leases and routes against a model that remembers in plain sets what was asked for."""

from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.decisions import Moment
from streams.errors import Code, Refused
from streams.routes.commands import (
    SWEEP,
    USER_SWEEP,
    Announce,
    AnnounceUsers,
    RenewLease,
    RenewUserLease,
)
from streams.routes.forwarding import deliveries, mailbox_audience, user_audience
from streams.routes.rules import Routes, decide
from tables.journal import Entry
from tables.rows import Position

PARTITIONS = 3
GATEWAYS = ["g1", "g2", "g3"]
MAILBOXES = ["group:a", "group:b", "direct:x~y", "author:z"]
AT = Position(0, 0)

gateways = st.sampled_from(GATEWAYS)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("lease"), gateways, st.integers(0, 3), st.integers(0, 4)),
        st.tuples(
            st.just("announce"),
            gateways,
            st.lists(st.sampled_from(MAILBOXES), min_size=1, max_size=4),
            st.booleans(),
        ),
    ),
    max_size=40,
)


@dataclass
class Table:
    """Rows as bytes, as they stand in the log."""

    rows: dict[bytes, bytes] = field(default_factory=dict)
    offset: int = 0
    now: int = 0

    def get(self, key, decode):
        return decode(self.rows[key]) if key in self.rows else None

    def scan(self, prefix, after=b""):
        yield from sorted(item for item in self.rows.items() if item[0].startswith(prefix))

    def do(self, command):
        self.offset += 1
        outcome = decide(Routes(self), command, Moment(self.offset, self.now), PARTITIONS)
        for change in outcome.changes:
            if change.row is None:
                del self.rows[change.key]
            else:
                self.rows[change.key] = msgspec.json.encode(change.row)
        return outcome.result

    def lease(self, gateway, seconds=30, partition=None):
        return self.do(
            RenewLease(
                mailbox=f"gateway:{gateway}", by="system", seconds=seconds, partition=partition
            )
        )

    def announce(self, gateway, *mailboxes, wanted=True):
        self.do(
            Announce(
                mailbox=mailboxes[0],
                by="system",
                gateway=gateway,
                mailboxes=mailboxes,
                wanted=wanted,
            )
        )

    def receivers(self, key, value=b"{}", audience=mailbox_audience, log="mailbox"):
        found = deliveries(Routes(self), log, 5, audience, [Entry(key, value, AT)])
        return {
            (row.gateway.decode(), partition) for partition, rows in found.items() for row in rows
        }


@given(steps)
def test_rows_go_to_whom_the_model_says(steps):
    table = Table()
    leases, alive = {}, {}
    wanted, asked = ({gateway: set() for gateway in GATEWAYS} for _ in range(2))
    for step in steps:
        if step[0] == "lease":
            _, gateway, seconds, pause = step
            table.now += pause * 1_000
            ended = {name for name, until in alive.items() if until < table.now} - {gateway}
            granted = table.lease(gateway, seconds)
            for name in ended:
                del alive[name], leases[name]
            if seconds:
                assert granted["since"] == leases.setdefault(gateway, table.offset)
                alive[gateway] = table.now + seconds * 1_000
            else:
                alive.pop(gateway, None)
                leases.pop(gateway, None)
        else:
            _, gateway, names, is_wanted = step
            table.announce(gateway, *names, wanted=is_wanted)
            for sets in (wanted, asked):
                sets[gateway] = (
                    sets[gateway] | set(names) if is_wanted else sets[gateway] - set(names)
                )
            # Who has no lease is dropped from what another changes, and has to announce again.
            for other in set(GATEWAYS) - {gateway} - set(leases):
                wanted[other] -= set(names)
        for mailbox in MAILBOXES:
            got = {gateway for gateway, _ in table.receivers(f"{mailbox}/m/1".encode())}
            must = {gateway for gateway in leases if mailbox in wanted[gateway]}
            may = {gateway for gateway in leases if mailbox in asked[gateway]}
            assert must <= got <= may


def test_a_lease_says_since_when_nothing_was_missed():
    table = Table()
    first = table.lease("g1", 10)
    table.now = 9_000
    assert table.lease("g1", 10)["since"] == first["since"]
    table.now = 60_000
    # Late, but nobody has ended it: everything was forwarded meanwhile.
    assert table.lease("g1", 10)["since"] == first["since"]
    table.now = 80_000
    table.lease("g2", 10)
    assert table.lease("g1", 10)["since"] > first["since"]


def test_an_ended_lease_gets_nothing_and_can_begin_anew():
    table = Table()
    table.lease("g1")
    table.announce("g1", "group:a")
    assert table.receivers(b"group:a/m/1") == {("g1", 0)}
    table.lease("g1", seconds=0)
    assert table.receivers(b"group:a/m/1") == set()
    table.lease("g1")
    assert table.receivers(b"group:a/m/1") == {("g1", 0)}


@pytest.mark.parametrize("sweep", [SWEEP, USER_SWEEP])
def test_a_sweep_ends_what_has_run_out_and_begins_nothing(sweep):
    table = Table()
    table.lease("g1", 10)
    table.lease("g2", 20)
    table.now = 11_000
    table.do(sweep)
    assert set(Routes(table).leases()) == {"g2"}


def test_each_gateway_gets_a_partition_of_its_own_while_there_are_some():
    table = Table()
    found = [table.lease(name)["partition"] for name in ("g1", "g2", "g3", "g4")]
    assert sorted(found[:3]) == [0, 1, 2]
    table.lease("g2", seconds=0)
    assert table.lease("g5")["partition"] == found[1]
    assert table.lease("g1")["partition"] == found[0]


def test_a_partition_that_deliveries_do_not_have_is_refused():
    with pytest.raises(Refused, match="READCAST_DELIVERY_PARTITIONS") as refused:
        Table().lease("g1", partition=PARTITIONS)
    assert refused.value.code is Code.BAD_REQUEST


@pytest.mark.parametrize(
    "command",
    [
        RenewLease(mailbox="gateway:g1", by="ann", seconds=1),
        RenewUserLease(user="gateway:g1", by="ann", seconds=1, partition=0),
        Announce(mailbox="group:a", by="ann", gateway="g1", mailboxes=("group:a",), wanted=True),
        AnnounceUsers(user="ann", by="ann", gateway="g1", users=("ann",), wanted=True),
    ],
)
def test_only_gateways_are_forwarded_to(command):
    with pytest.raises(Refused) as refused:
        Table().do(command)
    assert refused.value.code is Code.FORBIDDEN


@pytest.mark.parametrize(
    ("key", "receivers"),
    [
        (b"group:a/m/1", {"g1"}),
        (b"group:a/s", {"g1"}),
        (b"group:a/u/ann", {"g1"}),
        (b"group:a/r", set()),
        (b"gateway:g1/l", set()),
        (b"group:b/m/1", set()),
        (b"author:z/m/1", {"g1"}),
        (b"author:z/u/ann", set()),
        (b"author:z/p/1", set()),
        (b"public:news/m/1", {"g1", "g2"}),
    ],
)
def test_what_of_the_mailbox_log_is_forwarded(key, receivers):
    table = Table()
    table.lease("g1")
    table.lease("g2")
    table.announce("g1", "group:a", "author:z")
    assert {gateway for gateway, _ in table.receivers(key)} == receivers


@pytest.mark.parametrize(
    ("kind", "forwarded"),
    [("c/group:a", True), ("f/z", True), ("i/0001", False), ("b", False), ("n/0", False)],
)
def test_what_of_the_user_log_is_forwarded(kind, forwarded):
    table = Table()
    table.do(RenewUserLease(user="gateway:g1", by="system", seconds=30, partition=2))
    table.do(AnnounceUsers(user="ann", by="system", gateway="g1", users=("ann",), wanted=True))
    found = table.receivers(f"ann/{kind}".encode(), audience=user_audience, log="user")
    assert found == ({("g1", 2)} if forwarded else set())


def test_a_delivery_says_where_its_row_stands():
    table = Table()
    table.lease("g1")
    table.announce("g1", "group:a")
    entries = [
        Entry(b"group:a/m/1", b"{}", Position(7, 0)),
        Entry(b"group:a/u/ann", None, Position(8, 1)),
    ]
    rows = deliveries(Routes(table), "mailbox", 5, mailbox_audience, entries)[0]
    assert [(row.gateway, row.value, row.headers) for row in rows] == [
        (b"g1", b"{}", [("mailbox", b"5"), ("key", b"group:a/m/1")]),
        (b"g1", None, [("mailbox", b"5"), ("key", b"group:a/u/ann"), ("at", b"8,1")]),
    ]
