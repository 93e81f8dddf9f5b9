"""Where a client comes from: its address, or what a trusted proxy says that it is."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

IPV6_PREFIX = 64
"""Bits of an IPv6 address that name a client: who has one address has the rest of its network."""


IPV6_LOOPBACK = str(IPv6Network("::/64"))


class Proxies:
    """The networks whose word about a client's address is taken."""

    def __init__(self, networks: Iterable[Network]) -> None:
        self._networks = tuple(networks)

    def trusts(self, peer: str) -> bool:
        """Whether the address at the other end of a socket is a proxy of ours."""
        if not self._networks:
            return False
        address = parse(peer)
        return address is not None and self._has(address)

    def client(self, peer: str, forwarded: str) -> str:
        """The client's place behind `peer`, from all `X-Forwarded-For` joined by commas.

        Each proxy adds whom it was called by at the right, and a client may have written anything
        at the left: the first from the right that is no proxy of ours is the client. A proxy that
        names none is counted itself.
        """
        for hop in reversed(forwarded.split(",")):
            address = parse(hop)
            if address is None:
                break
            if not self._has(address):
                return place_of(address)
        return place(peer)

    def _has(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def place(peer: str) -> str:
    """What connections from an address are counted under."""
    address = parse(peer)
    return peer if address is None else place_of(address)


def place_of(address: Address) -> str:
    """An IPv4 address, or the network of an IPv6 address."""
    if isinstance(address, IPv4Address):
        return str(address)
    return str(IPv6Network((address, IPV6_PREFIX), strict=False))


def is_loopback(place: str) -> bool:
    """Whether connections counted under a place come from this machine."""
    return place == IPV6_LOOPBACK or place.startswith("127.")


def parse(text: str) -> Address | None:
    """An address in its own family, also one of IPv4 that came by way of IPv6; None for no address."""
    try:
        address = ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
