"""Who is in which group and process."""

import pytest

from load.plan import Plan, sizes


def plan(**fields) -> Plan:
    given = {"url": "ws://127.0.0.1:1/ws", "secret": "", "run": "r", "sizes": (3, 1, 4)}
    return Plan(**{**given, **fields})


def test_each_client_is_in_one_group_and_one_process():
    ours = plan(processes=3)
    groups = [list(ours.members(group)) for group in range(3)]
    assert groups == [[0, 1, 2], [3], [4, 5, 6, 7]]
    assert [ours.group_of(client) for client in range(8)] == [0, 0, 0, 1, 2, 2, 2, 2]
    assert sorted(client for one in range(3) for client in ours.clients_of(one)) == list(range(8))


def test_shares_are_as_large_as_asked_for():
    ours = plan(sizes=(1_000,), slow=0.1, restless=0.05)
    assert sum(map(ours.is_slow, range(1_000))) == 100
    assert sum(map(ours.is_restless, range(1_000))) == 50


def test_no_address_has_more_clients_than_a_gateway_takes_from_one():
    ours = plan(sizes=(10_000,))
    sources = [ours.source(client) for client in range(10_000)]
    assert max(map(sources.count, set(sources))) <= 1_000
    assert plan(url="wss://chat.example/ws").source(0) is None


def test_sizes_of_groups():
    assert sizes("2x3,1x5") == (3, 3, 5)
    for wrong in ("", "0x3", "2", "2x0", "axb"):
        with pytest.raises(ValueError):  # noqa: PT011  int's own message will do
            sizes(wrong)
