from ipaddress import ip_network

import pytest

from gateway.addresses import Proxies, place

PROXIES = Proxies([ip_network("10.0.0.0/8"), ip_network("fd00::1/128")])


@pytest.mark.parametrize(
    ("peer", "counted_as"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:2", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_connections_are_counted_by_address_or_network(peer, counted_as):
    assert place(peer) == counted_as


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("fd00::1", True),
        ("11.1.2.3", False),
        ("fd00::2", False),
        ("", False),
    ],
)
def test_only_the_named_networks_are_proxies(peer, trusted):
    assert PROXIES.trusts(peer) is trusted


def test_nobody_is_trusted_unless_named():
    assert not Proxies(()).trusts("127.0.0.1")


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7, 10.9.9.9", "192.0.2.7"),
        ("203.0.113.5, 192.0.2.7", "192.0.2.7"),
        ("10.0.0.9,192.0.2.7 ,10.9.9.9", "192.0.2.7"),
        ("2001:db8::7", "2001:db8::/64"),
        ("", "10.1.2.3"),
        ("unknown", "10.1.2.3"),
        ("192.0.2.7, unknown", "10.1.2.3"),
        ("10.0.0.9, 10.9.9.9", "10.1.2.3"),
    ],
)
def test_the_client_is_the_first_from_the_right_that_is_no_proxy(forwarded, client):
    assert PROXIES.client("10.1.2.3", forwarded) == client
