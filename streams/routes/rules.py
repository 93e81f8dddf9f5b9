"""The rules of leases and routes: pure functions from what is kept and a command to what it does.

A lease ends by a row and not by a clock: until that row gateways are forwarded to, so that one whose lease
has the same `since` as before has missed nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Protocol

import msgspec

from streams.decisions import Changes, Moment, Outcome
from streams.errors import Code, Refused
from streams.ids import SYSTEM
from streams.routes.commands import Announce, AnnounceUsers, RenewLease, RenewUserLease
from tables.keys import GATEWAY, lease_key, parse_key, route_key
from tables.overlay import Decode
from tables.rows import ORIGIN, Lease, Route

decode_lease = msgspec.json.Decoder(Lease).decode
decode_route = msgspec.json.Decoder(Route).decode


class Rows(Protocol):
    """What leases and routes are read from: an overlay, or a partition."""

    def get(self, key: bytes, decode: Decode) -> object: ...
    def scan(self, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]: ...


class Routes:
    """The leases and routes of a partition."""

    __slots__ = ("_rows",)

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def lease(self, gateway: str) -> Lease | None:
        """A gateway's lease, if it has one."""
        return self._rows.get(lease_key(gateway), decode_lease)  # type: ignore[return-value]

    def leases(self) -> dict[str, Lease]:
        """All leases by gateway."""
        found = self._rows.scan(GATEWAY.encode())
        return {parse_key(key).owner.removeprefix(GATEWAY): decode_lease(row) for key, row in found}

    def gateways(self, owner: str) -> tuple[str, ...]:
        """The gateways that have asked for the rows of a mailbox or user, also those without a lease."""
        found: Route | None = self._rows.get(route_key(owner), decode_route)  # type: ignore[assignment]
        return found.gateways if found else ()

    def passes_by(self, gateway: str, owner: str) -> bool:
        """Whether a gateway is forwarded to, but not the rows of this owner."""
        return self.lease(gateway) is not None and gateway not in self.gateways(owner)


def decide(
    routes: Routes,
    command: RenewLease | RenewUserLease | Announce | AnnounceUsers,
    moment: Moment,
    partitions: int,
) -> Outcome:
    """What a command does, where deliveries have so many partitions; raises `Refused`."""
    if command.by != SYSTEM:
        raise Refused(Code.FORBIDDEN, "only gateways are forwarded to: `by` is `system`")
    match command:
        case RenewLease():
            return _renew(routes, command.mailbox, command, moment, partitions)
        case RenewUserLease():
            return _renew(routes, command.user, command, moment, partitions)
        case Announce():
            return _announce(routes, command.mailboxes, command, moment)
        case AnnounceUsers():
            return _announce(routes, command.users, command, moment)


def _renew(
    routes: Routes,
    owner: str,
    c: RenewLease | RenewUserLease,
    moment: Moment,
    partitions: int,
) -> Outcome:
    """Begin, renew or end a lease, and end those of others that have run out."""
    if c.partition is not None and c.partition >= partitions:
        message = f"deliveries have {partitions} partitions: set READCAST_DELIVERY_PARTITIONS alike"
        raise Refused(Code.BAD_REQUEST, message)
    gateway = owner.removeprefix(GATEWAY)
    leases = routes.leases()
    own = leases.pop(gateway, None)
    changes = Changes(moment)
    for other, lease in list(leases.items()):
        if lease.until < moment.now:
            changes.drop(lease_key(other))
            del leases[other]
    if not c.seconds:
        if own is not None:
            changes.drop(lease_key(gateway))
        return Outcome(changes, [], {})
    partition = c.partition
    if partition is None:
        partition = own.partition if own else _free(leases, partitions)
    since = own.since if own else moment.offset
    until = moment.now + c.seconds * 1_000
    changes.put(lease_key(gateway), Lease(ORIGIN, partition, since, until))
    return Outcome(changes, [], {"partition": partition, "since": since})


def _free(leases: dict[str, Lease], partitions: int) -> int:
    """The partition that the fewest others have."""
    taken = Counter(lease.partition for lease in leases.values())
    return min(range(partitions), key=lambda number: taken[number])


def _announce(
    routes: Routes, owners: tuple[str, ...], c: Announce | AnnounceUsers, moment: Moment
) -> Outcome:
    """Add or remove a gateway's routes; gateways without a lease are dropped from those that change."""
    changes = Changes(moment)
    for owner in dict.fromkeys(owners):
        before = routes.gateways(owner)
        if (c.gateway in before) == c.wanted:
            continue
        after = [one for one in before if one != c.gateway and routes.lease(one) is not None]
        if c.wanted:
            after.append(c.gateway)
        if after:
            changes.put(route_key(owner), Route(ORIGIN, tuple(after)))
        else:
            changes.drop(route_key(owner))
    return Outcome(changes, [], None)
